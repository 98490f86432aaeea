package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.ModelSize;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Times the sampling of many completions at once, as reinforcement learning does it. */
public final class RolloutBench {
    private RolloutBench() {}

    /** Prompts and what is sampled of each: {@code samples} completions of {@code newTokens} tokens, none of which ends early. */
    public record Config(String name, DecoderConfig model, int prompts, int samples, int promptTokens, int newTokens) {
        /** 128 prompts x 8 samples, 12 + 48 tokens. */
        public static final List<Config> ALL = List.of(of(ModelSize.S), of(ModelSize.M), of(ModelSize.L));

        private static Config of(ModelSize size) {
            return new Config(size.name(), size.config(64, 64), 128, 8, 12, 48);
        }

        private double tokens() {
            return (double) prompts * samples * newTokens;
        }

        private Map<String, Object> fields() {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("config", name);
            fields.put("batch", prompts * samples);
            fields.put("prompts", prompts);
            fields.put("samples", samples);
            fields.put("prompt_tokens", promptTokens);
            fields.put("length", newTokens);
            fields.putAll(Data.fields(model));
            fields.put("dtype", "float32");
            return fields;
        }
    }

    /** Measures them on the present number of threads. */
    public static void run(Bench bench, List<Config> configs) {
        bench.ceilings();
        bench.report().title("rollouts; the ceiling is the arithmetic of the matrix products at the peak");
        configs.forEach(config -> measure(bench, config));
    }

    private static void measure(Bench bench, Config config) {
        try (Scope scope = Scope.open()) {
            Decoder model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            List<int[]> prompts = IntStream.range(0, config.prompts)
                    .mapToObj(p -> Rng.of(2)
                            .split("prompt", p)
                            .ints(config.promptTokens, 0, config.model.vocabSize())
                            .toArray())
                    .toList();
            GenerationConfig generation =
                    new GenerationConfig(SamplingParams.temperature(1), config.newTokens, List.of(), config.samples);
            double read = (double) config.prompts * config.promptTokens;
            bench.figure(
                    "rollout",
                    config.name + ", " + config.prompts + " prompts x " + config.samples + ", " + config.promptTokens
                            + " + " + config.newTokens,
                    config.fields(),
                    Unit.tokens(config.tokens()),
                    Needs.flops(2.0 * model.size() * (read + config.tokens())),
                    () -> Generator.generate(model, prompts, generation, Rng.of(3))
                            .getLast()
                            .logProbs()[0]);
        }
    }
}
