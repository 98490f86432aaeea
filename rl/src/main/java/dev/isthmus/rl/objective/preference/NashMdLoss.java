package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The policy gradient of Nash-MD: {@code -A lp(y)} with {@code A = P(y > y') - 1/2 - tau lr(y)} held constant (Munos et al. 2023,
 * Nash-MD-PG).
 *
 * <p>{@code y} is sampled from the policy, {@code y'} from the geometric mixture of policy and reference that the mixture coefficient
 * gives; the scores are {@code P(y > y')}. With a coefficient above 0 the fixed point is near the regularised Nash equilibrium, not
 * at it. TRL weighs each token with its own log-ratio instead of that of the sequence.
 *
 * @param tau the weight of the KL divergence from the reference; TRL's {@code beta}
 */
public record NashMdLoss(double tau) implements ScoredLoss {
    public NashMdLoss {
        Require.notNegative("beta", tau);
    }

    @Override
    public LossResult compute(Completions completions) {
        Tensor probability = completions.scored().detach();
        Tensor logRatios = Autograd.noGrad(completions::logRatios);
        Tensor advantage = Autograd.noGrad(() -> probability.sub(0.5).sub(logRatios.mul(tau)));
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("loss/kl", logRatios.mean().item());
        metrics.put(
                "loss/score",
                Autograd.noGrad(() ->
                        probability.sub(0.5).mul(completions.logps()).mean().item()));
        metrics.put("rewards/probabilities", probability.mean().item());
        return new LossResult(advantage.mul(completions.logps()).mean().neg(), metrics);
    }
}
