package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Binary classifier optimization: {@code -log sg(s (beta lr(y) - delta))}, {@code s = 1} for a good and -1 for a bad completion,
 * {@code delta} the {@link Mean} of all rewards {@code beta lr} so far, those of the batch among them (Jung et al. 2024).
 *
 * <p>{@code delta} is {@link Labelled#baseline}; {@link Labelled#weights} hold the density ratios of the paper.
 */
public record BcoLoss(double beta) implements LabelledLoss {
    public BcoLoss {
        Require.positive("beta", beta);
    }

    /** The mean of all rewards seen, and how many there were: the state of a run. */
    public record Mean(double delta, long count) {
        /** Before the first reward. */
        public static final Mean NONE = new Mean(0, 0);

        /** With {@code more} rewards of which {@code mean} is the mean. */
        public Mean with(double mean, int more) {
            return new Mean(delta + (mean - delta) * more / (count + more), count + more);
        }
    }

    @Override
    public LossResult compute(Labelled batch) {
        Tensor rewards = batch.completions().logRatios().mul(beta);
        Tensor losses = DpoLossType.logistic(rewards.sub(batch.baseline()).mul(batch.signs()));
        Map<String, Double> metrics = batch.metrics(beta);
        metrics.put("delta", batch.baseline());
        return new LossResult((batch.weights() == null ? losses : losses.mul(batch.weights())).mean(), metrics);
    }

    /**
     * What a bad completion counts when its prompt stems from elsewhere than those of the good ones: {@code p / (1 - p)} within
     * bounds, {@code p} being the probability that a prompt is one of the good ones'; TRL's bounds are 0.5 and 10.
     */
    public static double densityRatio(double p, double minDensityRatio, double maxDensityRatio) {
        return Math.clamp(p / (1 - p + 1e-8), minDensityRatio, maxDensityRatio);
    }
}
