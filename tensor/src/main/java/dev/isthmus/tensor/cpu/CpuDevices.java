package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Device;

/** Chooses the CPU device of this process, once. */
public final class CpuDevices {
    private static final ScalarDevice SCALAR = new ScalarDevice();

    private CpuDevices() {}

    /** The scalar twin. */
    public static Device scalar() {
        return SCALAR;
    }

    /** The vector twin, or the scalar twin where the Vector API is missing, with one loud line that says what to pass. */
    public static Device best() {
        return Best.DEVICE;
    }

    private static final class Best {
        static final Device DEVICE = choose();

        private static Device choose() {
            if (Boolean.getBoolean("isthmus.scalar")) {
                return SCALAR;
            }
            if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
                System.getLogger("isthmus")
                        .log(
                                System.Logger.Level.WARNING,
                                "The Vector API is missing: running the scalar twin, 10 to 100 times slower. "
                                        + "Pass --add-modules jdk.incubator.vector to java, or use ./isthmus.");
                return SCALAR;
            }
            return new VectorDevice(SCALAR);
        }
    }
}
