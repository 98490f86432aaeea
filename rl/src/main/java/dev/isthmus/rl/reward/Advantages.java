package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * How much better each completion is than the others of its prompt.
 *
 * <p>Completions of one prompt stand together: rows {@code [g * numGenerations, (g + 1) * numGenerations)} are a group.
 *
 * @param values the advantage of each completion; 0 for one that no function could score
 * @param rewards the reward of each completion after aggregation; NaN for one that no function could score
 * @param std for each completion, the standard deviation its advantage was, or could have been, divided by
 */
public record Advantages(double[] values, double[] rewards, double[] std) {
    /** What keeps the division by a standard deviation finite, in TRL and here. */
    private static final double EPSILON = 1e-4;

    /** TRL's {@code scale_rewards}: the standard deviation that rewards are divided by. */
    public enum ScaleRewards {
        /** That of the group (GRPO, arXiv 2402.03300). */
        GROUP,
        /** That of the whole batch (arXiv 2508.08221). */
        BATCH,
        /** None (Dr. GRPO, arXiv 2503.20783). */
        NONE
    }

    /** TRL's {@code multi_objective_aggregation}: how the rewards of several functions become one. */
    public enum MultiObjectiveAggregation {
        /** The weighted sum is normalized within the group. */
        SUM_THEN_NORMALIZE,
        /** Each function is normalized within the group, then the weighted sum within the batch (GDPO). */
        NORMALIZE_THEN_SUM
    }

    /**
     * GRPO's group-relative advantages: reward minus the group's mean, by default divided by the group's standard
     * deviation + 1e-4. Standard deviations are the unbiased ones of what could be scored.
     *
     * @param rewards {@code [completion][function]}, NaN where a function could not score
     * @param weights one for each function
     * @throws IsthmusException if groups, functions and weights do not fit together, or a group has fewer than two
     */
    public static Advantages groupRelative(
            double[][] rewards,
            double[] weights,
            int numGenerations,
            ScaleRewards scaleRewards,
            MultiObjectiveAggregation aggregation) {
        requireGroups(rewards.length, numGenerations);
        for (double[] row : rewards) {
            requireWeights(weights, row.length);
        }
        return switch (aggregation) {
            case SUM_THEN_NORMALIZE -> {
                double[] sums = weightedSums(rewards, weights);
                double[] std = spread(sums, scaleRewards == ScaleRewards.BATCH ? sums.length : numGenerations);
                yield of(sums, mean(sums, numGenerations), std, scaleRewards != ScaleRewards.NONE);
            }
            case NORMALIZE_THEN_SUM -> {
                double[] sums = weightedSums(normalizeEach(rewards, numGenerations), weights);
                for (int i = 0; i < sums.length; i++) {
                    sums[i] = Arrays.stream(rewards[i]).allMatch(Double::isNaN) ? Double.NaN : sums[i];
                }
                yield of(sums, mean(sums, sums.length), spread(sums, sums.length), true);
            }
        };
    }

    /**
     * RLOO's leave-one-out advantages: reward minus the mean of the group's other rewards (arXiv 2402.14740).
     *
     * <p>They are {@code K / (K - 1) (R - mean R)}, so those of LOOP (Chen et al. 2025, arXiv 2502.01600) too, with a loss clipped for
     * each token; normalized, they are those of REINFORCE++-baseline (Hu 2025, arXiv 2501.03262).
     *
     * @param rewards one for each completion, after clipping and the KL penalty; NaN is not allowed
     * @param normalize whether to shift and divide them to mean 0 and standard deviation 1 over the batch
     */
    public static Advantages leaveOneOut(double[] rewards, int numGenerations, boolean normalize) {
        requireGroups(rewards.length, numGenerations);
        var values = new double[rewards.length];
        for (int start = 0; start < rewards.length; start += numGenerations) {
            double sum = 0;
            for (int i = start; i < start + numGenerations; i++) {
                sum += rewards[i];
            }
            for (int i = start; i < start + numGenerations; i++) {
                values[i] = rewards[i] - (sum - rewards[i]) / (numGenerations - 1);
            }
        }
        if (normalize) {
            values = of(values, mean(values, values.length), spread(values, values.length), true)
                    .values();
        }
        return new Advantages(values, rewards, spread(rewards, numGenerations));
    }

