package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/**
 * DPO that trusts clear pairs more: {@code -log sg(beta(m) D)}, {@code beta(m) = beta (1 + w (1 - exp(-k m)))}, {@code m} the margin of
 * the scores, at least 0 (Zhang et al. 2025, MM-RLHF).
 *
 * @param w how much larger beta gets at most, relatively
 * @param k how fast
 */
public record DynamicBetaLoss(double beta, double w, double k) implements PairLoss {
    public DynamicBetaLoss {
        Require.positive("beta", beta);
        Require.notNegative("w", w);
        Require.positive("k", k);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor scale = Autograd.noGrad(() -> pairs.chosen()
                .scored()
                .sub(pairs.rejected().scored())
                .clampMin(0)
                .mul(-k)
                .expm1()
                .mul(-w)
                .add(1));
        Tensor losses = DpoLossType.logistic(pairs.margins().mul(scale).mul(beta));
        return new LossResult(pairs.mean(losses), PairMetrics.ofLogRatios(pairs, beta));
    }
}
