package dev.isthmus.rl.reward;

import dev.isthmus.rl.objective.KlEstimator;

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
}
