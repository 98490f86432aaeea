package dev.isthmus.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Machine.Ceilings;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Every benchmark at sizes that take no time: what it prints, not how fast it is. */
class BenchTests {
    private static final Effort NONE = new Effort(0, 0, 1, 0);
    private static final DecoderConfig TINY = DecoderConfig.llama(16, 16, 32, 1, 2, 2, 16, true);

    private final int threads = Machine.threads();

    @AfterEach
    void restoreThreads() {
        Machine.setThreads(threads);
    }

    private static List<JsonNode> json(Consumer<Bench> benchmark) {
        StringWriter out = new StringWriter();
        StringWriter notes = new StringWriter();
        Report report = new Report(new PrintWriter(out), new PrintWriter(notes), true);
        benchmark.accept(new Bench(report, NONE, List.of(), () -> new Ceilings(1e12, 1e11, 1e11)));
        assertThat(notes.toString()).contains("ceilings");
        List<JsonNode> lines =
                out.toString().lines().map(JsonMapper.shared()::readTree).toList();
        assertThat(lines).isNotEmpty().allSatisfy(BenchTests::keepsTheContract);
        return lines;
    }

    private static void keepsTheContract(JsonNode line) {
        assertThat(line.get("bench").isString()).isTrue();
        assertThat(line.get("threads").isInt()).isTrue();
        assertThat(line.get("value").doubleValue()).isPositive();
        assertThat(line.get("unit").isString()).isTrue();
        assertThat(line.get("ceiling").doubleValue()).isPositive();
        assertThat(line.get("fraction").doubleValue()).isPositive();
        assertThat(line.get("dtype").stringValue()).isIn("float32", "f32", "bf16", "f16", "q8_0", "q4_0");
        assertThat(line.has("peer")).isTrue();
        assertThat(line.get("peer").isNull()).isTrue();
    }

    @Test
    void gemmRunsEveryShapeOnEachNumberOfThreads() {
        List<GemmBench.Shape> shapes = List.of(
                new GemmBench.Shape("NN", 5, 6, 7),
                new GemmBench.Shape("NT", 5, 6, 7),
                new GemmBench.Shape("TN", 5, 6, 7));
        List<JsonNode> lines = json(bench -> GemmBench.run(bench, shapes, 1, 2));
        assertThat(lines).hasSize(6).allSatisfy(line -> {
            assertThat(line.get("bench").stringValue()).isEqualTo("gemm");
            assertThat(line.get("m").intValue()).isEqualTo(5);
            assertThat(line.get("n").intValue()).isEqualTo(6);
            assertThat(line.get("k").intValue()).isEqualTo(7);
        });
        assertThat(lines.stream().map(l -> l.get("op").stringValue()))
                .containsExactly("NN", "NT", "TN", "NN", "NT", "TN");
        assertThat(lines.stream().map(l -> l.get("threads").intValue())).containsExactly(1, 1, 1, 2, 2, 2);
        assertThat(Machine.threads()).isEqualTo(threads);
    }

    @Test
    void gemmEndsWithItsMedianAndItsLeast() {
        StringWriter out = new StringWriter();
        Report report = new Report(new PrintWriter(out), new PrintWriter(new StringWriter()), false);
        Bench bench = new Bench(report, NONE, List.of(), () -> new Ceilings(1e12, 1e11, 1e11));
        GemmBench.run(bench, List.of(new GemmBench.Shape("NN", 5, 6, 7)), 1);
        assertThat(out.toString().strip().lines().toList().getLast())
                .contains("1 products", "median", "least", "NN 5 x 6 x 7");
    }

    @Test
    void theShapesAreThoseOfTheIssue() {
        assertThat(GemmBench.Shape.ALL).hasSize(29).doesNotHaveDuplicates();
        assertThat(GemmBench.Shape.ALL).containsAll(GemmBench.Shape.FEW);
    }

    @Test
    void kernelsNameTheirCeiling() {
        KernelBench.Sizes tiny =
                new KernelBench.Sizes(3, 16, 40, 2, 33, 64, 32, List.of(new KernelBench.Sequences(2, 5, 2, 8)));
        List<JsonNode> lines = json(bench -> KernelBench.run(bench, tiny));
        assertThat(lines.stream().map(l -> l.get("op").stringValue()))
                .contains(
                        "adamw",
                        "rms_norm",
                        "rms_norm_backward",
                        "layer_norm",
                        "layer_norm_backward",
                        "swiglu",
                        "swiglu_backward",
                        "gelu",
                        "gelu_backward",
                        "exp",
                        "softmax",
                        "softmax_backward",
                        "cross_entropy",
                        "cross_entropy_backward",
                        "attention",
                        "attention_backward",
                        "gemv",
                        "gemv_packed");
        assertThat(lines.stream().map(l -> l.get("dtype").stringValue()))
                .contains("f32", "bf16", "f16", "q8_0", "q4_0");
        assertThat(lines)
                .allSatisfy(l ->
                        assertThat(l.get("ceiling_of").stringValue()).isIn("fma", "read", "update", "read and update"));
    }

