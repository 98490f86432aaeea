package dev.isthmus.rl.task;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;

/** The whole numbers from {@code low} to {@code high}, both included; written {@code 3} or {@code 1..3}. */
public record Range(int low, int high) {
    public Range {
        if (low > high) {
            throw new IsthmusException("The range " + low + ".." + high + " is empty: write the smaller number first.");
        }
    }

    /** The range of one number. */
    public static Range of(int only) {
        return new Range(only, only);
    }

    /** The range from {@code low} to {@code high}. */
    public static Range of(int low, int high) {
        return new Range(low, high);
    }

    /**
     * Reads {@code 3} or {@code 1..3}.
     *
     * @throws IsthmusException if the text is neither
     */
    public static Range parse(String text) {
        int dots = text.indexOf("..");
        try {
            return dots < 0
                    ? of(Integer.parseInt(text.strip()))
                    : of(
                            Integer.parseInt(text.substring(0, dots).strip()),
                            Integer.parseInt(text.substring(dots + 2).strip()));
        } catch (NumberFormatException e) {
            throw new IsthmusException("'" + text + "' is neither a number nor a range such as 1..3.", e);
        }
    }

    /** Whether a number is in this range. */
    public boolean contains(long value) {
        return low <= value && value <= high;
    }

    /** One of the numbers, each equally likely. */
    public int draw(Rng rng) {
        return (int) rng.nextLong(low, high + 1L);
    }

    /** This range, if it lies within the given bounds. */
    Range within(int min, int max, String setting) {
        if (low < min || high > max) {
            throw new IsthmusException(setting + " must lie in " + min + ".." + max + ", but is " + this + ".");
        }
        return this;
    }

    @Override
    public String toString() {
        return low == high ? String.valueOf(low) : low + ".." + high;
    }
}
