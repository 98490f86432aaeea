package dev.isthmus.rl.offline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingLoop;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.JsonNodeFactory;

/** Implicit language Q-learning: the loss by hand, the target networks, and what values make of data of mixed quality. */
class IlqlTests {
    private static final CharTokenizer TOKENIZER = new CharTokenizer("abcde=", true);
    private static final double GAMMA = 0.99;

    @TempDir
    private Path directory;

    @BeforeEach
    void model() {
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(TOKENIZER.vocabSize(), 16, 24, 2, 2, 2, 24, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory.resolve("model"));
        }
        TOKENIZER.save(directory.resolve("model"));
    }

    private Map<String, Object> settings(List<String> rows, Map<String, ?> more) throws IOException {
        Map<String, Object> settings = new LinkedHashMap<>(more);
        settings.put("model", directory.resolve("model").toString());
        settings.put("data", Files.write(directory.resolve("rows.jsonl"), rows).toString());
        return settings;
    }

    private Training prepare(List<String> rows, Map<String, ?> more) throws IOException {
        Ilql ilql = new Ilql();
        Start start = new Start(directory.resolve("model"), JsonNodeFactory.instance.objectNode(), Optional.empty());
        return ilql.prepare(ilql.configure(null, settings(rows, more)), start);
    }

    private static String row(String completion, double reward) {
        return "{\"prompt\":\"=\",\"completion\":\"" + completion + "\",\"reward\":" + reward + "}";
    }

    private static void fill(List<Parameter> parameters, String name, double value) {
        Parameter parameter = parameters.stream()
                .filter(p -> p.name().equals("ilql_heads." + name))
                .findFirst()
                .orElseThrow();
        parameter.tensor().fill(value);
    }

    /**
     * A model that knows nothing, with heads that are constant: Q 1 and 2, Q' 0.3 and 0.8, V 1/2. The tokens of "a" are a and the end, whose
     * targets are 0.99 / 2 and the reward 2.
     */
    @Test
    void theFirstLossByHand() throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder zero = Pretrained.load(directory.resolve("model"));
            zero.trained().forEach(t -> t.fill(0));
            Pretrained.save(zero, directory.resolve("model"));
            IlqlHeads heads = IlqlHeads.loadOrInitialize(zero, directory.resolve("model"), true, Rng.of(1));
            fill(heads.all(), "q_heads.0.2.bias", 1);
            fill(heads.all(), "q_heads.1.2.bias", 2);
            fill(heads.all(), "target_q_heads.0.2.bias", 0.3);
            fill(heads.all(), "target_q_heads.1.2.bias", 0.8);
            fill(heads.all(), "v_head.2.bias", 0.5);
            heads.save(directory.resolve("model"));
            StepLog log = new StepLog(_ -> {});
            List<MicroBatch> parts = prepare(List.of(row("a", 2)), Map.of("beta", 0.5, "awac_scale", 0.7))
                    .microBatches(0, log);
            double q = (0.505 * 0.505 + 1 + 1.505 * 1.505) / 2;
            double v = 0.3 * 0.2 * 0.2;
            double cql = 2 * Math.log(TOKENIZER.vocabSize());
            double awac = Math.exp(-0.5 * 0.2) * Math.log(TOKENIZER.vocabSize());
            assertThat(parts).hasSize(1);
            assertThat(parts.getFirst().loss().get().item()).isCloseTo(q + v + 0.1 * cql + 0.7 * awac, within(1e-5));
            Map<String, Double> expected = Map.of(
                    "losses/loss_q",
                    q,
                    "losses/loss_v",
                    v,
                    "losses/loss_cql",
                    cql,
                    "losses/loss_awac",
                    awac,
                    "values/mean",
                    0.5,
                    "qvalues/0/mean",
                    1.0,
                    "qvalues/1/mean",
                    2.0,
                    "awac_weight/mean",
                    Math.exp(-0.1));
            Map<String, Double> metrics = log.means();
            assertThat(metrics).hasSameSizeAs(expected);
            expected.forEach(
                    (key, value) -> assertThat(metrics.get(key)).as(key).isCloseTo(value, within(1e-5)));
        }
    }

    @Test
    void theTargetNetworksFollowEveryFewSteps() throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(directory.resolve("model"));
            IlqlHeads heads = IlqlHeads.loadOrInitialize(model, directory.resolve("model"), false, Rng.of(1));
            Tensor hidden = Tensor.randn(DType.FLOAT32, Rng.of(2), 1, 3, 16);
            assertThat(heads.targetQ(hidden).getFirst().toFloats())
                    .isEqualTo(heads.q(hidden).getFirst().toFloats());
            double before = heads.targetQ(hidden).getFirst().mean().item();
            fill(heads.parameters(), "q_heads.0.2.bias", 4);
            heads.syncTargets(0.25);
            assertThat(heads.targetQ(hidden).getFirst().mean().item()).isCloseTo(before + 1, within(1e-6));
            heads.save(directory.resolve("model"));
            Training training = prepare(List.of(row("a", 1)), Map.of("two_qs", false, "alpha", 1));
            StepLog log = new StepLog(_ -> {});
            for (int step : List.of(1, 4, 5)) {
                training.stepped(step, log);
                training.saveModel(directory.resolve("saved"));
                IlqlHeads saved = IlqlHeads.load(model, directory.resolve("saved"));
                assertThat(saved.q(hidden)).hasSize(1);
                assertThat(saved.targetQ(hidden).getFirst().mean().item())
                        .isCloseTo(before + (step < 5 ? 1 : 4), within(1e-6));
            }
            assertThatThrownBy(() -> prepare(List.of(row("a", 1)), Map.of("two_qs", true)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("q_heads.1");
            Files.delete(directory.resolve("saved/ilql_heads.safetensors"));
            assertThatThrownBy(() -> IlqlHeads.load(model, directory.resolve("saved")))
                    .hasMessageContaining("no ilql_heads.safetensors");
        }
    }

    @Test
    void aRowWithoutARewardIsWrong() {
        try (Scope scope = Scope.open()) {
            assertThatThrownBy(() -> prepare(List.of("{\"prompt\":\"=\",\"completion\":\"a\"}"), Map.of()))
                    .hasMessageContaining("rows.jsonl, line 1: has no \"reward\"");
        }
    }

    /**
     * Completions {@code ac} are worth 1, {@code ad} 0 and {@code be} 1/2, seen 6, 14 and 30 times. Whoever wrote them earned 0.42 and most often began with b, and
     * after a, which is worth 0.3 in the mean, went wrong; but with tau near 1, a is worth what its best continuation is.
     *
     * @param tau 1/2 values the policy of the data, 0.95 one that is better
     */
    @ParameterizedTest
    @CsvSource({"0.95, 1", "0.5, 0.5"})
    void valuesFindTheBestThatDataOfMixedQualityHold(double tau, double reward) throws IOException {
        List<String> rows = new ArrayList<>();
        IntStream.range(0, 50).forEach(i -> rows.add(i < 6 ? row("ac", 1) : i < 20 ? row("ad", 0) : row("be", 0.5)));
        Map<String, ?> settings = Map.of(
                "tau", tau,
                "alpha", 0.1,
                "steps_for_target_q_sync", 1,
                "cql_scale", 0.02,
                "learning_rate", 0.01,
                "per_device_train_batch_size", 50,
                "max_steps", 300,
                "logging_steps", 100,
                "save_steps", 1000);
        Ilql ilql = new Ilql();
        Path run = directory.resolve("run");
        TrainingLoop.begin(ilql, ilql.configure(null, settings(rows, settings)), run, _ -> {});
        try (Scope scope = Scope.open()) {
            IlqlHeads heads = IlqlHeads.load(Pretrained.load(run.resolve("model")), run.resolve("model"));
            assertThat(write(heads, 0)).as("the behaviour that is most likely").isEqualTo("be");
            String greedy = write(heads, 20);
            assertThat(greedy).isEqualTo(reward == 1 ? "ac" : "be");
            // The expectile of 1 and 0 that come 3 and 7 times in ten; the same one token earlier.
            double expectile = 0.3 * tau / (0.3 * tau + 0.7 * (1 - tau));
            double[] q = firstQ(heads);
            assertThat(q[id("a")]).isCloseTo(GAMMA * GAMMA * expectile, within(0.06));
            assertThat(q[id("b")]).isCloseTo(GAMMA * GAMMA * 0.5, within(0.06));
        }
    }

    private static int id(String token) {
        return TOKENIZER.encode(token)[0];
    }

    private static double[] firstQ(IlqlHeads heads) {
        Sequence any = Sequence.of(TOKENIZER.encode("=a", true), 1);
        Tensor hidden = CompletionLoss.hidden(heads.decoder(), List.of(any));
        return heads.targetQ(hidden).stream()
                .reduce(Tensor::minimum)
                .orElseThrow()
                .toDoubles();
    }

    private static Completion complete(IlqlHeads heads, double beta) {
        int eos = TOKENIZER.eosTokenId().getAsInt();
        return Generator.generate(
                        Ensemble.of(heads.decoder(), heads.policy(beta)),
                        List.of(TOKENIZER.encode("=", true)),
                        new GenerationConfig(SamplingParams.greedy(), 4, List.of(eos), 1),
                        Rng.of(1),
                        null)
                .getFirst();
    }

    private static String write(IlqlHeads heads, double beta) {
        int[] tokens = complete(heads, beta).tokens();
        return TOKENIZER.decode(IntStream.of(tokens).limit(tokens.length - 1).toArray());
    }

    /** What generation reports is {@code log softmax(log pi + beta Q')}, with the lesser Q'; V is the same for all tokens. */
    @Test
    void theGuidedPolicyIsThatOfThePaper() {
        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(directory.resolve("model"));
            IlqlHeads heads = IlqlHeads.loadOrInitialize(model, directory.resolve("model"), true, Rng.of(1));
            Completion completion = complete(heads, 3);
            int[] prompt = TOKENIZER.encode("=", true);
            int[] all = IntStream.concat(IntStream.of(prompt), IntStream.of(completion.tokens()))
                    .toArray();
            Tensor hidden = CompletionLoss.hidden(model, List.of(Sequence.of(all, prompt.length)));
            List<Tensor> q = heads.targetQ(hidden);
            Tensor guided = model.logits(hidden)
                    .logSoftmax(-1)
                    .add(q.get(0).minimum(q.get(1)).mul(3));
            float[] expected = Functional.selectiveLogSoftmax(
                            guided, Tensor.of(completion.tokens(), completion.tokens().length))
                    .toFloats();
            assertThat(completion.logProbs()).containsExactly(expected, within(1e-5f));
            assertThat(guided.argmax(-1, false).toDoubles())
                    .containsExactly(
                            IntStream.of(completion.tokens()).asDoubleStream().toArray());
        }
    }
}
