package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;

/**
 * Holds each of several rewards where it still agrees with what is wanted, instead of driving it up without end (Moskovitz et al. 2023,
 * constrained RLHF, arXiv 2310.04373): {@code max_pi min_mu J_0 + sum_i w(mu_i) (J_i - theta_i)}.
 *
 * <p>The advantage of a step is {@code A_0 + sum_i w(mu_i) A_i}, one critic for each reward; after the step {@code mu_i -= rate (J_i -
 * theta_i)}. The state is the record, so a stopped run goes on with it. Unsure: the paper's map from multipliers to weights.
 *
 * @param multipliers {@code mu_i}
 * @param thresholds {@code theta_i}
 */
public record LagrangeMultipliers(Constraint constraint, double[] multipliers, double[] thresholds, double rate) {
    /** What is asked of the mean rewards {@code J_i}. */
    public enum Constraint {
        /** {@code J_i >= theta_i}; {@code w} is the sigmoid. */
        AT_LEAST {
            @Override
            double weight(double multiplier) {
                return 1 / (1 + StrictMath.exp(-multiplier));
            }
        },
        /** {@code J_i = theta_i}; {@code w} is the hyperbolic tangent, which pushes back what is above. */
        EQUAL {
            @Override
            double weight(double multiplier) {
                return StrictMath.tanh(multiplier);
            }
        };

        abstract double weight(double multiplier);
    }

    public LagrangeMultipliers {
        requireSize("thresholds", thresholds.length, multipliers.length);
    }

    /** Multipliers of 0. */
    public static LagrangeMultipliers start(Constraint constraint, double[] thresholds, double rate) {
        return new LagrangeMultipliers(constraint, new double[thresholds.length], thresholds, rate);
    }

    /** {@code w(mu_i)}. */
    public double[] weights() {
        var weights = new double[multipliers.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = constraint.weight(multipliers[i]);
        }
        return weights;
    }

    /**
     * The advantage of each completion or token.
     *
     * @param first those of the reward without a constraint, such as the KL penalty
     * @param constrained {@code [reward][completion]}
     */
    public double[] advantages(double[] first, double[][] constrained) {
        requireSize("advantages", constrained.length, multipliers.length);
        double[] weights = weights();
        var mixed = first.clone();
        for (int i = 0; i < weights.length; i++) {
            requireSize("advantages of reward " + i, constrained[i].length, first.length);
            for (int j = 0; j < mixed.length; j++) {
                mixed[j] += weights[i] * constrained[i][j];
            }
        }
        return mixed;
    }

    /** The state after a step whose mean rewards were {@code means}. */
    public LagrangeMultipliers after(double[] means) {
        requireSize("mean rewards", means.length, multipliers.length);
        var next = multipliers.clone();
        for (int i = 0; i < next.length; i++) {
            next[i] -= rate * (means[i] - thresholds[i]);
        }
        return new LagrangeMultipliers(constraint, next, thresholds, rate);
    }

    private static void requireSize(String what, int found, int expected) {
        if (found != expected) {
            throw new IsthmusException(found + " " + what + ", expected " + expected);
        }
    }
}
