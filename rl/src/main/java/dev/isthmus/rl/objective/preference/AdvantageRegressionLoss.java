package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.rl.objective.supervised.SampleWeights;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * {@code scale (lr(a) - A(a) / beta)^2}: the log-ratio of an action fitted to its advantage, off-policy.
 *
 * <p>An action is what one number of the completions stands for: a reasoning step, an utterance, a whole answer. Its score is the
 * advantage, from a critic that is trained apart. The optimum {@code pi_ref exp(A / beta)} is reached only if that sums to 1; {@link
 * SampleWeights#centred} makes advantages so.
 */
public record AdvantageRegressionLoss(double beta, double scale) implements ScoredLoss {
    public AdvantageRegressionLoss {
        Require.positive("beta", beta);
        Require.positive("scale", scale);
    }

    /**
     * {@code (A / beta - lr)^2 / 2} of steps (Liu et al. 2024, Direct Advantage Policy Optimization). Unsure: the paper's scale of A.
     */
    public static AdvantageRegressionLoss directAdvantage(double beta) {
        return new AdvantageRegressionLoss(beta, 0.5);
    }

    /**
     * {@code (beta lr - A)^2} of utterances (Qi et al. 2024, WebRL). The published trainer makes A one of two numbers and learns from
     * the positive only; this is the paper's.
     */
    public static AdvantageRegressionLoss webRl(double beta) {
        return new AdvantageRegressionLoss(beta, beta * beta);
    }

    @Override
    public LossResult compute(Completions completions) {
        Tensor target = completions.scored().detach().div(beta);
        Tensor loss = completions.logRatios().sub(target).square().mean().mul(scale);
        return new LossResult(
                loss, Map.of("advantages", completions.scored().mean().item()));
    }
}
