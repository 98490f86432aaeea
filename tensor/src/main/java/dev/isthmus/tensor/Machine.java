package dev.isthmus.tensor;

import dev.isthmus.tensor.cpu.CpuDevices;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The processor under the CPU devices: how many threads they use, and what it can do at most, measured. */
public final class Machine {
    private Machine() {}

    /** The threads that share the work of a call: what was set, else {@code -Disthmus.threads}, else all processors. */
    public static int threads() {
        return CpuDevices.threads();
    }

    /**
     * Sets the number of threads. It changes how fast results come, never the results.
     *
     * @throws TensorException if {@code count} is less than 1
     */
    public static void setThreads(int count) {
        if (count < 1) {
            throw new TensorException("threads: " + count + " were asked for; at least 1 is needed");
        }
        CpuDevices.setThreads(count);
    }

    /** The width of the vectors in use, 0 without the Vector API. */
    public static int vectorBits() {
        return CpuDevices.vectorBits();
    }

    /**
     * The ceilings that the speed of kernels is held against, on the present number of threads; measuring takes about a second.
     *
     * @param flops floating-point operations a second of fused multiply-adds, which count as two
     * @param readBytes bytes a second read from memory far larger than the caches
     * @param updateBytes bytes a second read and written, each counted, where numbers change in place
     */
    public record Ceilings(double flops, double readBytes, double updateBytes) {}

    /**
     * Measures the ceilings.
     *
     * @throws TensorException without the Vector API
     */
    public static Ceilings measure() {
        return CpuDevices.measure();
    }

    /**
     * What a kernel reaches on one thread, in the cache.
     *
     * @param name the kernel
     * @param flops floating-point operations a second
     * @param ceiling of fused multiply-adds on one thread, measured beside it
     * @param problem what is wrong and what to do, or null
     */
    public record KernelSpeed(
            String name,
            double flops,
            double ceiling,
            @Nullable String problem) {}

    /**
     * Measures the innermost loops of the matrix product, which the JIT can leave 100 times slower than they should be.
     *
     * @throws TensorException without the Vector API
     */
    public static List<KernelSpeed> kernels() {
        return CpuDevices.kernels();
    }
}
