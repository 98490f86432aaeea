package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * PPO's loss of an actor and a critic (Schulman et al. 2017, arXiv 1707.06347, eq. 7 and 9), with TRL's names.
 *
 * <p>{@code mean_t max(-rho A, -clip(rho, 1 - c, 1 + c) A) + vf_coef mean_t max((V - G)^2, (V_clip - G)^2) / 2} with {@code
 * V_clip = clip(V, V_old - c_v, V_old + c_v)}. The KL penalty is in the rewards that A and G come from.
 */
public record PpoLoss(double cliprange, double cliprangeValue, double vfCoef) {
    public PpoLoss {
        Require.notNegative("cliprange", cliprange);
        Require.notNegative("cliprange_value", cliprangeValue);
        Require.notNegative("vf_coef", vfCoef);
    }

    /** TRL's defaults. */
    public static PpoLoss defaults() {
        return new PpoLoss(0.2, 0.2, 0.1);
    }

    /**
     * Completions of a micro-batch, all {@code [B, T]}.
     *
     * @param logps of the policy, with gradient
     * @param oldLogps of the policy that sampled
     * @param mask 1 for the tokens that count
     * @param values of the critic, with gradient; one for each state
     * @param oldValues of the critic that the advantages come from
     * @param valueMask 1 for the states that count
     */
    public record Inputs(
            Tensor logps,
            Tensor oldLogps,
            Tensor advantages,
            Tensor mask,
            Tensor values,
            Tensor oldValues,
            Tensor returns,
            Tensor valueMask) {}

    /** The losses, numbers with gradient, and TRL's metrics of them. */
    public record Result(Tensor loss, Tensor policyLoss, Tensor valueLoss, Map<String, Double> metrics) {}

    /** The loss of a micro-batch. */
    public Result compute(Inputs in) {
        Tensor logRatio = in.logps.sub(in.oldLogps).mul(in.mask);
        Tensor ratio = logRatio.exp();
        var clipped = new Surrogate.Clipped(cliprange, cliprange, null);
        var tokens = new Surrogate.Tokens(in.logps, logRatio, ratio, in.advantages, in.mask);
        Tensor policyLoss = Masked.mean(clipped.cost(tokens), in.mask);

        Tensor near = in.values.minimum(in.oldValues.add(cliprangeValue)).maximum(in.oldValues.sub(cliprangeValue));
        Tensor free = in.values.sub(in.returns).square();
        Tensor bounded = near.sub(in.returns).square();
        Tensor valueLoss = Masked.mean(free.maximum(bounded), in.valueMask).mul(0.5);

        Map<String, Double> metrics = new LinkedHashMap<>();
        Autograd.noGrad(() -> {
            Tensor lower = ratio.mul(in.advantages);
            Tensor upper = ratio.clamp(1 - cliprange, 1 + cliprange).mul(in.advantages);
            metrics.put(
                    "policy/approxkl_avg",
                    Masked.mean(logRatio.square(), in.mask).item() / 2);
            metrics.put("policy/clipfrac_avg", share(upper.lt(lower), in.mask));
            metrics.put("loss/policy_avg", policyLoss.item());
            metrics.put("loss/value_avg", valueLoss.item());
            metrics.put("val/clipfrac_avg", share(bounded.gt(free), in.valueMask));
            metrics.put("val/ratio", Masked.mean(ratio, in.mask).item());
        });
        return new Result(policyLoss.add(valueLoss.mul(vfCoef)), policyLoss, valueLoss, metrics);
    }

    private static double share(Tensor condition, Tensor mask) {
        return Masked.mean(condition.to(mask.dtype()), mask).item();
    }
}
