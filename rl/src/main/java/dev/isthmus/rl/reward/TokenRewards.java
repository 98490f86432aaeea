package dev.isthmus.rl.reward;

import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.tensor.IsthmusException;

/** Rewards of single tokens, of which a sequence's return is made: {@code [token]} for a completion. */
public final class TokenRewards {
    private TokenRewards() {}

    /**
     * {@code r_t = -kl_coef kl_t}, and the score on top of that of the last (Ziegler et al. 2019, arXiv 1909.08593, eq. 2).
     *
     * @param logps of the policy that sampled, one for each token
     * @param states how many rewards to return: as many as tokens, or one more where the score belongs to the state after the
     *     last token, as in TRL's PPO
     */
    public static double[] klPenalized(
            double[] logps, double[] refLogps, double score, double klCoef, KlEstimator estimator, int states) {
        var rewards = new double[states];
        for (int t = 0; t < logps.length; t++) {
            rewards[t] = -klCoef * estimator.estimate(logps[t], refLogps[t]);
        }
        rewards[states - 1] += score;
        return rewards;
    }

    /** {@code sum_t (log pi - log pi_ref)}: what RLOO, ReMax and REINFORCE++ take off the score of a sequence, times beta. */
    public static double klOfSequence(double[] logps, double[] refLogps) {
        double sum = 0;
        for (int t = 0; t < logps.length; t++) {
            sum += logps[t] - refLogps[t];
        }
        return sum;
    }

    /**
     * {@code clip(scale (log pi_phi(y_t) - log pi_ref(y_t)), -limit, limit)}: what a model {@code pi_phi} that was trained on outcomes
     * thinks of each token. Of a DPO model this is the token reward of RTO (Zhong et al. 2024), of a model trained with {@code
     * ImplicitRewardLoss} that of PRIME (Cui et al. 2025).
     *
     * @param limit {@link Double#POSITIVE_INFINITY} for none
     */
    public static double[] implicit(double[] logps, double[] refLogps, double scale, double limit) {
        var rewards = new double[logps.length];
        for (int t = 0; t < logps.length; t++) {
            rewards[t] = Math.clamp(scale * (logps[t] - refLogps[t]), -limit, limit);
        }
        return rewards;
    }

    /**
     * Rewards of segments at the tokens that end them: {@code r_t = sum_j 1[t = ends_j] values_j} (Wu et al. 2023, Fine-Grained RLHF;
     * the segments are the steps of a process reward model as well).
     *
     * @throws IsthmusException if a segment ends outside of the completion
     */
    public static double[] atEnds(int[] ends, double[] values, int tokens) {
        if (ends.length != values.length) {
            throw new IsthmusException(
                    values.length + " rewards of segments for " + ends.length + " ends; give one for each");
        }
        var rewards = new double[tokens];
        for (int j = 0; j < ends.length; j++) {
            if (ends[j] < 0 || ends[j] >= tokens) {
                throw new IsthmusException("segment " + j + " ends at token " + ends[j] + " of " + tokens);
            }
            rewards[ends[j]] += values[j];
        }
        return rewards;
    }

    /** {@code min(r_k - eta, 0)}: no step earns anything, so that more steps do not pay (Gao et al. 2024, Clip). */
    public static double[] clip(double[] steps, double eta) {
        var clipped = new double[steps.length];
        for (int k = 0; k < steps.length; k++) {
            clipped[k] = Math.min(steps[k] - eta, 0);
        }
        return clipped;
    }

    /** {@code r_k - r_{k+1}}, the last as it is: the sum is the first, however many steps there are (Gao et al. 2024, Delta). */
    public static double[] delta(double[] steps) {
        var deltas = steps.clone();
        for (int k = 0; k + 1 < steps.length; k++) {
            deltas[k] -= steps[k + 1];
        }
        return deltas;
    }

    /** The sum of rewards of the same tokens. */
    public static double[] sum(double[]... parts) {
        var sum = parts[0].clone();
        for (int p = 1; p < parts.length; p++) {
            if (parts[p].length != sum.length) {
                throw new IsthmusException(
                        "rewards of " + parts[p].length + " tokens do not add to those of " + sum.length);
            }
            for (int t = 0; t < sum.length; t++) {
                sum[t] += parts[p][t];
            }
        }
        return sum;
    }

    /**
     * {@code G_t = sum_{s >= t} gamma^(s - t) r_s}. With the rewards of {@link #klPenalized}, gamma 1 and {@link Whitening} over the
     * batch these are the advantages of REINFORCE++ (Hu 2025, arXiv 2501.03262).
     */
    public static double[] returns(double[] rewards, double gamma) {
        var returns = new double[rewards.length];
        double next = 0;
        for (int t = rewards.length - 1; t >= 0; t--) {
            next = rewards[t] + gamma * next;
            returns[t] = next;
        }
        return returns;
    }
}
