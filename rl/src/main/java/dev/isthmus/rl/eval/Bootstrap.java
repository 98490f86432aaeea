package dev.isthmus.rl.eval;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.Arrays;

/**
 * Percentile bootstrap intervals of 95 % (Efron 1979): the problems are drawn again with replacement, 2,000 times.
 *
 * <p>The unit that is drawn is the problem, so samples of one problem must be averaged before.
 */
public final class Bootstrap {
    private static final int RESAMPLES = 2000;
    private static final double TAIL = 0.025;

    private Bootstrap() {}

    /** The mean of one value a problem. */
    public static Interval mean(double[] values, Rng rng) {
        if (values.length == 0 || !Arrays.stream(values).allMatch(Double::isFinite)) {
            throw new IsthmusException("An interval needs at least one value, and finite ones.");
        }
        var means = new double[RESAMPLES];
        for (int r = 0; r < RESAMPLES; r++) {
            double sum = 0;
            for (int i = 0; i < values.length; i++) {
                sum += values[rng.nextInt(values.length)];
            }
            means[r] = sum / values.length;
        }
        Arrays.sort(means);
        double mean = Arrays.stream(values).sum() / values.length;
        return new Interval(mean, quantile(means, TAIL), quantile(means, 1 - TAIL));
    }

    /**
     * The mean change from before to after on the same problems in the same order; pairs are drawn, so that what
     * makes a problem hard for both does not widen the interval.
     */
    public static Interval difference(double[] before, double[] after, Rng rng) {
        if (before.length != after.length) {
            throw new IsthmusException("A paired difference needs the same problems twice, but got " + before.length
                    + " and " + after.length + " values.");
        }
        var changes = new double[before.length];
        Arrays.setAll(changes, i -> after[i] - before[i]);
        return mean(changes, rng);
    }

    /** The quantile of sorted values, linear between neighbours. */
    static double quantile(double[] sorted, double q) {
        double at = q * (sorted.length - 1);
        int below = (int) at;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
