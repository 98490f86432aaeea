package dev.isthmus.rl.objective;

/**
 * Sets the weight of the entropy bonus so that entropy stays near a target: TRL's {@code use_adaptive_entropy} (Skywork-OR1,
 * arXiv 2505.22312, section 4).
 *
 * <p>After a step whose mean entropy was at most the target the coefficient grows by {@code delta}, else it falls by {@code
 * delta}, within {@code [min, max]}; it is applied only while the last entropy was at most the target. The state is the record,
 * so a stopped run goes on with it.
 *
 * @param lastEntropy the mean entropy of the step before
 */
public record AdaptiveEntropy(double coef, double lastEntropy, double target, double delta, double min, double max) {
    /** TRL's defaults; nothing is applied before the first step has shown its entropy. */
    public static AdaptiveEntropy defaults() {
        return new AdaptiveEntropy(0, Double.POSITIVE_INFINITY, 0.2, 0.005, 0, 1);
    }

    /** The {@code entropy_coef} of the next step. */
    public double applied() {
        return lastEntropy <= target ? coef : 0;
    }

    /** The state after a step whose mean entropy was {@code entropy}. */
    public AdaptiveEntropy after(double entropy) {
        double next = entropy <= target ? Math.min(coef + delta, max) : Math.max(coef - delta, min);
        return new AdaptiveEntropy(next, entropy, target, delta, min, max);
    }
}
