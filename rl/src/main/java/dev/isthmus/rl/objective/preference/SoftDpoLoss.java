package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;

/**
 * DPO with a probability for a label: {@code -q log sg(beta D) - (1 - q) log sg(-beta D)}, {@code q} being {@link Pairs#targets}.
 *
 * <p>What {@code q} is makes the paper ({@link PairTargets}): the same {@code 1 - e} for all is {@link DpoLossType#CDPO}, a consistency
 * CREAM, visit counts MCTS-DPO; against the policy that sampled the pairs it is DNO.
 */
public record SoftDpoLoss(double beta) implements PairLoss {
    public SoftDpoLoss {
        Require.positive("beta", beta);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor q = Completions.given(pairs.targets(), "the probability that the chosen completion is better");
        Tensor logit = pairs.margins().mul(beta);
        Tensor losses = DpoLossType.logistic(logit)
                .mul(q)
                .add(DpoLossType.logistic(logit.neg()).mul(q.neg().add(1)));
        return new LossResult(pairs.mean(losses), PairMetrics.ofLogRatios(pairs, beta));
    }
}
