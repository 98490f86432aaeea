package dev.isthmus.bench;

import java.util.Arrays;
import java.util.function.DoubleSupplier;

/**
 * How long one run takes, in seconds.
 *
 * <p>Runs are timed in windows long enough for the clock. Windows are thrown away until they no longer get faster, so that the
 * compilers are done; of those that follow, the median is what to expect and the best what is possible on an undisturbed
 * machine.
 */
public record Measurement(double median, double best) {
    private static final int JUDGED = 3;
    private static final double STEADY = 0.98;

    /** What runs return goes here, so that no compiler may leave their work out. */
    @SuppressWarnings("UnusedVariable")
    private static volatile double sink;

    /**
     * How much time to spend.
     *
     * @param warmup the seconds before the first window that counts, at least
     * @param window the length of a window in seconds; it holds at least one run
     * @param windows the windows that count
     * @param limit the seconds after which warming up ends, steady or not, and after which no further window begins
     */
    public record Effort(double warmup, double window, int windows, double limit) {
        /** For figures that are to be believed. */
        public static final Effort FULL = new Effort(0.3, 0.06, 9, 8);

        /** For an overview. */
        public static final Effort BRIEF = new Effort(0.15, 0.03, 5, 2.5);
    }

    /** Measures {@code run}, whose work is done when it returns. */
    public static Measurement of(Effort effort, Runnable run) {
        return of(effort, () -> {
            run.run();
            return 0;
        });
    }

    /** Measures {@code run}, which returns a number that depends on its work. */
    public static Measurement of(Effort effort, DoubleSupplier run) {
        double once = window(1, run);
        double spent = once;
        double before = Double.POSITIVE_INFINITY;
        double[] last = new double[JUDGED];
        for (int i = 0; spent < effort.limit; i++) {
            last[i % JUDGED] = once = window(runs(effort, once), run);
            spent += once * runs(effort, once);
            if (i % JUDGED == JUDGED - 1) {
                double now = Arrays.stream(last).min().getAsDouble();
                if (spent >= effort.warmup && now > STEADY * before) {
                    break;
                }
                before = Math.min(before, now);
            }
        }
        int runs = runs(effort, once);
        double[] times = new double[effort.windows];
        int n = 0;
        for (double measured = 0; n < times.length && (n < JUDGED || measured < effort.limit); n++) {
            times[n] = window(runs, run);
            measured += times[n] * runs;
        }
        return of(Arrays.copyOf(times, n));
    }

    /** The median and the best of times in seconds. */
    public static Measurement of(double... seconds) {
        double[] sorted = seconds.clone();
        Arrays.sort(sorted);
        return new Measurement(sorted[sorted.length / 2], sorted[0]);
    }

    private static int runs(Effort effort, double seconds) {
        return (int) Math.clamp(effort.window / seconds, 1, 1e6);
    }

    /** Seconds a run. */
    private static double window(int runs, DoubleSupplier run) {
        double sum = 0;
        long start = System.nanoTime();
        for (int i = 0; i < runs; i++) {
            sum += run.getAsDouble();
        }
        long end = System.nanoTime();
        sink = sum;
        return (end - start) / 1e9 / runs;
    }
}
