package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs.Bound;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Machine.Ceilings;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Times fresh JVMs: from the start of the JVM to the first matrix product at 80 % of the peak, and to the end of the first and
 * the third training step of model S.
 *
 * <p>The ceiling is a JVM with the same flags that does nothing.
 */
public final class StartupBench {
    private static final double NEAR_PEAK = 0.8;
    private static final GemmBench.Shape PRODUCT = new GemmBench.Shape("NN", 1024, 1024, 1024);
    private static final double PATIENCE_SECONDS = 4;

    private StartupBench() {}

    /** Measures {@code jvms} of each kind on the present number of threads. */
    public static void run(Bench bench, int jvms) {
        Ceilings most = bench.ceilings();
        bench.report().title("start-up; the ceiling is a JVM that does nothing");
        double[] nothing = new double[jvms];
        double[] product = new double[jvms];
        double[] firstStep = new double[jvms];
        double[] thirdStep = new double[jvms];
        double reached = 1;
        for (int i = 0; i < jvms; i++) {
            nothing[i] = child("nothing")[0];
            double[] first = child("product", Double.toString(most.flops()));
            product[i] = first[0];
            reached = Math.min(reached, first[1]);
            double[] steps = child("steps");
            firstStep[i] = steps[0];
            thirdStep[i] = steps[1];
        }
        Bound floor = new Bound(Measurement.of(nothing).median(), "an empty JVM");
        if (reached < NEAR_PEAK) {
            bench.report()
                    .note(String.format(
                            Locale.ROOT,
                            "first product at 80 %% of the peak: never; %.0f%% was the most in %.0f seconds",
                            100 * reached,
                            PATIENCE_SECONDS));
        } else {
            report(bench, "first product at 80 % of the peak", Map.of("op", "product"), floor, product);
        }
        report(bench, "first training step of S", Map.of("op", "step", "config", "S", "step", 1), floor, firstStep);
        report(bench, "third training step of S", Map.of("op", "step", "config", "S", "step", 3), floor, thirdStep);
    }

    private static void report(Bench bench, String label, Map<String, ?> shape, Bound floor, double[] seconds) {
        Map<String, Object> fields = new LinkedHashMap<>(shape);
        fields.put("dtype", "float32");
        bench.report(new Figure(
                "startup",
                label,
                fields,
                Machine.threads(),
                Unit.SECONDS,
                Measurement.of(seconds),
                floor,
                null,
                Map.of()));
    }

    private static double[] child(String... arguments) {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.add(1, Integer.toString(Machine.threads()));
        List<String> command = ChildJvm.command(StartupBench.class, all);
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int code = process.waitFor();
            if (code != 0) {
                throw new IsthmusException(
                        "a JVM that was to be timed ended with code " + code + ": " + String.join(" ", command));
            }
            return output.strip().lines().mapToDouble(Double::parseDouble).toArray();
        } catch (IOException e) {
            throw new IsthmusException("cannot start a JVM: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IsthmusException("interrupted", e);
        }
    }

    /** In the child: prints the seconds since its JVM started, at each mark, and for a product the share of the peak. */
    public static void main(String[] args) {
        List<Long> marks = new ArrayList<>();
        Machine.setThreads(Integer.parseInt(args[1]));
        double reached = 0;
        switch (args[0]) {
            case "product" -> reached = untilNear(Double.parseDouble(args[2]));
            case "steps" -> {
                try (Scope scope = Scope.open()) {
                    StepBench.Training training = new StepBench.Training(StepBench.Config.ALL.getFirst());
                    training.step();
                    marks.add(System.currentTimeMillis());
                    training.step();
                    training.step();
                }
            }
            default -> {}
        }
        marks.add(System.currentTimeMillis());
        // Asked for last: the management classes take a while to load.
        long start = ManagementFactory.getRuntimeMXBean().getStartTime();
        marks.forEach(mark -> System.out.println((mark - start) / 1e3));
        if (reached > 0) {
            System.out.println(reached);
        }
    }

    /** Multiplies until a product is near the peak, or patience ends; returns the largest share of the peak. */
    private static double untilNear(double peak) {
        double best = 0;
        try (Scope scope = Scope.open()) {
            MatMul call = GemmBench.call(PRODUCT, Tensor.empty(DType.FLOAT32, PRODUCT.m(), PRODUCT.n()));
            long begin = System.nanoTime();
            while (best < NEAR_PEAK && (System.nanoTime() - begin) / 1e9 < PATIENCE_SECONDS) {
                long start = System.nanoTime();
                scope.device().run(call);
                best = Math.max(best, PRODUCT.flops() / ((System.nanoTime() - start) / 1e9) / peak);
            }
        }
        return best;
    }
}
