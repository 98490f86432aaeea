package dev.isthmus.train;

import java.util.stream.IntStream;

/**
 * Tokens of which some are learned.
 *
 * @param tokens as the model reads them
 * @param learned the places of those that are learned, in ascending order, all at least 1
 * @param weight what their losses are multiplied by
 */
public record Sequence(int[] tokens, int[] learned, double weight) {
    /** An example whose completion is learned. */
    public static Sequence of(Example example) {
        return of(example.tokens(), example.promptLength());
    }

    /** Tokens of which all from {@code first} on are learned. */
    public static Sequence of(int[] tokens, int first) {
        return new Sequence(tokens, IntStream.range(first, tokens.length).toArray(), 1);
    }
}
