package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.ModelSize;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.GrpoLoss.LossType;
import dev.isthmus.rl.objective.ImportanceSamplingLevel;
import dev.isthmus.rl.objective.Normalizer;
import dev.isthmus.rl.objective.Surrogate;
import dev.isthmus.rl.online.CompletionBatch;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.rl.task.Addition;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Split;
import dev.isthmus.rl.task.Task;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Times whole steps of reinforcement learning and of preference learning, and says where the time goes. */
public final class RlBench {
    private static final double PROFILE_SECONDS = 1.5;
    private static final Set<String> PRODUCTS_AND_ATTENTION =
            Set.of("MatMul", "Attention", "AttentionBackward", "CachedAttention", "WeightMatMul", "WeightMatMuls");

    private RlBench() {}

    /** What a step does. */
    public sealed interface Config permits Grpo, Dpo {
        /** The size of the model; what {@code --config} calls it. */
        String name();

        /** The model. */
        DecoderConfig model();
    }

    /**
     * Prompts {@code 123+456=} and {@code samples} completions of each of {@value #LENGTH} tokens, of which none ends early; one update
     * with all of them.
     *
     * @param beta the weight of the distance to a reference model; 0 for none
     */
    public record Grpo(String name, DecoderConfig model, int prompts, int samples, double beta) implements Config {
        static final int LENGTH = 5;
    }

    /** Pairs of completions to random prompts, one update with all of them; the reference's log-probabilities are known. */
    public record Dpo(String name, DecoderConfig model, int pairs, int promptTokens, int completionTokens)
            implements Config {}

    /** 64 prompts x 8 completions on S and M, without and with a reference; 64 pairs of 16 + 48 tokens on M. */
    public static final List<Config> ALL = List.of(
            new Grpo("S", ModelSize.S.config(64, 64), 64, 8, 0),
            new Grpo("S", ModelSize.S.config(64, 64), 64, 8, 0.04),
            new Grpo("M", ModelSize.M.config(64, 64), 64, 8, 0),
            new Grpo("M", ModelSize.M.config(64, 64), 64, 8, 0.04),
            new Dpo("M", ModelSize.M.config(64, 64), 64, 16, 48));

    /** A loop of which one step is timed, in phases. */
    private abstract static class Loop {
        final Map<String, Long> nanos = new LinkedHashMap<>();

        abstract double step();

        <T> T timed(String phase, Supplier<T> work) {
            long start = System.nanoTime();
            T result = work.get();
            nanos.merge(phase, System.nanoTime() - start, Long::sum);
            return result;
        }
    }

    private static final class GrpoLoop extends Loop {
        private static final String ALPHABET = "0123456789+=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";

        private final Grpo config;
        private final Task task = Addition.of(3, false);
        private final CharTokenizer tokenizer = new CharTokenizer(ALPHABET, true);
        private final Decoder model;
        private final @Nullable Decoder reference;
        private final Trainer trainer;
        private final GrpoLoss loss;
        private final GenerationConfig generation;
        private final Rng rng = Rng.of(2);
        private long steps;

