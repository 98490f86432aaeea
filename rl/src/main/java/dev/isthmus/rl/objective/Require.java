package dev.isthmus.rl.objective;

import dev.isthmus.tensor.IsthmusException;

/** Checks of options, named as in TRL; each throws an {@link IsthmusException} that says what was found. */
public final class Require {
    private Require() {}

    /** A number from 0 on, not infinite. */
    public static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }

    /** A number above 0, not infinite. */
    public static void positive(String name, double value) {
        if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be more than 0, found " + value);
        }
    }

    /** A number from {@code low} to {@code high}. */
    public static void within(String name, double low, double value, double high) {
        if (!(value >= low && value <= high)) {
            throw new IsthmusException(name + " must be from " + low + " to " + high + ", found " + value);
        }
    }
}
