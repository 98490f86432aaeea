package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Times the writing of one text, token by token: every token reads every weight. */
public final class DecodeBench {
    private DecodeBench() {}

    /** A model with random weights, and the number of tokens it writes; the first {@code skipped} of them are not timed. */
    public record Config(DecoderConfig model, int tokens, int skipped) {
        /** 8 layers of width 1,024 (FF 2,816, 16 heads), 8,192 words: 111 million weights. */
        public static final Config DEFAULT =
                new Config(DecoderConfig.llama(8192, 1024, 2816, 8, 16, 16, 256, true), 96, 32);
    }

    /** Measures it on the present number of threads. */
    public static void run(Bench bench, Config config) {
        bench.ceilings();
        bench.report().title("decoding one text; the ceiling is reading every weight once a token");
        try (Scope scope = Scope.open()) {
            Decoder model = new Decoder(config.model, DType.FLOAT32).initialize(Rng.of(1));
            double bytes = (double) Float.BYTES * model.size();
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("config", "llama-" + model.size() / 1_000_000 + "m");
            fields.put("batch", 1);
            fields.put("length", config.tokens);
            fields.put("dtype", "float32");
            Measurement token = Measurement.of(times(model, config));
            Figure figure = new Figure(
                    "decode",
                    "llama, " + model.size() / 1_000_000 + " million weights, float32",
                    fields,
                    Machine.threads(),
                    Unit.tokens(1),
                    token,
                    new Needs(0, bytes, 0, 0).on(bench.ceilings()),
                    null,
                    Map.of("weights_gb_per_second", bytes / token.median() / 1e9));
            bench.report(figure);
            bench.report()
                    .note(String.format(
                            Locale.ROOT, "    weights are read at %.1f GB/s", bytes / token.median() / 1e9));
        }
    }

    /** Seconds from each timed token to the next. */
    private static double[] times(Decoder model, Config config) {
        long[] at = new long[config.tokens];
        int[] n = {0};
        GenerationConfig greedy = new GenerationConfig(SamplingParams.greedy(), config.tokens, List.of(), 1);
        Generator.generate(
                model,
                List.of(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),
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
