package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import org.jspecify.annotations.Nullable;

/**
 * Generalized advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16): {@code A_t = sum_k (gamma lambda)^k
 * delta_{t+k}} with {@code delta_t = r_t + gamma V_{t+1} - V_t}.
 *
 * @param advantages {@code [sequence][step]}
 * @param returns {@code A_t + V_t}, what a critic learns
 */
public record GeneralizedAdvantages(double[][] advantages, double[][] returns) {
    /**
     * The advantages of sequences that may differ in length.
     *
     * @param rewards {@code [sequence][step]}
     * @param values one for each step, and one more where a sequence goes on after its last step; else the state after it is
     *     worth 0
     * @param dones whether an episode ends after the step, which cuts both sums; null if only the last step ends one
     * @throws IsthmusException if the lengths do not fit together
     */
    public static GeneralizedAdvantages of(
            double[][] rewards, double[][] values, boolean @Nullable [][] dones, double gamma, double lambda) {
        if (rewards.length != values.length || dones != null && rewards.length != dones.length) {
            throw new IsthmusException(
                    "Advantages of " + rewards.length + " sequences of rewards need as many of values and"
                            + " dones, found " + values.length + (dones == null ? "" : " and " + dones.length) + ".");
        }
        var advantages = new double[rewards.length][];
        var returns = new double[rewards.length][];
        for (int i = 0; i < rewards.length; i++) {
            int steps = rewards[i].length;
            if (values[i].length != steps && values[i].length != steps + 1
                    || dones != null && dones[i].length != steps) {
                throw new IsthmusException("Sequence " + i + " has " + steps + " rewards but " + values[i].length
                        + " values" + (dones == null ? "" : " and " + dones[i].length + " dones")
                        + "; give one value for each step, or one more.");
            }
            advantages[i] = new double[steps];
            returns[i] = new double[steps];
            double next = 0;
            for (int t = steps - 1; t >= 0; t--) {
                double goesOn = dones != null && dones[i][t] ? 0 : 1;
                double nextValue = t + 1 < values[i].length ? values[i][t + 1] : 0;
                double delta = rewards[i][t] + gamma * nextValue * goesOn - values[i][t];
                next = delta + gamma * lambda * goesOn * next;
                advantages[i][t] = next;
                returns[i][t] = next + values[i][t];
            }
        }
        return new GeneralizedAdvantages(advantages, returns);
    }
}
