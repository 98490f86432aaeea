package dev.isthmus.rl.reward;

/** Rewards made out of rewards. */
public final class RewardTransform {
    private RewardTransform() {}

    /**
     * {@code sum_k log sigmoid(r_k - r_ref_k)}: the logarithm of the probability that the completion beats the reference in everything,
     * if rewards are those of Bradley and Terry. What is good already earns little more (Wang et al. 2024, arXiv 2402.00742).
     *
     * @param rewards one of each reward model
     * @param references what each gives a completion that is good enough: a quantile or the mean over the base model's
     */
    public static double logSigmoidCentered(double[] rewards, double[] references) {
        double sum = 0;
        for (int k = 0; k < rewards.length; k++) {
            double x = rewards[k] - references[k];
            sum += Math.min(x, 0) - StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
        }
        return sum;
    }

    /**
     * {@code sigmoid(alpha r) + (v - 1)}: a right completion, {@code v = 1}, is always above a wrong one, {@code v = 0} (Qwen2.5-Math,
     * arXiv 2409.12122).
     */
    public static double gated(double reward, double verified, double alpha) {
        return 1 / (1 + StrictMath.exp(-alpha * reward)) + (verified - 1);
    }
}
