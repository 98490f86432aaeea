package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.TensorException;
import java.util.List;

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

    /** {@link Machine#threads()}. */
    public static int threads() {
        return WorkerPool.threads();
    }

    /** {@link Machine#setThreads(int)}. */
    public static void setThreads(int count) {
        WorkerPool.setThreads(count);
    }

    /** {@link Machine#vectorBits()}. */
    public static int vectorBits() {
        return hasVectorApi() ? Simd.F.vectorBitSize() : 0;
    }

    /** {@link Machine#measure()}. */
    public static Machine.Ceilings measure() {
        if (!hasVectorApi()) {
            throw new TensorException(
                    "measuring needs the Vector API: pass --add-modules jdk.incubator.vector to java");
        }
        return MachineProbe.measure();
    }

    /** {@link Machine#kernels()}. */
    public static List<Machine.KernelSpeed> kernels() {
        if (!hasVectorApi()) {
            throw new TensorException(
                    "measuring needs the Vector API: pass --add-modules jdk.incubator.vector to java");
        }
        return TileWarmup.measure();
    }

    private static boolean hasVectorApi() {
        return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    }

    private static final class Best {
        static final Device DEVICE = choose();

        private static Device choose() {
            if (Boolean.getBoolean("isthmus.scalar")) {
                return SCALAR;
            }
            if (!hasVectorApi()) {
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
