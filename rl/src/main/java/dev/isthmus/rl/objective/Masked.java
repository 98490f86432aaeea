package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Tensor;

/** Means over the tokens that count, those where a mask {@code [B, T]} is 1; none are never divided by. */
final class Masked {
    private Masked() {}

    /** The mean of {@code values [B, T]}, a number; of one value for each sequence, {@code [B, 1]}, the mean over these. */
    static Tensor mean(Tensor values, Tensor mask) {
        return values.size(1) == 1 && mask.size(1) != 1
                ? values.mean()
                : sum(values, mask).div(count(mask));
    }

    /** The sum of {@code values [B, T]} or {@code [B, 1]} over the tokens, a number. */
    static Tensor sum(Tensor values, Tensor mask) {
        return values.mul(mask).sum();
    }

    /** The mean over the tokens of each sequence: {@code [B]}. */
    static Tensor meanOfSequences(Tensor values, Tensor mask) {
        return values.mul(mask).sum(1, false).div(mask.sum(1, false).clampMin(1));
    }

    /** How many tokens count, at least 1. */
    static double count(Tensor mask) {
        return Math.max(1, mask.sum().item());
    }

    /** The advantages {@code [B]} of sequences as {@code [B, 1]}; those of tokens, {@code [B, T]}, as they are. */
    static Tensor column(Tensor advantages) {
        return advantages.rank() == 1 ? advantages.unsqueeze(1) : advantages;
    }
}
