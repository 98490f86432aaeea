package dev.isthmus.train.data;

import java.util.Arrays;
import java.util.Locale;

/** Which end of a sequence that is too long is kept: TRL's {@code truncation_mode}. */
public enum Truncation {
    KEEP_START,
    KEEP_END;

    /** At most {@code length} of the tokens. */
    public int[] cut(int[] tokens, int length) {
        int from = from(tokens.length, length);
        return Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + length));
    }

    /** The place of the first token that is kept. */
    public int from(int tokens, int length) {
        return this == KEEP_START ? 0 : Math.max(0, tokens - length);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
