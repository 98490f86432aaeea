package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Tensor;

/** What the tokens of a completion count, {@code [N, T]}, for {@link TokenLogps#sum(Tensor)}. */
public final class TokenWeights {
    private TokenWeights() {}

    /**
     * 1 for as many tokens as both completions of a pair have, {@code ldAlpha} for the rest of the longer (LD-DPO, Liu et al.
     * 2024, eq. 9).
     *
     * @param mask {@code [N, T]}, of one side of the pairs
     * @param otherLengths {@code [N]}, of the other side
     */
    public static Tensor lengthDesensitized(Tensor mask, Tensor otherLengths, double ldAlpha) {
        Tensor tail = mask.cumsum(1).gt(otherLengths.reshape(-1, 1));
        return Tensor.onesLike(mask).maskedFill(tail, ldAlpha);
    }
}
