package dev.isthmus.train.supervised;

import dev.isthmus.train.Sequence;
import java.util.List;

/** Where sequences come from: the only thing in which pre-training and fine-tuning differ. A row is one sequence or several packed. */
interface SequenceSource {
    /** The row at a place of the run, counted from 0: a function of the seed and the place. */
    List<Sequence> row(long place);

    /** After how many rows all data has been seen. */
    long epoch();

    /** The number of rows that are never learned from; may be 0. */
    int heldOut();

    /** One of them, counted from 0. */
    List<Sequence> heldOut(int index);

    /** What there is to learn from, for people. */
    String description();

    /** Tells whether the data is still the same. */
    String id();
}
