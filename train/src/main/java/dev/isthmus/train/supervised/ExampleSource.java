package dev.isthmus.train.supervised;

import dev.isthmus.train.Example;
import java.util.List;

/** Where examples come from: the only thing in which pre-training and fine-tuning differ. */
sealed interface ExampleSource permits TextWindows, DatasetRows {
    /** The example at a place of the run, counted from 0: a function of the seed and the place. */
    Example example(long place);

    /** After how many examples all data has been seen. */
    long epoch();

    /** Examples that are never learned from; may be empty. */
    List<Example> validation();

    /** What there is to learn from, for people. */
    String description();
}
