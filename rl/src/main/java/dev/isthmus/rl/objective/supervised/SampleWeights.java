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
        Require.positive("tau", tau);
        if (numGenerations < 1 || rewards.length % numGenerations != 0) {
            throw new IsthmusException(rewards.length + " rewards are not groups of num_generations " + numGenerations
                    + "; give a multiple of it");
        }
        double[] weights = new double[rewards.length];
        for (int from = 0; from < rewards.length; from += numGenerations) {
            double[] group = Arrays.stream(rewards, from, from + numGenerations)
                    .filter(r -> !Double.isNaN(r))
                    .toArray();
            double best = Arrays.stream(group).max().orElse(0);
            double mean = Arrays.stream(group)
                    .map(r -> StrictMath.exp((r - best) / tau))
                    .average()
                    .orElse(1);
            for (int i = from; i < from + numGenerations; i++) {
                weights[i] = Double.isNaN(rewards[i]) ? 0 : StrictMath.exp((rewards[i] - best) / tau) / mean;
            }
        }
        return weights;
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
