package dev.isthmus.rl.eval;

/**
 * A mean with its confidence interval.
 *
 * @param mean the mean of what was measured
 * @param low the lower end of the interval
 * @param high the upper end of the interval
 */
public record Interval(double mean, double low, double high) {
    /** Whether the interval leaves 0 out: for a difference, whether it is more than chance. */
    public boolean excludesZero() {
        return low > 0 || high < 0;
    }
}
