package dev.isthmus.tensor;

import dev.isthmus.tensor.cpu.CpuDevices;

/**
 * Runs kernel calls.
 *
 * <p>Everything above a device only makes {@linkplain KernelCall calls}; everything below only runs them. A device that
 * gives other numbers than {@link #scalar()} beyond rounding is wrong.
 */
public interface Device {
    /** Runs one call to its end. */
    void run(KernelCall call);

    /** A short name for people, such as {@code cpu vector 512-bit, 2 threads}. */
    String name();

    /** The best CPU device here: the vector twin, or the scalar twin with one warning where the Vector API is missing. */
    static Device cpu() {
        return CpuDevices.best();
    }

    /** The reference: plain loops that say what every call means. */
    static Device scalar() {
        return CpuDevices.scalar();
    }
}
