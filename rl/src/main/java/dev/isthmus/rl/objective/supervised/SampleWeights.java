package dev.isthmus.rl.objective.supervised;

import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/** What completions count when they are imitated: for {@link ImitationLoss}, or as the {@code weight} of rows of a file. */
public final class SampleWeights {
    private SampleWeights() {}

    /**
     * Reward-weighted regression: {@code exp(r / tau)} divided by its mean over the completions of the same prompt (Peters and Schaal
     * 2007; for several turns recursive introspection, Qu et al. 2024, arXiv 2407.18219).
     *
     * <p>Where the completions of a prompt are sampled from {@code mu}, the policy that minimizes the loss is {@code mu exp(r / tau)},
     * normalized.
     *
     * @param rewards those of one prompt stand together; NaN for a completion that could not be scored, which gets the weight 0
     */
    public static double[] rewardWeighted(double[] rewards, int numGenerations, double tau) {
        return Arrays.stream(centred(rewards, numGenerations, tau))
                .map(r -> Double.isNaN(r) ? 0 : StrictMath.exp(r / tau))
                .toArray();
    }

    /**
     * {@code v - tau log mean exp(v / tau)} over the completions of the same prompt: the values by which a policy tilted by {@code
     * exp(v / tau)} stays normalized, as regression to advantages asks for ({@link
     * dev.isthmus.rl.objective.preference.AdvantageRegressionLoss}).
     *
     * @param values those of one prompt, or state, stand together; NaN counts for nothing and stays
     */
    public static double[] centred(double[] values, int numGenerations, double tau) {
        Require.positive("tau", tau);
        if (numGenerations < 1 || values.length % numGenerations != 0) {
            throw new IsthmusException(values.length + " values are not groups of num_generations " + numGenerations
                    + "; give a multiple of it");
        }
        double[] centred = new double[values.length];
        for (int from = 0; from < values.length; from += numGenerations) {
            double[] group = Arrays.stream(values, from, from + numGenerations)
                    .filter(v -> !Double.isNaN(v))
                    .toArray();
            double best = Arrays.stream(group).max().orElse(0);
            double mean = Arrays.stream(group)
                    .map(v -> StrictMath.exp((v - best) / tau))
                    .average()
                    .orElse(1);
            for (int i = from; i < from + numGenerations; i++) {
                centred[i] = values[i] - best - tau * StrictMath.log(mean);
            }
        }
        return centred;
    }

    /**
     * Advantage-weighted regression: {@code min(exp(A / beta), maxWeight)} (Peng et al. 2019, arXiv 1910.00177, algorithm 1; its
     * authors take 20 for the bound).
     */
    public static double[] advantageWeighted(double[] advantages, double beta, double maxWeight) {
        Require.positive("beta", beta);
        Require.positive("max_weight", maxWeight);
        return Arrays.stream(advantages)
                .map(a -> Math.min(StrictMath.exp(a / beta), maxWeight))
                .toArray();
    }
}
