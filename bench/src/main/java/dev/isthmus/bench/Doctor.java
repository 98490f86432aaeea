package dev.isthmus.bench;

import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Machine.Ceilings;
import dev.isthmus.tensor.Machine.KernelSpeed;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/** What this machine and this JVM offer, what is wrong with them, and what to do about it. */
public final class Doctor {
    private static final int JAVA = 25;
    private static final double SLOW = 0.6;
    private static final double BUSY = 0.5;
    private static final double LITTLE_MEMORY = 2 * 0x1p30;
    private static final GemmBench.Shape PRODUCT = new GemmBench.Shape("NN", 1024, 1024, 1024);

    private Doctor() {}

    /**
     * What was found.
     *
     * @param javaMode what the JVM says of itself, such as {@code mixed mode, sharing}
     * @param vectorApi whether the incubator module is there
     * @param processorBits the widest vectors of the processor; 0 where that cannot be known
     * @param jvmBits the widest vectors that the JVM makes use of
     * @param usedBits those that the kernels use; 0 without the Vector API
     * @param scalarForced whether {@code -Disthmus.scalar} asks for the reference kernels
     * @param device the device that runs what nobody chose a device for
     * @param load the processes that wanted a core in the last minute; negative where unknown
     * @param speed what was measured; null if nothing was
     */
    public record Facts(
            int java,
            String javaVersion,
            String javaHome,
            String javaMode,
            String system,
            boolean vectorApi,
            int processorBits,
            int jvmBits,
            int usedBits,
            boolean scalarForced,
            String device,
            int cores,
            int threads,
            double load,
            long memory,
            long freeMemory,
            long heap,
            @Nullable Speed speed) {
        private Facts with(Speed measured) {
            return new Facts(
                    java,
                    javaVersion,
                    javaHome,
                    javaMode,
                    system,
                    vectorApi,
                    processorBits,
                    jvmBits,
                    usedBits,
                    scalarForced,
                    device,
                    cores,
                    threads,
                    load,
                    memory,
                    freeMemory,
                    heap,
                    measured);
        }
    }

    /**
     * What was measured.
     *
     * @param product the floating-point operations a second of a matrix product that should be near the first ceiling
     * @param kernels the innermost loops of products, on one thread
     */
    public record Speed(Ceilings ceilings, double product, List<KernelSpeed> kernels) {
        private double fraction() {
            return product / ceilings.flops();
        }
    }

    /**
     * Something that is wrong.
     *
     * @param fix what to do about it; null where the problem says so itself
     */
    public record Finding(String problem, @Nullable String fix) {}

    /** Looks at this machine and measures its speed, which takes a few seconds. */
    public static Facts examine() {
        Facts seen = look();
        return seen.vectorApi ? seen.with(speed()) : seen;
    }

