package dev.isthmus.app;

import dev.isthmus.bench.GemmBench;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Machine;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import jdk.incubator.vector.FloatVector;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What this machine offers, what is missing, and how to get it. */
@Command(name = "doctor", description = "Shows the JDK, the device and its measured speed, and says what is missing.")
final class DoctorCommand implements Runnable {
    private static final double SLOW = 0.6;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        row(out, "Java", Runtime.version() + ", " + System.getProperty("java.vendor"));
        row(out, "", System.getProperty("java.home"));
        row(out, "System", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        row(out, "Vectors", vectors());
        row(out, "Cores", Integer.toString(Runtime.getRuntime().availableProcessors()));
        row(out, "Memory", memory());
        row(out, "Device", Device.cpu().name());
        if (Machine.vectorBits() > 0) {
            Machine.Ceilings most = Machine.measure();
            GemmBench.Result product = GemmBench.measure(new GemmBench.Shape("NN", 1024, 1024, 1024));
            row(out, "Peak", String.format(
                    Locale.ROOT,
                    "%.0f GFLOP/s, reading %.0f GB/s, updating %.0f GB/s",
                    most.flops() / 1e9,
                    most.readBytes() / 1e9,
                    most.updateBytes() / 1e9));
            double fraction = product.median() / most.flops();
            row(out, "Products", String.format(
                    Locale.ROOT, "%.0f GFLOP/s at 1024^3, %.0f%% of the peak", product.median() / 1e9, 100 * fraction));
            row(out, "Verdict", fraction > SLOW
                    ? "all is well"
                    : "slower than it should be: are other programs using the cores? Try again when they are idle.");
        }
    }

    private static String vectors() {
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return "missing: the slow reference kernels run; start Java with --add-modules jdk.incubator.vector";
        }
        return FloatVector.SPECIES_PREFERRED.vectorBitSize() + " bits";
    }

    private static String memory() {
        long total =
                ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean system
                        ? system.getTotalMemorySize()
                        : 0;
        return String.format(
                Locale.ROOT,
                "%.1f GiB, of which the Java heap may take %.1f GiB (tensors live outside it)",
                total / 0x1p30,
                Runtime.getRuntime().maxMemory() / 0x1p30);
    }

    private static void row(PrintWriter out, String name, String value) {
        out.printf(Locale.ROOT, "%-10s%s%n", name, value);
    }
}
