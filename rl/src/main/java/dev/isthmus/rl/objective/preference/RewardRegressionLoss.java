package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;

/**
 * {@code (beta D - [r(y1) - r(y2)])^2}: the policy's implied reward fitted to the scores {@code r} by their difference, so that no
 * normaliser is needed (Gao et al. 2024, REBEL).
 *
 * <p>RLHF-sharpening is this with {@code r = lp_ref} ({@link #selfRewarded}); its optimum is {@code pi_ref^(1 + 1/beta)} (Huang et al.
 * 2024).
 */
public record RewardRegressionLoss(double beta) implements PairLoss {
    public RewardRegressionLoss {
        Require.positive("beta", beta);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor rewards = pairs.chosen().scored().sub(pairs.rejected().scored()).detach();
        Tensor losses = pairs.margins().mul(beta).sub(rewards).square();
        return new LossResult(pairs.mean(losses), PairMetrics.ofLogRatios(pairs, beta));
    }

    /** The completions with what the reference itself thinks of them for a score. */
    public static Completions selfRewarded(Completions completions) {
        return completions.withScores(completions.reference());
    }
}
