package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Pairwise proximal policy optimization: a policy gradient on the difference of two rewards, which an offset of all rewards of a prompt
 * cannot change (Wu et al. 2023, P3O).
 *
 * <p>The reference of the completions is the policy {@code pi_old} that sampled both, their scores are rewards {@code R}, the KL penalty
 * included; {@code rho = pi / pi_old} is taken of a whole completion and {@code A = (R1 - R2) / 2}. At {@code pi = pi_old} both forms
 * have the gradient {@code -A (d lp(y1) - d lp(y2))}, in the mean that of the expected reward.
 *
 * <p>Unsure: how the paper clips the joint ratio.
 *
 * @param epsilon how far a ratio may leave 1
 */
public record P3oLoss(double epsilon, Clipping clipping) implements PairLoss {
    /** Which ratios are clipped. */
    public enum Clipping {
        /** Of each completion: {@code -min(rho1 A, clip(rho1) A) - min(-rho2 A, -clip(rho2) A)}, PPO's of both. */
        SEPARATE,
        /**
         * Of the pair: {@code -rho1 rho2 min(A d, A clip(d, log(1 - epsilon), log(1 + epsilon)))} with {@code d = log rho1 - log rho2}
         * and the product held constant.
         */
        JOINT
    }

    public P3oLoss {
        Require.positive("epsilon", epsilon);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor advantage =
                pairs.chosen().scored().sub(pairs.rejected().scored()).mul(0.5).detach();
        Tensor first = pairs.chosen().logRatios();
        Tensor second = pairs.rejected().logRatios();
        Tensor losses = switch (clipping) {
            case SEPARATE -> clipped(first, advantage).add(clipped(second, advantage.neg()));
            case JOINT -> joint(first, second, advantage);
        };
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("rewards/margins", advantage.abs().mean().item() * 2);
        metrics.put("val/ratio", Autograd.noGrad(() -> first.exp().mean().item()));
        return new LossResult(pairs.mean(losses), metrics);
    }

    private Tensor clipped(Tensor logRatio, Tensor advantage) {
        Tensor ratio = logRatio.exp();
        return ratio.mul(advantage)
                .minimum(ratio.clamp(1 - epsilon, 1 + epsilon).mul(advantage))
                .neg();
    }

    private Tensor joint(Tensor first, Tensor second, Tensor advantage) {
        Tensor weight = Autograd.noGrad(() -> first.add(second).exp());
        Tensor difference = first.sub(second);
        double low = epsilon < 1 ? StrictMath.log1p(-epsilon) : Double.NEGATIVE_INFINITY;
        Tensor bounded = difference.clamp(low, StrictMath.log1p(epsilon));
        return difference
                .mul(advantage)
                .minimum(bounded.mul(advantage))
                .mul(weight)
                .neg();
    }
}
