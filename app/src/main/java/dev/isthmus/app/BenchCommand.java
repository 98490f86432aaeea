package dev.isthmus.app;

import dev.isthmus.bench.Bench;
import dev.isthmus.bench.DecodeBench;
import dev.isthmus.bench.GemmBench;
import dev.isthmus.bench.KernelBench;
import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.bench.MicroBenchmarks;
import dev.isthmus.bench.Report;
import dev.isthmus.bench.RlBench;
import dev.isthmus.bench.RolloutBench;
import dev.isthmus.bench.StartupBench;
import dev.isthmus.bench.StepBench;
import dev.isthmus.bench.TokenizeBench;
import dev.isthmus.bench.ladder.Ladders;
import dev.isthmus.bench.peer.Peers;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Machine;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Measures what kernels, training steps and generation reach, beside what the machine can do at most. */
@Command(
        name = "bench",
        description = {
            "Measures beside the machine's ceilings, which are measured in the same run; without WHAT, an overview.",
            "Other engines that are there (OpenBLAS, a Python with torch) do the same work in turn. Wants the cores to itself."
        })
final class BenchCommand implements Runnable {
    private static final int JVMS = 3;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    /** What can be measured. */
    enum What {
        gemm,
        kernels,
        step,
        decode,
        rollout,
        rl,
        tokenize,
        startup,
        ladder,
        jmh
    }

    /** What other engines can do, too. */
    private static final Set<What> COMPARABLE =
            EnumSet.of(What.gemm, What.kernels, What.step, What.decode, What.rollout, What.rl, What.tokenize);

    /** What {@code --config} chooses from. */
    private static final Set<What> CONFIGURED = EnumSet.of(What.step, What.rollout, What.rl);

    @Parameters(
            index = "0",
            arity = "0..1",
            paramLabel = "WHAT",
            description = {
                "gemm: matrix products; kernels: everything else a step calls; step: training steps; decode: one text; "
                        + "rollout: many samples at once; rl: steps of GRPO and DPO; tokenize: a text; startup: from JVM start to full speed; ladder: the lessons of "
                        + "docs/kernels.md; jmh: the JMH benchmarks."
            })
    private @Nullable What what;

    @Option(
            names = "--config",
            paramLabel = "NAME",
            description = "Only this configuration: S, M, L, baby, gpt2-124m (step), S, M, L (rollout), S, M (rl).")
    private @Nullable String config;

    @Option(
            names = "--tokenizer",
            paramLabel = "DIR",
            description = "A model whose tokenizer encodes (tokenize); may be given several times.")
    private List<Path> tokenizers = List.of();

    @Option(names = "--text", paramLabel = "FILE", description = "The text that is encoded (tokenize).")
    private @Nullable Path text;

    @Option(
            names = "--peers",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "Compare with other engines; ISTHMUS_PYTHON names the Python to ask for torch, "
                    + "ISTHMUS_LLAMA_BENCH the llama-bench of llama.cpp (decode), ISTHMUS_DJL the jars of DJL (gemm).")
    private boolean peers;

    @Option(names = "--json", description = "One JSON object a line.")
    private boolean json;

