package dev.isthmus.bench;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.ModelSize;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Times whole training steps: forward, backward, clipping and AdamW, through the tensors and autograd that trainers use. */
public final class StepBench {
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
        public double flops() {
            double tokens = (double) batch * length;
            long weights = model.numHiddenLayers()
                            * ((long) model.hiddenSize() * (model.querySize() + 2 * model.keyValueSize())
                                    + (long) model.querySize() * model.hiddenSize()
                                    + (long) (model.gatedMlp() ? 3 : 2) * model.hiddenSize() * model.intermediateSize())
                    + (long) model.vocabSize() * model.hiddenSize();
            double attention = 12.0 * model.numHiddenLayers() * model.querySize() * length / 2;
            return tokens * (6.0 * weights + attention);
        }

        /** The configurations of a name. */
        public static List<Config> named(String name) {
            List<Config> found =
                    ALL.stream().filter(c -> c.name.equalsIgnoreCase(name)).toList();
            if (found.isEmpty()) {
                throw new IsthmusException("there is no configuration '" + name + "'; there are "
                        + String.join(", ", ALL.stream().map(Config::name).distinct().toList()));
            }
            return found;
        }
    }

    /** Milliseconds a step: the best, and the median of those measured. */
    public record Result(Config config, double best, double median) {}

    /** Runs {@code warmup} steps and then measures {@code steps}. */
    public static Result measure(Config config, int warmup, int steps) {
        try (Scope scope = Scope.open()) {
            Decoder model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            Trainer trainer = new Trainer(model, TrainingArguments.of(1e-3, new LrSchedule.Constant()));
            Rng rng = Rng.of(2);
            List<Example> batch = IntStream.range(0, config.batch)
                    .mapToObj(_ -> new Example(
                            rng.ints(config.length + 1, 0, config.model.vocabSize()).toArray(), 1))
                    .toList();
            double[] times = new double[steps];
            for (int i = -warmup; i < steps; i++) {
                long start = System.nanoTime();
                trainer.step(List.of(() -> CompletionLoss.mean(model, batch, CompletionLoss.tokens(batch))));
                if (i >= 0) {
                    times[i] = (System.nanoTime() - start) / 1e6;
                }
            }
            Arrays.sort(times);
            return new Result(config, times[0], times[steps / 2]);
        }
    }
}