    @Test
    void aStepSaysItsSizesItsOverheadAndItsMemory() {
        List<JsonNode> lines = json(bench -> StepBench.run(bench, List.of(new StepBench.Config("tiny", TINY, 2, 8))));
        assertThat(lines).singleElement().satisfies(line -> {
            assertThat(line.get("bench").stringValue()).isEqualTo("step");
            assertThat(line.get("config").stringValue()).isEqualTo("tiny");
            assertThat(line.get("batch").intValue()).isEqualTo(2);
            assertThat(line.get("length").intValue()).isEqualTo(8);
            assertThat(line.get("overhead").doubleValue()).isBetween(0.0, 1.0);
            assertThat(line.get("least_bytes").longValue()).isPositive();
            assertThat(line.get("peak_bytes").longValue())
                    .isGreaterThan(line.get("least_bytes").longValue() / 2);
        });
    }

    /** Counted by hand: two layers of width 4 with 3 inner values, 5 words, 7 weights, 2 x 3 tokens. */
    @Test
    void theLeastMemoryOfAStepIsWhatItsBackwardReads() {
        DecoderConfig model = DecoderConfig.llama(5, 4, 3, 2, 2, 1, 8, true);
        long token = 2 * (4 * 4 + 2 * 4 + 2 * 2 + 3 * 3) + 2 * 4 + 5;
        assertThat(new StepBench.Config("x", model, 2, 3).leastBytes(7)).isEqualTo(4 * (4 * 7 + 6 * token));
    }

    @Test
    void decodingAndRolloutsCountTokens() {
        List<JsonNode> decode = json(bench -> DecodeBench.run(
                bench, new DecodeBench.Config(DecoderConfig.llama(32, 32, 64, 1, 2, 2, 32, true), 9, 6, 2)));
        assertThat(decode).hasSize(2 * WeightFormat.values().length).allSatisfy(line -> {
            boolean prompt = line.get("bench").stringValue().equals("prefill");
            assertThat(line.get("unit").stringValue()).isEqualTo("tokens/s");
            assertThat(line.get("ceiling_of").stringValue()).isEqualTo(prompt ? "fma" : "read");
            assertThat(line.get(prompt ? "gemm_share" : "weights_gb_per_second").doubleValue())
                    .isPositive();
        });
        assertThat(decode.stream().map(line -> line.get("dtype").stringValue()).distinct())
                .containsExactly("f32", "bf16", "f16", "q8_0", "q4_0");
        List<JsonNode> rollout =
                json(bench -> RolloutBench.run(bench, List.of(new RolloutBench.Config("tiny", TINY, 2, 3, 4, 5))));
        assertThat(rollout).singleElement().satisfies(line -> {
            assertThat(line.get("unit").stringValue()).isEqualTo("tokens/s");
            assertThat(line.get("prompts").intValue()).isEqualTo(2);
            assertThat(line.get("samples").intValue()).isEqualTo(3);
        });
    }

    @Test
    void aStepOfReinforcementLearningIsSplitIntoItsPhases() {
        DecoderConfig model = DecoderConfig.llama(64, 16, 32, 1, 2, 2, 64, true);
        List<JsonNode> lines = json(bench -> RlBench.run(
                bench, List.of(new RlBench.Grpo("tiny", model, 2, 3, 0.1), new RlBench.Dpo("tiny", model, 2, 4, 5))));
        assertThat(lines).hasSize(2);
        JsonNode grpo = lines.getFirst();
        assertThat(grpo.get("method").stringValue()).isEqualTo("grpo");
        assertThat(grpo.get("unit").stringValue()).isEqualTo("ms");
        double phases = 0;
        for (String phase : List.of("rollout", "reward", "reference", "train")) {
            assertThat(grpo.get(phase).doubleValue()).isPositive();
            phases += grpo.get(phase).doubleValue();
        }
        assertThat(phases).isLessThanOrEqualTo(grpo.get("value").doubleValue());
        assertThat(grpo.get("products_and_attention").doubleValue()).isBetween(0.0, 1.0);
        assertThat(lines.getLast().get("method").stringValue()).isEqualTo("dpo");
        assertThat(lines.getLast().get("train").doubleValue()).isPositive();
    }
}
