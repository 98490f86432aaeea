package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.IsthmusException;

/** Checks of the numbers that a person sets. */
final class Options {
    private Options() {}

    static void positive(String name, double value) {
        if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be above 0, found " + value);
        }
    }

    static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }
}
