package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;

/**
 * Token-level DPO: {@code -log sg(beta D - alpha beta [KL(y-) - KL(y+)])}, {@code KL(y)} the sum over the tokens of the divergence from
 * reference to policy (Zeng et al. 2024).
 *
 * @param alpha the weight of the divergences; 1 in the first version
 * @param stopChosen whether {@code KL(y+)} is held constant: the second version
 */
public record TdpoLoss(double beta, double alpha, boolean stopChosen) implements PairLoss {
    public TdpoLoss {
        Require.positive("beta", beta);
        Require.notNegative("alpha", alpha);
    }

    /** TDPO1. */
    public static TdpoLoss first(double beta) {
        return new TdpoLoss(beta, 1, false);
    }

    /** TDPO2; its authors take an {@code alpha} of 0.5. */
    public static TdpoLoss second(double beta, double alpha) {
        return new TdpoLoss(beta, alpha, true);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor chosenKl = pairs.chosen().divergences();
        Tensor divergence = pairs.rejected().divergences().sub(stopChosen ? chosenKl.detach() : chosenKl);
        Tensor logit = pairs.margins().sub(divergence.mul(alpha)).mul(beta);
        return new LossResult(pairs.mean(DpoLossType.logistic(logit)), PairMetrics.ofLogRatios(pairs, beta));
    }

    /** {@code sum_v p_ref(v) log(p_ref(v) / p(v))} over the last dimension of the logits: {@code [N, T]}, with gradient. */
    public static Tensor tokenKl(Tensor refLogits, Tensor logits) {
        return new DistillationLoss(0, 1).perToken(logits, refLogits.detach());
    }
}