        GrpoLoop(Grpo config) {
            this.config = config;
            model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            reference = config.beta == 0 ? null : model.copy();
            trainer = new Trainer(model, TrainingArguments.of(1e-6, new LrSchedule.Constant()));
            loss = GrpoLoss.of(
                    LossType.DAPO, config.beta, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
            generation = new GenerationConfig(SamplingParams.temperature(1), Grpo.LENGTH, List.of(), config.samples);
        }

        @Override
        double step() {
            Rng stream = rng.split("step", steps++);
            List<Problem> problems = IntStream.range(0, config.prompts)
                    .mapToObj(i -> task.sample(Split.TRAIN, stream.split("problem", i)))
                    .toList();
            List<int[]> prompts =
                    problems.stream().map(p -> tokenizer.encode(p.prompt())).toList();
            List<Completion> completions =
                    timed("rollout", () -> Generator.generate(model, prompts, generation, stream));
            double[] advantages = timed("reward", () -> advantages(problems, completions));
            CompletionBatch batch = new CompletionBatch(completions.stream()
                    .map(c -> Example.of(prompts.get(c.prompt()), c.tokens()))
                    .toList());
            try (Scope scope = Scope.open()) {
                Tensor ref = timed("reference", () -> reference(batch));
                return timed(
                        "train",
                        () -> trainer.step(List.of(() -> loss(batch, completions, ref, advantages)))
                                .loss());
            }
        }

        /** A model that was never trained solves nothing, so the digits that are right count. */
        private double[] advantages(List<Problem> problems, List<Completion> completions) {
            double[][] rewards = new double[completions.size()][2];
            for (int i = 0; i < rewards.length; i++) {
                Problem problem = problems.get(completions.get(i).prompt());
                String text = tokenizer.decode(completions.get(i).tokens());
                rewards[i][0] = task.verify(problem, text).correct() ? 1 : 0;
                for (int c = 0; c < Math.min(text.length(), problem.answer().length()); c++) {
                    rewards[i][1] += text.charAt(c) == problem.answer().charAt(c) ? 1 : 0;
                }
            }
            return Advantages.groupRelative(
                            rewards,
                            new double[] {1, 1},
                            config.samples,
                            ScaleRewards.GROUP,
                            MultiObjectiveAggregation.SUM_THEN_NORMALIZE)
                    .values();
        }

        private @Nullable Tensor reference(CompletionBatch batch) {
            return reference == null
                    ? null
                    : Autograd.noGrad(() -> batch.scores(reference, 1, false).logps());
        }

        private Tensor loss(
                CompletionBatch batch, List<Completion> completions, @Nullable Tensor ref, double[] advantages) {
            Tensor mask = batch.mask();
            return loss.compute(new GrpoLoss.Inputs(
                            batch.scores(model, 1, true).logps(),
                            batch.pad(completions.stream()
                                    .map(Completion::logProbs)
                                    .toList()),
                            ref,
                            Tensor.of(advantages, advantages.length).to(DType.FLOAT32),
                            null,
                            new Normalizer.Batch(mask, mask.sum().item(), Grpo.LENGTH, 1)))
                    .loss();
        }
    }

    private static final class DpoLoop extends Loop {
        private static final double BETA = 0.1;

        private final Decoder model;
        private final Trainer trainer;
        private final CompletionBatch batch;
        private final Tensor reference;

        DpoLoop(Dpo config) {
            model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            trainer = new Trainer(model, TrainingArguments.of(1e-6, new LrSchedule.Constant()));
            Rng rng = Rng.of(2);
            List<Example> examples = new ArrayList<>();
            int words = config.model.vocabSize();
            for (int i = 0; i < config.pairs; i++) {
                int[] prompt = rng.ints(config.promptTokens, 0, words).toArray();
                for (int side = 0; side < 2; side++) {
                    examples.add(Example.of(
                            prompt, rng.ints(config.completionTokens, 0, words).toArray()));
                }
            }
            batch = new CompletionBatch(examples);
            reference = Autograd.noGrad(() -> ratios(model));
        }

        @Override
        double step() {
            return timed("train", () -> trainer.step(List.of(this::loss)).loss());
        }

        /** {@code -log sigmoid(beta (chosen - rejected - reference))}. */
        private Tensor loss() {
            return ratios(model).sub(reference).mul(-BETA).exp().add(1).log().mean();
        }

        /** {@code [pairs]}: how much more probable the first completion is than the second. */
        private Tensor ratios(Decoder of) {
            Tensor sums = batch.scores(of, 1, false).logps().sum(1, false).reshape(-1, 2);
            return sums.narrow(1, 0, 1).sub(sums.narrow(1, 1, 1));
        }
    }

    /** Measures a step of each configuration on the present number of threads. */
    public static void run(Bench bench, List<Config> configs) {
        bench.ceilings();
        bench.report()
                .title(
                        "steps of reinforcement learning; the ceiling is the arithmetic of the matrix products at the peak");
        configs.forEach(config -> measure(bench, config));
    }

