package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * What several reward models together say about a completion, so that a policy cannot feed on the errors of one (Coste et al. 2024, arXiv
 * 2310.02743, section 3). Averaging their weights instead is {@link WeightAverage}.
 */
@FunctionalInterface
public interface RewardEnsemble {
    /** The reward, from one of each model; at least one. */
    double combine(double[] rewards);

    /** {@code mean_k r_k}. */
    static RewardEnsemble mean() {
        return rewards -> Arrays.stream(required(rewards)).average().orElseThrow();
    }

    /** {@code min_k r_k}: the worst case. */
    static RewardEnsemble min() {
        return rewards -> Arrays.stream(required(rewards)).min().orElseThrow();
    }

    /** {@code mean_k r_k - lambda var_k r_k}, the variance that of the models at hand (divided by their number). */
    static RewardEnsemble variancePenalized(double lambda) {
        return rewards -> {
            double mean = Arrays.stream(required(rewards)).average().orElseThrow();
            return mean
                    - lambda
                            * Arrays.stream(rewards)
                                    .map(r -> (r - mean) * (r - mean))
                                    .average()
                                    .orElseThrow();
        };
    }

    /**
     * {@code lambda r_nominal + (1 - lambda) min_k r_k}, nominal the model that is surest of itself (Yan et al. 2024, reward-robust
     * RLHF).
     *
     * @param rewards one of each model
     * @param deviations the standard deviation that each model gives its reward
     */
    static double robust(double[] rewards, double[] deviations, double lambda) {
        if (required(rewards).length != deviations.length) {
            throw new IsthmusException(rewards.length + " rewards need as many deviations, found " + deviations.length);
        }
        int nominal = 0;
        for (int k = 1; k < rewards.length; k++) {
            nominal = deviations[k] < deviations[nominal] ? k : nominal;
        }
        return lambda * rewards[nominal] + (1 - lambda) * min().combine(rewards);
    }

    private static double[] required(double[] rewards) {
        if (rewards.length == 0) {
            throw new IsthmusException("An ensemble needs at least one reward.");
        }
        return rewards;
    }
}
