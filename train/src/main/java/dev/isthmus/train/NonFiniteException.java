package dev.isthmus.train;

import dev.isthmus.tensor.IsthmusException;
import org.jspecify.annotations.Nullable;

/** Thrown when a loss or a gradient is not a finite number; the weights are as they were before the step. */
public final class NonFiniteException extends IsthmusException {
    private static final long serialVersionUID = 1;

    private final int microBatch;

    @Nullable
    private final String tensor;

    NonFiniteException(String message, int microBatch, @Nullable String tensor) {
        super(message);
        this.microBatch = microBatch;
        this.tensor = tensor;
    }

    /** Which micro-batch of the step it was, counted from 0. */
    public int microBatch() {
        return microBatch;
    }

    /** The first weight, or else gradient, that is not finite; null if all are. */
    public @Nullable String tensor() {
        return tensor;
    }
}
