package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.Ragged;
import dev.isthmus.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The log-probs of the tokens of {@code N} completions, each beginning at column 0 or wherever its mask begins.
 *
 * @param logps {@code [N, T]}, under the policy, with gradient; anything where the mask is 0
 * @param refLogps {@code [N, T]}, under the reference, or null
 * @param mask {@code [N, T]}, 1 for the tokens of the completion, in the dtype of {@code logps}
 */
public record TokenLogps(Tensor logps, @Nullable Tensor refLogps, Tensor mask) {
    public TokenLogps {
        Completions.sameShape("ref_logps", refLogps, logps);
        Completions.sameShape("mask", mask, logps);
    }

    /**
     * Completions whose tokens lie one after another, as {@link dev.isthmus.train.CompletionLoss} gives them.
     *
     * @param logps {@code [sum of lengths]}
     * @param refLogps {@code [sum of lengths]}, or null
     */
    public static TokenLogps ofRagged(Tensor logps, @Nullable Tensor refLogps, int[] lengths) {
        Ragged layout = new Ragged(lengths);
        return new TokenLogps(
                layout.pad(logps),
                refLogps == null ? null : layout.pad(refLogps),
                layout.pad(Tensor.onesLike(logps.detach())));
    }

    /** Rows {@code from} to {@code to - 1}. */
    public TokenLogps rows(int from, int to) {
        return new TokenLogps(
                logps.slice(0, from, to),
                refLogps == null ? null : refLogps.slice(0, from, to),
                mask.slice(0, from, to));
    }

    /** Every {@code step}-th row from {@code first} on. */
    public TokenLogps every(int first, int step) {
        long end = logps.size(0);
        return new TokenLogps(
                logps.slice(0, first, end, step),
                refLogps == null ? null : refLogps.slice(0, first, end, step),
                mask.slice(0, first, end, step));
    }

    /** The sums over the tokens of each completion. */
    public Completions sum() {
        return Completions.of(total(logps), refLogps == null ? null : total(refLogps), lengths());
    }

    /** The sums of {@code weights}, {@code [N, T]}, times the log-probs; the lengths remain those of the completions. */
    public Completions sum(Tensor weights) {
        return Completions.of(
                total(logps.mul(weights)), refLogps == null ? null : total(refLogps.mul(weights)), lengths());
    }

    /** The sum of {@code values}, {@code [N, T]}, over the tokens of each completion: {@code [N]}. */
    Tensor total(Tensor values) {
        return values.maskedFill(mask.eq(0), 0).sum(1, false);
    }

    /** {@code [N]}, in the dtype of the log-probs. */
    public Tensor lengths() {
        return mask.sum(1, false);
    }
}
