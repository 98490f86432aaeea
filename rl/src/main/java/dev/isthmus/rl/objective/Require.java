package dev.isthmus.rl.objective;

import dev.isthmus.tensor.IsthmusException;

/** Checks of options, named as in TRL. */
final class Require {
    private Require() {}

    static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }

    static void positive(String name, double value) {
        if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be more than 0, found " + value);
        }
    }

    static void within(String name, double low, double value, double high) {
        if (!(value >= low && value <= high)) {
            throw new IsthmusException(name + " must be from " + low + " to " + high + ", found " + value);
        }
    }
}
