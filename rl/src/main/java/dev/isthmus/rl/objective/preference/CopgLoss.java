package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;

/**
 * Contrastive policy gradient: {@code -([R1 - R2] D - (beta / 2) D^2)} with {@code D = lr(y1) - lr(y2)} (Flet-Berliac et al. 2024,
 * CoPG).
 *
 * <p>Each completion is the other's baseline, which makes the gradient right for pairs from any distribution, without ratios to it. The
 * optimum is {@code pi_ref exp(R / beta)}; with rewards 1/2 and -1/2 this is IPO, and its gradient is that of {@link
 * RewardRegressionLoss} over {@code 2 beta}.
 */
public record CopgLoss(double beta) implements PairLoss {
    public CopgLoss {
        Require.positive("beta", beta);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor rewards = pairs.chosen().scored().sub(pairs.rejected().scored()).detach();
        Tensor margins = pairs.margins();
        Tensor losses = margins.square().mul(beta / 2).sub(rewards.mul(margins));
        return new LossResult(pairs.mean(losses), PairMetrics.ofLogRatios(pairs, beta));
    }
}
