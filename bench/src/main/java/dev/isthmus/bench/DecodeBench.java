package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.generate.KvCache;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Times one text, with weights as files hold them: the reading of a prompt, which is arithmetic, and the writing token by token, which
 * reads every weight for every token.
 */
public final class DecodeBench {
    private static final int PROMPTS = 5;

    /** The first runs, while the compilers work. */
    private static final int SKIPPED_PROMPTS = 2;

    private DecodeBench() {}

    /**
     * A model with random weights, and one text.
     *
     * @param promptTokens the tokens that it reads at once
     * @param tokens the number of tokens it writes; the first {@code skipped} of them are not timed
     */
    public record Config(DecoderConfig model, int promptTokens, int tokens, int skipped) {
        /** 8 layers of width 1,024 (FF 2,816, 16 heads), 8,192 words: 111 million weights. */
        public static final Config DEFAULT =
                new Config(DecoderConfig.llama(8192, 1024, 2816, 8, 16, 16, 512, true), 256, 128, 64);

        private int[] prompt(int length) {
            return Rng.of(1).ints(length, 0, model.vocabSize()).toArray();
        }
    }

    /** Measures it on the present number of threads, in every format one after the other. */
    public static void run(Bench bench, Config config) {
        bench.ceilings();
        bench.report()
                .title(
                        "one text; the ceiling of the prompt is the arithmetic of its products, that of a token reading every weight");
        for (WeightFormat format : WeightFormat.values()) {
            try (Scope scope = Scope.open()) {
                Decoder model = model(config.model, format);
                prefill(bench, model, config, format);
                decode(bench, model, config, format);
            }
        }
    }

    /** A model for inference with random weights, all in one format. */
    private static Decoder model(DecoderConfig config, WeightFormat format) {
        Map<String, int[]> shapes = new LinkedHashMap<>();
        try (Scope scope = Scope.open()) {
            for (Parameter p : new Decoder(config, DType.FLOAT32).parameters()) {
                if (p.value().rank() == 2) {
                    shapes.put(
                            p.name(),
                            new int[] {(int) p.value().size(0), (int) p.value().size(1)});
                }
            }
        }
        Map<String, StoredWeight> weights = new LinkedHashMap<>();
        shapes.forEach((name, shape) -> weights.put(
                name, new StoredWeight(format, Data.weight(format, shape[0], shape[1]), shape[1], shape[0])));
        return new Decoder(config, weights).initialize(Rng.of(1));
    }

    private static Map<String, Object> fields(Decoder model, WeightFormat format) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("config", "llama-" + numbers(model) / 1_000_000 + "m");
        fields.put("batch", 1);
        fields.putAll(Data.fields(model.config()));
        fields.put("dtype", format.name().toLowerCase(Locale.ROOT));
        return fields;
    }

    private static long numbers(Decoder model) {
        return model.stored().values().stream()
                .mapToLong(w -> (long) w.in() * w.out())
                .sum();
    }

    private static void prefill(Bench bench, Decoder model, Config config, WeightFormat format) {
        int tokens = config.promptTokens;
        int[] prompt = config.prompt(tokens);
        KvCache cache = new KvCache(model, KvCache.pagesFor(tokens));
        Measurement read = measure(() -> Autograd.noGrad(() -> {
            try (Scope pass = Scope.open()) {
                KvCache.Sequence text = cache.open();
                Tensor hidden = cache.prefill(List.of(text), List.of(prompt));
                model.logits(hidden.narrow(0, tokens - 1, 1)).toFloats();
                cache.release(text);
            }
        }));
        Measurement products = products(model, tokens);
        Map<String, Object> fields = fields(model, format);
        fields.put("prompt_tokens", tokens);
        long head = (long) model.config().vocabSize() * model.config().hiddenSize();
        double share = products.median() / read.median();
        bench.report(new Figure(
                "prefill",
                format + ", reading " + tokens + " tokens",
                fields,
                Machine.threads(),
                Unit.tokens(tokens),
                read,
                Needs.flops(2.0 * tokens * (numbers(model) - head) + 2.0 * head).on(bench.ceilings()),
                null,
                Map.of("gemm_share", share)));
        bench.report()
                .note(String.format(
                        Locale.ROOT, "    its products as float32 matrices take %.0f %% of this time", 100 * share));
    }

    /** The time that the products of the blocks take with weights that are float32 tensors. */
    private static Measurement products(Decoder model, int tokens) {
        Map<List<Integer>, Long> shapes = model.stored().entrySet().stream()
                .filter(weight -> weight.getKey().contains("layers"))
                .map(weight -> List.of(weight.getValue().in(), weight.getValue().out()))
                .collect(Collectors.groupingBy(shape -> shape, LinkedHashMap::new, Collectors.counting()));
        try (Scope scope = Scope.open()) {
            List<Runnable> calls = new ArrayList<>();
            shapes.forEach((shape, count) -> {
                Tensor x = Data.floats(tokens, shape.getFirst());
                Tensor weight = Data.floats(shape.getLast(), shape.getFirst());
                for (long i = 0; i < count; i++) {
                    calls.add(() -> Functional.linear(x, weight, null));
                }
            });
            return measure(() -> Autograd.noGrad(() -> {
                try (Scope pass = Scope.open()) {
                    calls.forEach(Runnable::run);
                }
            }));
        }
    }

    private static Measurement measure(Runnable run) {
        double[] seconds = new double[PROMPTS];
        for (int i = -SKIPPED_PROMPTS; i < PROMPTS; i++) {
            long start = System.nanoTime();
            run.run();
            seconds[Math.max(i, 0)] = (System.nanoTime() - start) / 1e9;
        }
        return Measurement.of(seconds);
    }

    private static void decode(Bench bench, Decoder model, Config config, WeightFormat format) {
        double bytes = model.stored().values().stream()
                .mapToDouble(w -> (double) w.out() * w.format().rowBytes(w.in()))
                .sum();
        Map<String, Object> fields = fields(model, format);
        fields.put("length", config.tokens);
        times(model, config); // until the loops of this format are compiled
        Measurement token = Measurement.of(times(model, config));
        bench.report(new Figure(
                "decode",
                format + ", writing " + config.tokens + " tokens",
                fields,
                Machine.threads(),
                Unit.tokens(1),
                token,
                new Needs(0, bytes, 0, 0).on(bench.ceilings()),
                null,
                Map.of("weights_gb_per_second", bytes / token.median() / 1e9)));
        bench.report()
                .note(String.format(Locale.ROOT, "    weights are read at %.1f GB/s", bytes / token.median() / 1e9));
    }

    /** Seconds from each timed token to the next. */
    private static double[] times(Decoder model, Config config) {
        long[] at = new long[config.tokens];
        int[] n = {0};
        GenerationConfig greedy = new GenerationConfig(SamplingParams.greedy(), config.tokens, List.of(), 1);
        Generator.generate(
                model,
                List.of(config.prompt(Math.min(12, config.promptTokens))),
                greedy,
                Rng.of(2),
                (_, _) -> at[n[0]++] = System.nanoTime());
        double[] seconds = new double[config.tokens - 1 - config.skipped];
        for (int i = 0; i < seconds.length; i++) {
            seconds[i] = (at[config.skipped + i + 1] - at[config.skipped + i]) / 1e9;
        }
        return seconds;
    }
}
