package dev.isthmus.rl.improve;

import dev.isthmus.tensor.Rng;
import java.util.stream.IntStream;

/**
 * The order in which examples are seen: shuffled anew each epoch, as a function of the step, so that nothing is saved.
 */
final class Epochs {
    private final int size;
    private final int batchSize;
    private final Rng rng;
    private long shuffled = -1;
    private int[] order = new int[0];

    Epochs(int size, int batchSize, Rng rng) {
        this.size = size;
        this.batchSize = batchSize;
        this.rng = rng;
    }

    /** The examples of a step, counted from 0. */
    IntStream batch(long step) {
        return IntStream.range(0, batchSize).map(i -> at(step * batchSize + i));
    }

    private int at(long index) {
        long epoch = index / size;
        if (epoch != shuffled) {
            order = IntStream.range(0, size).toArray();
            rng.split("epoch", epoch).shuffle(order);
            shuffled = epoch;
        }
        return order[(int) (index % size)];
    }
}
