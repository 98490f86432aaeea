package dev.isthmus.train.optim;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.ValueLayout;

/** How many steps a parameter has taken, as a tensor, so that it is saved and restored like the rest of an optimizer's state. */
record StepCount(Tensor tensor) {
    StepCount() {
        this(Tensor.zeros(DType.INT64));
    }

    /** Counts one more step; returns its number, from 1. */
    long next() {
        long step = tensor.segment().get(ValueLayout.JAVA_LONG, 0) + 1;
        tensor.segment().set(ValueLayout.JAVA_LONG, 0, step);
        return step;
    }
}