    /**
     * ReMax's advantages: reward minus that of the completion which the policy finds likeliest (Li et al. 2023, arXiv 2310.10505).
     *
     * @param greedyRewards one for each prompt, of its greedy completion
     * @throws IsthmusException if there is not one greedy reward for every {@code numGenerations} rewards
     */
    public static Advantages aboveGreedy(double[] rewards, double[] greedyRewards, int numGenerations) {
        if (rewards.length != greedyRewards.length * (long) numGenerations) {
            throw new IsthmusException(rewards.length + " rewards of " + numGenerations + " completions a prompt need "
                    + rewards.length / numGenerations + " greedy rewards, found " + greedyRewards.length);
        }
        var values = new double[rewards.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = rewards[i] - greedyRewards[i / numGenerations];
        }
        return new Advantages(values, rewards, spread(rewards, numGenerations));
    }

    /** TRL's metric {@code frac_reward_zero_std}: the share of completions whose group's rewards are all alike. */
    public double fracRewardZeroStd() {
        return Arrays.stream(std).filter(s -> s <= 1e-8).count() / (double) std.length;
    }

    /** The weighted sum of each row without its NaNs; NaN for a row of nothing else. */
    public static double[] weightedSums(double[][] rewards, double[] weights) {
        var sums = new double[rewards.length];
        for (int i = 0; i < rewards.length; i++) {
            double sum = 0;
            boolean any = false;
            for (int f = 0; f < weights.length; f++) {
                if (!Double.isNaN(rewards[i][f])) {
                    sum += rewards[i][f] * weights[f];
                    any = true;
                }
            }
            sums[i] = any ? sum : Double.NaN;
        }
        return sums;
    }

    static void requireWeights(double[] weights, int functions) {
        if (weights.length != functions) {
            throw new IsthmusException("reward_weights has " + weights.length + " entries for " + functions
                    + " reward functions: give one for each.");
        }
    }

    private static void requireGroups(int rows, int numGenerations) {
        if (numGenerations < 2 || rows == 0 || rows % numGenerations != 0) {
            throw new IsthmusException("Advantages need groups of at least two: " + rows
                    + " completions, num_generations " + numGenerations + ". Give a multiple of num_generations.");
        }
    }

    private static Advantages of(double[] rewards, double[] mean, double[] std, boolean scale) {
        var values = new double[rewards.length];
        for (int i = 0; i < values.length; i++) {
            double value = (rewards[i] - mean[i]) / (scale ? std[i] + EPSILON : 1);
            values[i] = Double.isNaN(value) ? 0 : value;
        }
        return new Advantages(values, rewards, std);
    }

    private static double[][] normalizeEach(double[][] rewards, int numGenerations) {
        var normalized = new double[rewards.length][rewards[0].length];
        for (int f = 0; f < rewards[0].length; f++) {
            int function = f;
            double[] column =
                    Arrays.stream(rewards).mapToDouble(row -> row[function]).toArray();
            double[] mean = mean(column, numGenerations);
            double[] std = spread(column, numGenerations);
            for (int i = 0; i < column.length; i++) {
                normalized[i][f] = (column[i] - mean[i]) / (std[i] + EPSILON);
            }
        }
        return normalized;
    }

    /** For each entry, the mean of its block of {@code size} without the NaNs. */
    private static double[] mean(double[] values, int size) {
        var means = new double[values.length];
        for (int start = 0; start < values.length; start += size) {
            double[] scored = scored(values, start, size);
            Arrays.fill(means, start, start + size, Arrays.stream(scored).sum() / scored.length);
        }
        return means;
    }

    /** For each entry, the unbiased standard deviation of its block without the NaNs; NaN for fewer than two. */
    private static double[] spread(double[] values, int size) {
        var spreads = new double[values.length];
        double[] means = mean(values, size);
        for (int start = 0; start < values.length; start += size) {
            double squares = 0;
            double[] scored = scored(values, start, size);
            for (double value : scored) {
                squares += (value - means[start]) * (value - means[start]);
            }
            Arrays.fill(
                    spreads,
                    start,
                    start + size,
                    scored.length < 2 ? Double.NaN : Math.sqrt(squares / (scored.length - 1)));
        }
        return spreads;
    }

    private static double[] scored(double[] values, int start, int size) {
        return Arrays.stream(values, start, start + size)
                .filter(value -> !Double.isNaN(value))
                .toArray();
    }
}
