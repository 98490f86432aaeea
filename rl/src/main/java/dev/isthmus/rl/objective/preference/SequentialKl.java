package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/** How far the policy has gone from the reference at each token: TDPO's sequential divergence is the sum over a completion. */
public final class SequentialKl {
    private static final long TOKENS_AT_ONCE = 128;

    private SequentialKl() {}

    /**
     * {@code sum_v p_ref(v) log(p_ref(v) / p(v))} at every token: {@code [T]}, with gradient (Zeng et al. 2024).
     *
     * <p>Some tokens at once; what is computed on the way is freed, and computed again for the gradient, so that no distribution of
     * the reference is kept.
     *
     * @param logits {@code [T, V]}, of the policy, with gradient
     * @param refHidden {@code [T, C]}, the last hidden states of the reference
     * @param refHead its logits {@code [N, V]} of hidden states {@code [N, C]}
     */
    public static Tensor perToken(Tensor logits, Tensor refHidden, UnaryOperator<Tensor> refHead) {
        DistillationLoss kl = new DistillationLoss(0, 1);
        List<Tensor> parts = new ArrayList<>();
        for (long from = 0; from < logits.size(0); from += TOKENS_AT_ONCE) {
            long to = Math.min(from + TOKENS_AT_ONCE, logits.size(0));
            Tensor hidden = refHidden.detach().slice(0, from, to);
            parts.add(Autograd.checkpoint(
                    x -> kl.perToken(x[0], Autograd.noGrad(() -> refHead.apply(hidden))), logits.slice(0, from, to)));
        }
        return Tensor.cat(0, parts.toArray(Tensor[]::new));
    }
}
