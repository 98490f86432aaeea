package dev.isthmus.app;

import dev.isthmus.bench.GemmBench;
import dev.isthmus.bench.MicroBenchmarks;
import dev.isthmus.bench.StepBench;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Machine.Ceilings;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** Measures what kernels and training steps reach, beside what the machine can do at most. */
@Command(
        name = "bench",
        description = {
            "Measures matrix products (gemm) or whole training steps (step) beside the machine's ceilings.",
            "Wants the cores to itself."
        })
final class BenchCommand implements Runnable {
    private static final int WARMUP_STEPS = 5;
    private static final int MEASURED_STEPS = 10;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    /** What can be measured. */
    enum What {
        gemm,
        step,
        jmh
    }

    @Parameters(
            index = "0",
            arity = "0..1",
            paramLabel = "WHAT",
            description = "${COMPLETION-CANDIDATES}: products, training steps, or the JMH benchmarks.",
            defaultValue = "step")
    private What what = What.step;

    @Option(names = "--config", paramLabel = "NAME", description = "Only this configuration of step: S, M, L, baby, gpt2-124m.")
    private @Nullable String config;

    @Option(names = "--json", description = "One JSON object a line.")
    private boolean json;

    @Override
    public void run() {
        if (what == What.jmh) {
            MicroBenchmarks.run(".*");
            return;
        }
        List<StepBench.Config> configs = config == null ? StepBench.Config.ALL : StepBench.Config.named(config);
        Ceilings ceilings = Machine.measure();
        PrintWriter out = spec.commandLine().getOut();
        if (!json) {
            out.println(Device.cpu().name());
            out.printf(
                    Locale.ROOT,
                    "ceilings: %.0f GFLOP/s of fused multiply-adds, %.0f GB/s read, %.0f GB/s updated in place%n%n",
                    ceilings.flops() / 1e9,
                    ceilings.readBytes() / 1e9,
                    ceilings.updateBytes() / 1e9);
        }
        if (what == What.gemm) {
            gemm(ceilings);
        } else {
            step(configs, ceilings);
        }
    }

    private void gemm(Ceilings ceilings) {
        head("product                    GFLOP/s median (best)  of peak");
        for (GemmBench.Shape shape : GemmBench.Shape.ALL) {
            GemmBench.Result result = GemmBench.measure(shape);
            Map<String, Object> line = line("gemm");
            line.put("op", shape.op());
            line.put("m", shape.m());
            line.put("n", shape.n());
            line.put("k", shape.k());
            print(line, result.median() / 1e9, "GFLOP/s", ceilings.flops() / 1e9, result.median() / ceilings.flops(), String.format(
                    Locale.ROOT,
                    "%s %6d x%6d x%6d  %8.0f (%.0f)  %9.0f%%",
                    shape.op(),
                    shape.m(),
                    shape.n(),
                    shape.k(),
                    result.median() / 1e9,
                    result.best() / 1e9,
                    100 * result.median() / ceilings.flops()));
        }
    }

    private void step(List<StepBench.Config> configs, Ceilings ceilings) {
        head("training step              ms a step, median (best)  products alone at peak");
        for (StepBench.Config c : configs) {
            StepBench.Result result = StepBench.measure(c, WARMUP_STEPS, MEASURED_STEPS);
            double least = c.flops() / ceilings.flops() * 1e3;
            Map<String, Object> line = line("step");
            line.put("config", c.name());
            line.put("batch", c.batch());
            line.put("length", c.length());
            line.put("dtype", "float32");
            print(line, result.median(), "ms", least, least / result.median(), String.format(
                    Locale.ROOT,
                    "%-10s batch %3d x %3d  %12.1f (%.1f)  %16.1f ms: %.0f%%",
                    c.name(),
                    c.batch(),
                    c.length(),
                    result.median(),
                    result.best(),
                    least,
                    100 * least / result.median()));
        }
    }

    private static Map<String, Object> line(String bench) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", bench);
        return line;
    }

    private void head(String title) {
        if (!json) {
            spec.commandLine().getOut().println(title);
        }
    }

    private void print(Map<String, Object> line, double value, String unit, double ceiling, double fraction, String text) {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            line.put("threads", Machine.threads());
            line.put("value", value);
            line.put("unit", unit);
            line.put("ceiling", ceiling);
            line.put("fraction", fraction);
            line.put("peer", null);
            out.println(JsonMapper.shared().writeValueAsString(line));
        } else {
            out.println(text);
        }
        out.flush();
    }
}
