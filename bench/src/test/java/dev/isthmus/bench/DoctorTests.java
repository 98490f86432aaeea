package dev.isthmus.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.bench.Doctor.Facts;
import dev.isthmus.bench.Doctor.Finding;
import dev.isthmus.bench.Doctor.Speed;
import dev.isthmus.tensor.Machine.Ceilings;
import dev.isthmus.tensor.Machine.KernelSpeed;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the doctor says of machines with one fault each, and of JVMs that were started with one. */
class DoctorTests {
    private static final Speed FAST =
            new Speed(new Ceilings(500e9, 50e9, 80e9), 450e9, List.of(new KernelSpeed("tile", 200e9, 250e9, null)));

    private static Facts healthy() {
        return new Facts(
                25,
                "25, test",
                "/jdk",
                "mixed mode, sharing",
                "Linux amd64",
                true,
                512,
                512,
                512,
                false,
                "cpu vector 512-bit",
                2,
                2,
                0.1,
                8L << 30,
                6L << 30,
                2L << 30,
                FAST);
    }

    private static Facts with(String what, String value) {
        Facts f = healthy();
        boolean vectorApi = !what.equals("vectorApi");
        return new Facts(
                what.equals("java") ? Integer.parseInt(value) : f.java(),
                f.javaVersion(),
                f.javaHome(),
                what.equals("mode") ? value : f.javaMode(),
                f.system(),
                vectorApi,
                f.processorBits(),
                what.equals("jvmBits") ? Integer.parseInt(value) : f.jvmBits(),
                what.equals("usedBits") || what.equals("jvmBits") ? Integer.parseInt(value) : f.usedBits(),
                what.equals("scalar"),
                f.device(),
                f.cores(),
                what.equals("threads") ? Integer.parseInt(value) : f.threads(),
                what.equals("load") ? Double.parseDouble(value) : f.load(),
                f.memory(),
                what.equals("freeMemory") ? Long.parseLong(value) << 20 : f.freeMemory(),
                f.heap(),
                vectorApi
                        ? what.equals("product")
                                ? new Speed(FAST.ceilings(), Double.parseDouble(value), FAST.kernels())
                                : FAST
                        : null);
    }

    @Test
    void aHealthyMachineHasNoFindings() {
        assertThat(Doctor.findings(healthy())).isEmpty();
        assertThat(String.join("\n", Doctor.report(healthy())))
                .contains(
                        "Vectors   512 bits",
                        "2 of 2 cores",
                        "500 GFLOP/s",
                        "90% of the peak",
                        "Verdict   all is well");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "vectorApi  |           | Vector API is missing          | --add-modules jdk.incubator.vector",
                "scalar     | true      | -Disthmus.scalar               | leave it out",
                "mode       | interpreted mode | 'interpreted mode'      | -Xint",
                "java       | 26        | Java 26 runs                   | ISTHMUS_JAVA_HOME",
                "jvmBits    | 256       | the JVM uses 256               | -XX:UseAVX=3",
                "usedBits   | 128       | 128-bit vectors of 512         | isthmus.vector.bits",
                "threads    | 1         | 1 thread is used of 2 cores    | --threads",
                "load       | 3.5       | 3.5 processes wanted the 2 cores | stop what else runs",
                "product    | 2e9       | only 0% of the peak            | bench gemm",
                "freeMemory | 512       | only 0.5 GiB                   | smaller models"
            })
    void eachFaultIsFoundAndHasItsFix(String what, String value, String problem, String fix) {
        Facts facts = with(what, value);
        assertThat(Doctor.findings(facts)).singleElement().satisfies(finding -> {
            assertThat(finding.problem()).contains(problem);
            assertThat(finding.fix()).contains(fix);
        });
        Finding only = Doctor.findings(facts).getFirst();
        assertThat(Doctor.report(facts))
                .anyMatch(line -> line.contains(only.problem()))
                .anyMatch(line -> line.contains(only.fix()));
    }

    @Test
    void aKernelThatTheCompilersLeftSlowIsNamed() {
        Facts f = healthy();
        Speed stuck = new Speed(
                FAST.ceilings(), 5e9, List.of(new KernelSpeed("product", 2e9, 250e9, "a hundredth. Do this.")));
        Facts slow = new Facts(
                f.java(),
                f.javaVersion(),
                f.javaHome(),
                f.javaMode(),
                f.system(),
                true,
                512,
                512,
                512,
                false,
                f.device(),
                2,
                2,
                0,
                f.memory(),
                f.freeMemory(),
                f.heap(),
                stuck);
        assertThat(Doctor.findings(slow))
                .first()
                .satisfies(finding ->
                        assertThat(finding.problem()).isEqualTo("the JIT left the product at a hundredth. Do this."));
        assertThat(String.join("\n", Doctor.report(slow))).contains("Do this.").doesNotContain("fix: null");
    }

    /** The real thing in a JVM that was started wrongly. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "without the incubator module | Vector API is missing",
                "-Disthmus.threads=1 | 1 thread is used",
                "-Disthmus.vector.bits=128 | 128-bit vectors of"
            })
    void faultsOfTheJvmAreFound(String flag, String problem) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(ChildJvm.command(DoctorTests.class, List.of()));
        if (flag.startsWith("without")) {
            command.removeIf(argument -> argument.equals("--add-modules=jdk.incubator.vector"));
        } else {
            command.add(1, flag);
        }
        Process java = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(java.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(java.waitFor()).as(output).isZero();
        assertThat(output).contains(problem, "fix: ");
    }

    /** In the child. */
    public static void main(String[] args) {
        Doctor.report(Doctor.look()).forEach(System.out::println);
    }
}
