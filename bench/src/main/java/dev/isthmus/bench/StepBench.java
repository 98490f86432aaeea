package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.ModelSize;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** Times whole training steps: forward, backward, clipping and AdamW, through the tensors and autograd that trainers use. */
public final class StepBench {
    private static final double PROFILE_SECONDS = 1;

    private StepBench() {}

    /**
     * A model and a batch.
     *
     * @param name what {@code --config} calls it
     */
    public record Config(String name, DecoderConfig model, int batch, int length) {
        /** The configurations that are always measured with the same sizes. */
        public static final List<Config> ALL = List.of(
                new Config("S", ModelSize.S.config(64, 64), 128, 64),
                new Config("M", ModelSize.M.config(64, 64), 128, 64),
                new Config("L", ModelSize.L.config(64, 64), 128, 64),
                new Config("baby", DecoderConfig.gpt2(65, 384, 6, 6, 256), 12, 256),
                new Config("gpt2-124m", DecoderConfig.gpt2(50257, 768, 12, 12, 1024), 4, 64),
                new Config("gpt2-124m", DecoderConfig.gpt2(50257, 768, 12, 12, 1024), 1, 256),
                new Config("gpt2-124m", DecoderConfig.gpt2(50257, 768, 12, 12, 1024), 4, 256));

        /** The floating-point operations of the matrix products of a step: 6 a weight and token, 12 a score and head size. */
        double flops() {
            double tokens = (double) batch * length;
            double attention = 12.0 * model.numHiddenLayers() * model.querySize() * length / 2;
            return tokens * (6.0 * weights(model) + attention);
        }

        /**
         * The bytes that a step cannot do without as it is computed here: weights, gradients and both moments; of each token
         * and block what the backward rules read (the residual stream and its norm twice, queries, keys and values, what
         * attention gave, and the MLP's inner values before and after the activation); the logits, whose gradient takes their place. Of
         * attention only a number a row is kept; its probabilities are computed again.
         */
        long leastBytes(long parameters) {
            long inner = (model.gatedMlp() ? 3L : 2L) * model.intermediateSize();
            long block = 4L * model.hiddenSize() + 2L * model.querySize() + 2L * model.keyValueSize() + inner;
            long token = model.numHiddenLayers() * block + 2L * model.hiddenSize() + model.vocabSize();
            return Float.BYTES * (4 * parameters + batch * (long) length * token);
        }

        Map<String, Object> fields() {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("config", name);
            fields.put("batch", batch);
            fields.put("length", length);
            fields.putAll(Data.fields(model));
            fields.put("dtype", "float32");
            return fields;
        }
    }

    /** The weights of the matrix products that a token goes through. */
    static long weights(DecoderConfig model) {
        long attention = (long) model.hiddenSize() * (2 * model.querySize() + 2 * model.keyValueSize());
        long mlp = (long) (model.gatedMlp() ? 3 : 2) * model.hiddenSize() * model.intermediateSize();
        return model.numHiddenLayers() * (attention + mlp) + (long) model.vocabSize() * model.hiddenSize();
    }

    /** A model in training on one batch, in the current scope. */
    static final class Training {
        final Decoder model;
        private final Trainer trainer;
        private final List<Example> batch;

        Training(Config config) {
            model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            trainer = new Trainer(model, TrainingArguments.of(1e-3, new LrSchedule.Constant()));
            Rng rng = Rng.of(2);
            batch = IntStream.range(0, config.batch)
                    .mapToObj(_ -> new Example(
                            rng.ints(config.length + 1, 0, config.model.vocabSize())
                                    .toArray(),
                            1))
                    .toList();
        }

        double step() {
            return trainer.step(List.of(this::loss)).loss();
        }

        private Tensor loss() {
            return CompletionLoss.mean(model, batch, CompletionLoss.tokens(batch));
        }
    }

    /** Measures a step of each configuration on the present number of threads. */
    public static void run(Bench bench, List<Config> configs) {
        bench.ceilings();
        bench.report().title("training steps; the ceiling is the arithmetic of the matrix products at the peak");
        configs.forEach(config -> measure(bench, config));
    }

    private static void measure(Bench bench, Config config) {
        TimedDevice timed = new TimedDevice(Scope.current().device());
        Figure figure;
        Profile profile;
        long least;
        long peak;
        try (Scope scope = Scope.open()) {
            Training training = new Training(config);
            least = config.leastBytes(training.model.size());
            figure = bench.measure(
                    "step",
                    String.format(Locale.ROOT, "%s, batch %d x %d", config.name, config.batch, config.length),
                    config.fields(),
                    Unit.MILLISECONDS,
                    Needs.flops(config.flops()),
                    training::step);
            peak = scope.peakBytes();
        }
        try (Scope scope = Scope.open(timed)) {
            profile = profile(new Training(config), timed, figure.seconds().median());
        }
        bench.report(figure.with(
                Map.of("overhead", profile.outside, "calls", profile.calls, "peak_bytes", peak, "least_bytes", least)));
        bench.report()
                .note(String.format(
                        Locale.ROOT,
                        "    at most %.0f MB, %.2f times the least (weights, gradients, moments, what backward reads: %.0f MB)",
                        peak / 1e6,
                        (double) peak / least,
                        least / 1e6));
        bench.report()
                .note(String.format(
                        Locale.ROOT,
                        "    %d calls; outside of them (autograd, dispatch, memory) %.1f%% of the step; in %s",
                        profile.calls,
                        100 * profile.outside,
                        profile.kinds));
    }

    /**
     * Where a step's time goes.
     *
     * @param outside the share spent outside of kernel calls
     */
    private record Profile(long calls, double outside, String kinds) {}

    private static Profile profile(Training training, TimedDevice timed, double step) {
        int steps = (int) Math.clamp(PROFILE_SECONDS / step, 1, 10);
        training.step();
        timed.reset();
        long start = System.nanoTime();
        for (int i = 0; i < steps; i++) {
            training.step();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return new Profile(timed.calls() / steps, 1 - timed.seconds() / seconds, timed.shares(seconds));
    }
}