    private static Loop loop(Config config) {
        return switch (config) {
            case Grpo grpo -> new GrpoLoop(grpo);
            case Dpo dpo -> new DpoLoop(dpo);
        };
    }

    private static void measure(Bench bench, Config config) {
        TimedDevice timed = new TimedDevice(Scope.current().device());
        Figure figure;
        Profile profile;
        try (Scope scope = Scope.open()) {
            Loop loop = loop(config);
            figure = bench.measure(
                    "rl", label(config), fields(config), Unit.MILLISECONDS, Needs.flops(flops(config)), loop::step);
        }
        try (Scope scope = Scope.open(timed)) {
            profile = profile(loop(config), timed, figure.seconds().median());
        }
        Map<String, Object> extras = new LinkedHashMap<>();
        profile.phases.forEach((phase, share) -> extras.put(phase, share * figure.value()));
        extras.put("products_and_attention", profile.productsAndAttention);
        extras.put("overhead", profile.outside);
        bench.report(figure.with(extras));
        bench.report()
                .note(String.format(
                        Locale.ROOT,
                        "    %s; %.0f%% in matrix products and attention, %.1f%% outside of kernel calls (%s)",
                        profile.phases.entrySet().stream()
                                .map(e -> String.format(
                                        Locale.ROOT, "%s %.1f ms", e.getKey(), e.getValue() * figure.value()))
                                .collect(Collectors.joining(", ")),
                        100 * profile.productsAndAttention,
                        100 * profile.outside,
                        profile.kinds));
    }

    private static String label(Config config) {
        return switch (config) {
            case Grpo c ->
                "GRPO, " + c.name + ", " + c.prompts + " x " + c.samples + (c.beta == 0 ? "" : ", reference");
            case Dpo c ->
                "DPO, " + c.name + ", " + c.pairs + " pairs of " + c.promptTokens + " + " + c.completionTokens;
        };
    }

    private static Map<String, Object> fields(Config config) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("config", config.name());
        switch (config) {
            case Grpo c -> {
                fields.put("method", "grpo");
                fields.put("batch", c.prompts * c.samples);
                fields.put("prompts", c.prompts);
                fields.put("samples", c.samples);
                fields.put("length", Grpo.LENGTH);
                fields.put("beta", c.beta);
            }
            case Dpo c -> {
                fields.put("method", "dpo");
                fields.put("batch", c.pairs);
                fields.put("prompt_tokens", c.promptTokens);
                fields.put("length", c.completionTokens);
            }
        }
        fields.putAll(Data.fields(config.model()));
        fields.put("dtype", "float32");
        return fields;
    }

    /** Two operations a weight for each token that is read once, six for each that is learned from; a shared prompt counts once. */
    private static double flops(Config config) {
        long weights = StepBench.weights(config.model());
        return switch (config) {
            case Grpo c -> {
                double tokens = c.prompts * (8.0 + c.samples * (Grpo.LENGTH - 1));
                yield weights * tokens * (c.beta == 0 ? 2 + 6 : 2 + 2 + 6);
            }
            case Dpo c -> weights * 6.0 * c.pairs * (c.promptTokens + 2.0 * (c.completionTokens - 1));
        };
    }

    /** Where a step's time goes, as shares of it. */
    private record Profile(Map<String, Double> phases, double productsAndAttention, double outside, String kinds) {}

    private static Profile profile(Loop loop, TimedDevice timed, double step) {
        int steps = (int) Math.clamp(PROFILE_SECONDS / step, 2, 30);
        loop.step();
        loop.nanos.clear();
        timed.reset();
        long start = System.nanoTime();
        for (int i = 0; i < steps; i++) {
            loop.step();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        Map<String, Double> phases = new LinkedHashMap<>();
        loop.nanos.forEach((phase, nanos) -> phases.put(phase, nanos / 1e9 / seconds));
        double inner = timed.byKind().entrySet().stream()
                .filter(e -> PRODUCTS_AND_ATTENTION.contains(e.getKey()))
                .mapToDouble(Map.Entry::getValue)
                .sum();
        return new Profile(phases, inner / seconds, 1 - timed.seconds() / seconds, timed.shares(seconds));
    }
}
