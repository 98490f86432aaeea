package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Implicit language Q-learning (Snell et al. 2023, arXiv 2206.11871): {@link QValueLoss} plus {@code awac_scale} times {@code -exp(beta
 * (Q'(s, a) - V(s))) log pi(a|s)}, which with a {@code beta} of 0 is the language model's loss.
 */
public record IlqlLoss(QValueLoss values, double awacScale, double beta) {
    public IlqlLoss {
        Require.notNegative("awac_scale", awacScale);
        Require.notNegative("beta", beta);
    }

    /**
     * The loss, a mean over the actions that count; metrics under trlX's keys.
     *
     * @param logps {@code log pi(a|s) [B, T]}, with gradient
     * @throws IsthmusException if V learns nothing
     */
    public LossResult compute(QValueLoss.Inputs in, Tensor logps) {
        LossResult result = values.compute(in);
        Tensor advantages = in.advantages();
        if (advantages == null) {
            throw new IsthmusException("ILQL needs V(s), and Q'(s, a) of a target network.");
        }
        Tensor weights = Autograd.noGrad(() -> advantages.detach().mul(beta).exp());
        Tensor awac = Masked.mean(logps.mul(weights).neg(), in.mask());
        Map<String, Double> metrics = new LinkedHashMap<>(result.metrics());
        metrics.put("losses/loss_awac", awac.item());
        metrics.put("awac_weight/mean", Masked.mean(weights, in.mask()).item());
        return new LossResult(result.loss().add(awac.mul(awacScale)), metrics);
    }
}
