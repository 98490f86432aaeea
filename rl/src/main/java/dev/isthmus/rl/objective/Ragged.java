package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Tensor;
import java.util.Arrays;

/** Tokens of {@code B} completions one after another, laid out in rows of the longest, {@code T}, with zeros behind the others. */
public final class Ragged {
    private final int[] lengths;
    private final int columns;
    private final Tensor index;

    /** The layout of completions with so many tokens, in the current scope. */
    public Ragged(int[] lengths) {
        this.lengths = lengths.clone();
        columns = Math.max(1, Arrays.stream(lengths).max().orElse(0));
        int[] from = new int[lengths.length * columns];
        // Padding reads a zero that stands behind the last token.
        Arrays.fill(from, Arrays.stream(lengths).sum());
        for (int row = 0, token = 0; row < lengths.length; row++) {
            for (int t = 0; t < lengths[row]; t++) {
                from[row * columns + t] = token++;
            }
        }
        index = Tensor.of(from, from.length);
    }

    /** {@code T}. */
    public int columns() {
        return columns;
    }

    /** {@code [B, T]} of numbers of all tokens one after another; the gradient passes. */
    public Tensor pad(Tensor values) {
        return Tensor.cat(0, values, Tensor.zeros(values.dtype(), 1))
                .indexSelect(0, index)
                .reshape(lengths.length, columns);
    }
}
