package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Self-play preference optimization: {@code (lr(y) - eta (P(y > pi_t) - 1/2))^2} against the policy {@code pi_t} that sampled (Wu et
 * al. 2024).
 *
 * <p>The scores are the estimated {@code P(y > pi_t)}, the reference is {@code pi_t}. {@link DpoLossType#SPPO_HARD} is TRL's form
 * with probabilities 1 and 0 and {@code beta = 1/eta}.
 */
public record SppoLoss(double eta) implements ScoredLoss {
    public SppoLoss {
        Require.positive("eta", eta);
    }

    @Override
    public LossResult compute(Completions completions) {
        Tensor target = completions.scored().detach().sub(0.5).mul(eta);
        Tensor loss = completions.logRatios().sub(target).square().mean();
        return new LossResult(
                loss,
                Map.of("rewards/probabilities", completions.scored().mean().item()));
    }
}
