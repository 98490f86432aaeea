package dev.isthmus.train;

import dev.isthmus.tensor.Rng;
import java.util.stream.IntStream;

/**
 * An endless order of examples, shuffled anew each epoch: a function of the random stream and the place, so that nothing is
 * saved.
 */
public final class Epochs {
    private final int size;
    private final Rng rng;
    private long shuffled = -1;
    private int[] order = new int[0];

    /** The order of {@code size} examples. */
    public Epochs(int size, Rng rng) {
        this.size = size;
        this.rng = rng;
    }

    /** The examples of a step, counted from 0, that takes {@code batchSize} of them. */
    public IntStream batch(long step, int batchSize) {
        return IntStream.range(0, batchSize).map(i -> at(step * batchSize + i));
    }

    /** The example at a place, counted from 0. */
    public int at(long place) {
        long epoch = place / size;
        if (epoch != shuffled) {
            order = IntStream.range(0, size).toArray();
            rng.split("epoch", epoch).shuffle(order);
            shuffled = epoch;
        }
        return order[(int) (place % size)];
    }
}
