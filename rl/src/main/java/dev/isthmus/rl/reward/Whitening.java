package dev.isthmus.rl.reward;

/** Brings numbers to standard deviation 1, as TRL's PPO does with advantages and, if asked, with rewards. */
public final class Whitening {
    private static final double EPSILON = 1e-8;

    private Whitening() {}

    /**
     * {@code (x - mean) / sqrt(var + 1e-8)} over all that count, 0 elsewhere; the variance is the unbiased one.
     *
     * @param counted whether {@code x[i][t]} counts; of fewer than two each becomes the mean
     * @param shiftMean whether the mean becomes 0; if not it stays as it was
     */
    public static double[][] whiten(double[][] x, boolean[][] counted, boolean shiftMean) {
        long n = 0;
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            for (int t = 0; t < x[i].length; t++) {
                if (counted[i][t]) {
                    n++;
                    sum += x[i][t];
                }
            }
        }
        double mean = sum / n;
        double squares = 0;
        for (int i = 0; i < x.length; i++) {
            for (int t = 0; t < x[i].length; t++) {
                squares += counted[i][t] ? (x[i][t] - mean) * (x[i][t] - mean) : 0;
            }
        }
        double scale = n < 2 ? 0 : 1 / Math.sqrt(squares / (n - 1) + EPSILON);
        var whitened = new double[x.length][];
        for (int i = 0; i < x.length; i++) {
            whitened[i] = new double[x[i].length];
            for (int t = 0; t < x[i].length; t++) {
                whitened[i][t] = counted[i][t] ? (x[i][t] - mean) * scale + (shiftMean ? 0 : mean) : 0;
            }
        }
        return whitened;
    }
}