    @Override
    public void run() {
        if (what == What.jmh) {
            MicroBenchmarks.run(".*");
            return;
        }
        if (config != null && !CONFIGURED.contains(what)) {
            throw new ParameterException(spec.commandLine(), "--config is for step, rollout and rl");
        }
        if ((what == What.tokenize) != (text != null) || tokenizers.isEmpty() == (what == What.tokenize)) {
            throw new ParameterException(
                    spec.commandLine(), "tokenize, and nothing else, needs --tokenizer DIR and --text FILE");
        }
        List<StepBench.Config> steps =
                what == What.step ? chosen(StepBench.Config.ALL, StepBench.Config::name) : List.of();
        List<RolloutBench.Config> rollouts =
                what == What.rollout ? chosen(RolloutBench.Config.ALL, RolloutBench.Config::name) : List.of();
        List<RlBench.Config> loops = what == What.rl ? chosen(RlBench.ALL, RlBench.Config::name) : List.of();
        if (Machine.vectorBits() == 0) {
            throw new IsthmusException("bench needs the Vector API; ./isthmus doctor says what is missing");
        }
        Report report =
                new Report(spec.commandLine().getOut(), spec.commandLine().getErr(), json);
        report.note(Device.cpu().name());
        if (what == null) {
            overview(new Bench(report, Effort.BRIEF, List.of()));
            return;
        }
        if (!peers || !COMPARABLE.contains(what)) {
            measure(
                    new Bench(report, what == What.ladder ? Effort.BRIEF : Effort.FULL, List.of()),
                    steps,
                    rollouts,
                    loops);
            return;
        }
        try (Peers found = peers(report)) {
            measure(new Bench(report, Effort.FULL, found.found()), steps, rollouts, loops);
        }
    }

    private Peers peers(Report report) {
        return switch (what) {
            case tokenize -> Peers.tokenizers(report::note);
            case decode -> Peers.llamaCpp(report::note);
            case null, default -> Peers.find(what == What.gemm, report::note);
        };
    }

    private void measure(
            Bench bench, List<StepBench.Config> steps, List<RolloutBench.Config> rollouts, List<RlBench.Config> loops) {
        switch (what) {
            case gemm -> GemmBench.run(bench, GemmBench.Shape.ALL, threads());
            case kernels -> KernelBench.run(bench, KernelBench.Sizes.FULL);
            case step -> StepBench.run(bench, steps);
            case decode -> DecodeBench.run(bench, DecodeBench.Config.DEFAULT);
            case rollout -> RolloutBench.run(bench, rollouts);
            case rl -> RlBench.run(bench, loops);
            case tokenize -> TokenizeBench.run(bench, tokenizers, Objects.requireNonNull(text));
            case startup -> StartupBench.run(bench, JVMS);
            case ladder -> Ladders.run(bench);
            case jmh -> throw new IllegalStateException();
            case null -> throw new IllegalStateException();
        }
    }

    /** Something of everything, in less than two minutes. */
    private static void overview(Bench bench) {
        GemmBench.run(bench, GemmBench.Shape.FEW, Machine.threads());
        KernelBench.run(bench, KernelBench.Sizes.FEW);
        StepBench.run(
                bench,
                StepBench.Config.ALL.stream()
                        .filter(c -> c.name().equals("S") || c.name().equals("baby"))
                        .toList());
        DecodeBench.run(bench, DecodeBench.Config.DEFAULT);
        RolloutBench.run(bench, RolloutBench.Config.ALL.subList(0, 1));
        StartupBench.run(bench, 1);
        bench.report().note("");
        bench.report()
                .note(
                        "More, and other engines beside it: ./isthmus bench gemm, kernels, step, decode, rollout, rl, tokenize, startup");
    }

    /** The number of threads that was asked for; otherwise one, and as many as there are cores. */
    private int[] threads() {
        boolean given = spec.commandLine().getParseResult().hasMatchedOption("--threads")
                || spec.root().commandLine().getParseResult().hasMatchedOption("--threads");
        return given
                ? new int[] {Machine.threads()}
                : IntStream.of(1, Machine.threads()).distinct().toArray();
    }

    private <T> List<T> chosen(List<T> all, Function<T, String> name) {
        List<T> found = all.stream()
                .filter(c -> config == null || name.apply(c).equalsIgnoreCase(config))
                .toList();
        if (found.isEmpty()) {
            throw new ParameterException(
                    spec.commandLine(),
                    String.format(
                            Locale.ROOT,
                            "there is no configuration '%s'; there are %s",
                            config,
                            String.join(", ", all.stream().map(name).distinct().toList())));
        }
        return found;
    }
}
