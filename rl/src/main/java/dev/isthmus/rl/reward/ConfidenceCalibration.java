package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * Rewards that make stated confidence pay only where the answer is better than usual (Leng et al. 2024, PPO-C). The state is the record,
 * so a stopped run goes on with it.
 *
 * @param mean the running mean of the rewards
 * @param alpha how much of the mean is that of the last batch
 * @param weight how much confidence counts
 */
public record ConfidenceCalibration(Form form, double mean, double alpha, double weight) {
    /** What confidence {@code s} in [0, 1] adds to a reward {@code r}. */
    public enum Form {
        /** {@code w (r - mean) (s - 1/2)}. */
        DIFFERENCE,
        /** {@code w |r| (s - 1/2)} at or above the mean, its negative below. */
        THRESHOLD
    }

    /** The published code's constants: alpha 0.1, weight 0.5. */
    public static ConfidenceCalibration defaults(Form form) {
        return new ConfidenceCalibration(form, 0, 0.1, 0.5);
    }

    /**
     * The rewards of a batch with what confidence adds.
     *
     * @throws IsthmusException if there is not one confidence for each reward
     */
    public double[] apply(double[] rewards, double[] confidences) {
        if (rewards.length != confidences.length) {
            throw new IsthmusException(
                    rewards.length + " rewards need as many confidences, found " + confidences.length);
        }
        var calibrated = new double[rewards.length];
        for (int i = 0; i < rewards.length; i++) {
            double r = rewards[i];
            double slope = switch (form) {
                case DIFFERENCE -> r - mean;
                case THRESHOLD -> r >= mean ? Math.abs(r) : -Math.abs(r);
            };
            calibrated[i] = r + weight * slope * (confidences[i] - 0.5);
        }
        return calibrated;
    }

    /** The state after a batch of rewards, those before calibration. */
    public ConfidenceCalibration after(double[] rewards) {
        double batch = Arrays.stream(rewards).average().orElse(mean);
        return new ConfidenceCalibration(form, alpha * batch + (1 - alpha) * mean, alpha, weight);
    }
}
