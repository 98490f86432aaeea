package dev.isthmus.bench.ladder;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Map;

/**
 * One operation written several times, each time faster.
 *
 * @param shape what is computed, as the fields of a figure
 * @param expected what the scalar twin computes
 * @param result what every rung writes
 * @param tolerance the difference allowed to rounding, as a share of the largest expected number
 */
record Ladder(
        String name,
        Map<String, ?> shape,
        Unit unit,
        Needs needs,
        float[] expected,
        float[] result,
        double tolerance,
        List<Rung> rungs) {
    /**
     * One way to write it.
     *
     * @param allThreads whether it uses all threads, not one
     * @param fetch brings what {@code run} computed to the result, where it is elsewhere
     */
    record Rung(String name, boolean allThreads, Runnable run, Runnable fetch) {
        static Rung of(String name, Runnable run) {
            return new Rung(name, false, run, () -> {});
        }

        static Rung onAllThreads(String name, Runnable run) {
            return new Rung(name, true, run, () -> {});
        }

        /** The kernel that all of Isthmus uses, on all threads. */
        static Rung kernel(KernelCall call, Tensor out, float[] result) {
            return new Rung("the kernel of tensor/", true, () -> Device.cpu().run(call), () -> {
                System.arraycopy(out.toFloats(), 0, result, 0, result.length);
            });
        }
    }

    /** The largest difference of the result from what was expected, as a share of the largest expected number. */
    double error() {
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
            difference = Math.max(difference, Math.abs(expected[i] - result[i]));
            if (Float.isNaN(result[i])) {
                return Double.POSITIVE_INFINITY;
            }
        }
        return difference / largest;
    }
}