    /** Looks at this machine. */
    static Facts look() {
        boolean vectorApi =
                ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        var system = ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class);
        return new Facts(
                Runtime.version().feature(),
                Runtime.version() + ", " + System.getProperty("java.vendor"),
                System.getProperty("java.home"),
                System.getProperty("java.vm.info", ""),
                System.getProperty("os.name") + " " + System.getProperty("os.arch"),
                vectorApi,
                processorBits(),
                vectorApi ? FloatVector.SPECIES_PREFERRED.vectorBitSize() : 0,
                Machine.vectorBits(),
                Boolean.getBoolean("isthmus.scalar"),
                Device.cpu().name(),
                Runtime.getRuntime().availableProcessors(),
                Machine.threads(),
                system.getSystemLoadAverage(),
                system.getTotalMemorySize(),
                freeMemory(system.getFreeMemorySize()),
                Runtime.getRuntime().maxMemory(),
                null);
    }

    private static Speed speed() {
        try (Scope scope = Scope.open()) {
            MatMul call = GemmBench.call(PRODUCT, Tensor.empty(DType.FLOAT32, PRODUCT.m(), PRODUCT.n()));
            Measurement product =
                    Measurement.of(Effort.BRIEF, () -> scope.device().run(call));
            return new Speed(Machine.measure(), PRODUCT.flops() / product.median(), Machine.kernels());
        }
    }

    /** What a memory-hungry program may still take: what is free, and what the system would free for it. */
    private static long freeMemory(long otherwise) {
        try (Stream<String> lines = Files.lines(Path.of("/proc/meminfo"))) {
            return lines.filter(line -> line.startsWith("MemAvailable:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
                    .findFirst()
                    .orElse(otherwise);
        } catch (IOException e) {
            return otherwise;
        }
    }

    private static int processorBits() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            List<String> flags = lines.filter(line -> line.startsWith("flags"))
                    .findFirst()
                    .map(line -> List.of(line.split("\\s+")))
                    .orElse(List.of());
            return flags.contains("avx512f") ? 512 : flags.contains("avx2") ? 256 : flags.contains("sse2") ? 128 : 0;
        } catch (IOException e) {
            return 0;
        }
    }

    /** What is wrong, the gravest first; empty if nothing is. */
    public static List<Finding> findings(Facts f) {
        List<Finding> found = new ArrayList<>();
        if (!f.vectorApi) {
            found.add(new Finding(
                    "the Vector API is missing, so the reference kernels run, 10 to 100 times slower",
                    "start Java with --add-modules jdk.incubator.vector, as ./isthmus does"));
        } else if (f.scalarForced) {
            found.add(new Finding(
                    "-Disthmus.scalar=true asks for the reference kernels, 10 to 100 times slower", "leave it out"));
        }
        if (!f.javaMode.contains("mixed")) {
            found.add(new Finding(
                    "the JVM says '" + f.javaMode + "': it does not compile as it should",
                    "leave -Xint and -Xcomp out"));
        }
        if (f.java != JAVA) {
            found.add(new Finding(
                    "Java " + f.java + " runs; the kernels were measured with Java " + JAVA,
                    "point ISTHMUS_JAVA_HOME at a JDK " + JAVA));
        }
        if (f.vectorApi && f.jvmBits < f.processorBits) {
            found.add(new Finding(
                    "the processor has " + f.processorBits + "-bit vectors, the JVM uses " + f.jvmBits,
                    f.processorBits == 512
                            ? "set JDK_JAVA_OPTIONS=-XX:UseAVX=3, and leave -XX:MaxVectorSize out"
                            : "leave -XX:UseAVX and -XX:MaxVectorSize out"));
        }
        if (f.vectorApi && f.usedBits < f.jvmBits) {
            found.add(new Finding(
                    "the kernels use " + f.usedBits + "-bit vectors of " + f.jvmBits,
                    "leave -Disthmus.vector.bits out"));
        }
        if (f.threads < f.cores) {
            found.add(new Finding(
                    (f.threads == 1 ? "1 thread is used" : f.threads + " threads are used") + " of " + f.cores
                            + " cores",
                    "leave --threads and -Disthmus.threads out"));
        }
        if (f.load > BUSY * f.cores) {
            found.add(new Finding(
                    String.format(
                            Locale.ROOT, "in the last minute %.1f processes wanted the %d cores", f.load, f.cores),
                    "stop what else runs: two programs that compute slow each other down more than by half"));
        }
        if (f.speed != null) {
            for (KernelSpeed kernel : f.speed.kernels) {
                if (kernel.problem() != null) {
                    found.add(new Finding("the JIT left the " + kernel.name() + " at " + kernel.problem(), null));
                }
            }
        }
        if (f.speed != null && f.speed.fraction() < SLOW) {
            found.add(new Finding(
                    String.format(
                            Locale.ROOT, "matrix products reach only %.0f%% of the peak", 100 * f.speed.fraction()),
                    "run it again on an idle machine; if it stays, ./isthmus bench gemm shows which shapes are slow"));
        }
        if (f.freeMemory < LITTLE_MEMORY) {
            found.add(new Finding(
                    String.format(Locale.ROOT, "only %.1f GiB of memory are free", f.freeMemory / 0x1p30),
                    "close other programs, or choose smaller models and batches"));
        }
        return found;
    }

    /** All of it as lines for a person. */
    public static List<String> report(Facts f) {
        List<String> lines = new ArrayList<>();
        row(lines, "Java", f.javaVersion);
        row(lines, "", f.javaHome);
        row(lines, "System", f.system);
        row(lines, "Vectors", vectors(f));
        row(lines, "Threads", f.threads + " of " + f.cores + " cores");
        row(
                lines,
                "Memory",
                String.format(
                        Locale.ROOT,
                        "%.1f GiB, %.1f free; the Java heap may take %.1f (tensors live outside it)",
                        f.memory / 0x1p30,
                        f.freeMemory / 0x1p30,
                        f.heap / 0x1p30));
        row(lines, "Device", f.device);
        if (f.speed != null) {
            Ceilings most = f.speed.ceilings;
            row(
                    lines,
                    "Peak",
                    String.format(
                            Locale.ROOT,
                            "%.0f GFLOP/s; memory is read at %.1f GB/s, updated at %.1f GB/s",
                            most.flops() / 1e9,
                            most.readBytes() / 1e9,
                            most.updateBytes() / 1e9));
            row(
                    lines,
                    "Products",
                    String.format(
                            Locale.ROOT,
                            "%.0f GFLOP/s at 1024^3, %.0f%% of the peak",
                            f.speed.product / 1e9,
                            100 * f.speed.fraction()));
            for (KernelSpeed kernel : f.speed.kernels) {
                row(
                        lines,
                        "",
                        String.format(
                                Locale.ROOT,
                                "%s on one thread: %.0f GFLOP/s, %.0f%%",
                                kernel.name(),
                                kernel.flops() / 1e9,
                                100 * kernel.flops() / kernel.ceiling()));
            }
        }
        List<Finding> findings = findings(f);
        row(lines, "Verdict", findings.isEmpty() ? "all is well" : "not all is well");
        for (Finding finding : findings) {
            row(lines, "", "- " + finding.problem);
            if (finding.fix != null) {
                row(lines, "", "  fix: " + finding.fix);
            }
        }
        return lines;
    }

    private static String vectors(Facts f) {
        if (!f.vectorApi) {
            return "none: the Vector API is missing";
        }
        return f.usedBits + " bits" + (f.processorBits > f.usedBits ? " of the processor's " + f.processorBits : "");
    }

    private static void row(List<String> lines, String name, String value) {
        lines.add(String.format(Locale.ROOT, "%-10s%s", name, value));
    }
}
