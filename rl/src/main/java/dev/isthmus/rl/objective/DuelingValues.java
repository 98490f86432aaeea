package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;

/**
 * Q values that a language model has from the start: {@code Q(s, a) = alpha (l_a - max l) + V(s)} of its logits {@code l}, so that {@code
 * max_a Q(s, a) = V(s)} and the likeliest token is the best (Yu et al. 2024, B-Coder, arXiv 2310.03173).
 *
 * <p>They learn by {@link QValueLoss} whose next value is {@code Q'(s', a')}, {@code a'} the likeliest token of the frozen model that the
 * training began with: a conservative backup. Unsure: details of the paper's parametrisation.
 */
public record DuelingValues(double alpha) {
    public DuelingValues {
        Require.positive("alpha", alpha);
    }

    /**
     * {@code Q(s, a)} of tokens {@code a [...]}, of {@code logits [..., V]} and {@code values [...]}; with gradient.
     */
    public Tensor of(Tensor logits, Tensor values, Tensor tokens) {
        // log softmax differs from the logits by what both terms have in common.
        Tensor chosen = Functional.selectiveLogSoftmax(logits, tokens);
        Tensor best = logits.logSoftmax(-1).max(-1, false);
        return chosen.sub(best).mul(alpha).add(values);
    }

    /** {@code Q'(s', argmax_a l_0(a))}: what the conservative backup takes for the value of the next state. */
    public Tensor conservative(Tensor logits, Tensor values, Tensor frozenLogits) {
        return of(logits, values, frozenLogits.argmax(-1, false));
    }

    /**
     * {@code sum_t (Q(s_t, a_t) - gamma V(s_{t+1}))}: the reward that the values imply, {@code [B]}, by which programs are ranked.
     *
     * @param q {@code [B, T]}
     * @param nextValues {@code [B, T]}, 0 after the last token
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    public static Tensor impliedRewards(Tensor q, Tensor nextValues, double gamma, Tensor mask) {
        return q.sub(nextValues.mul(gamma)).mul(mask).sum(1, false);
    }
}
