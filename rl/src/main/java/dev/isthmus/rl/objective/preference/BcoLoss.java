package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Binary classifier optimization: {@code -log sg(s (beta lr(y) - delta))}, {@code s = 1} for a good and -1 for a bad completion,
 * {@code delta} the mean of all rewards {@code beta lr} so far (Jung et al. 2024).
 *
 * <p>{@code delta} is the state of a run: a trainer saves and restores it. {@link Labelled#weights} hold the density ratios of the
 * paper.
 */
public final class BcoLoss implements LabelledLoss {
    private final double beta;
    private State state = new State(0, 0);
    private boolean counting = true;

    public BcoLoss(double beta) {
        Require.positive("beta", beta);
        this.beta = beta;
    }

    /** The mean of all rewards seen, and how many there were. */
    public record State(double delta, long count) {}

    /** What must be saved for the next step to be the same. */
    public State state() {
        return state;
    }

    /** Continues where a saved run was. */
    public void restore(State saved) {
        state = saved;
    }

    /** Whether batches count towards {@code delta}: those that are learned do, those that are only looked at do not. */
    public void setCounting(boolean counting) {
        this.counting = counting;
    }

    /** The loss; a batch that counts towards {@code delta} does so before it is used, as in TRL. */
    @Override
    public LossResult compute(Labelled batch) {
        Tensor rewards = batch.completions().logRatios().mul(beta);
        if (counting) {
            double mean = Autograd.noGrad(() -> rewards.to(DType.FLOAT64).mean().item());
            // What is no number would stay in the mean for good, when the step is skipped, too.
            if (Double.isFinite(mean)) {
                long count = state.count + batch.labels().length;
                state = new State(state.delta + (mean - state.delta) * batch.labels().length / count, count);
            }
        }
        Tensor losses = DpoLossType.logistic(rewards.sub(state.delta).mul(batch.signs()));
        Map<String, Double> metrics = batch.metrics(beta);
        metrics.put("delta", state.delta);
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
