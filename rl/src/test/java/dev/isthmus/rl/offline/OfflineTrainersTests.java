package dev.isthmus.rl.offline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Machine;
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
import dev.isthmus.train.loop.TrainingMethod;
import dev.isthmus.train.supervised.Sft;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** What must hold for every trainer on files, on a model of a few thousand weights. */
class OfflineTrainersTests {
    private static final String ALPHABET = "abcdefgh +=.\n";
    private static final int ROWS = 24;
    private static final String MODEL = "the model";
    private static final String OTHER = "another model";
    private static final Map<String, ?> ADAPTER = Map.of("peft", "lora", "lora_r", 4, "use_dora", true);

    @TempDir
    private Path directory;

    /** A trainer with some of its settings, and how a row of its data looks. */
    private record Case(TrainingMethod<?> method, Map<String, ?> settings, IntFunction<String> row) {
        @Override
        public String toString() {
            return method.key() + settings;
        }
    }

    static List<Case> cases() {
        IntFunction<String> pair = i -> "{\"prompt\":\"" + word(i, 3) + "=\",\"chosen\":\"" + word(i + 1, 2 + i % 5)
                + "\",\"rejected\":\"" + word(i + 2, 1 + i % 4) + "\"}";
        IntFunction<String> routed =
                i -> pair.apply(i).replace("{", "{\"task\":\"" + (i % 3 == 0 ? "one" : "two") + "\",");
        IntFunction<String> labelled = i -> "{\"prompt\":\"" + word(i, 3) + "=\",\"completion\":\""
                + word(i + 1, 2 + i % 5) + "\",\"label\":" + (i % 3 != 0) + "}";
        IntFunction<String> stepwise = i -> "{\"prompt\":\"" + word(i, 3) + "\",\"completions\":[\"" + word(i, 2)
                + "\",\"" + word(i + 3, 1 + i % 3) + "\"],\"labels\":[true," + (i % 2 == 0) + "]}";
        IntFunction<String> rewarded = i -> "{\"prompt\":\"" + word(i, 3) + "=\",\"completion\":\""
                + word(i + 1, 2 + i % 5) + "\",\"reward\":" + (i % 4 - 0.5) + "}";
        return List.of(
                new Case(
                        new Sft(),
                        Map.of(),
                        i -> "{\"prompt\":\"" + word(i, 2) + "\",\"completion\":\"" + word(i, 1 + i % 6) + "\"}"),
                new Case(
                        new Sft(),
                        Map.of("packing", true, "max_length", 12),
                        i -> "{\"text\":\"" + word(i, 2 + i % 9) + "\"}"),
                new Case(new Dpo(), Map.of(), pair),
                new Case(new Dpo(), Map.of("loss_type", List.of("ipo", "sft"), "precompute_ref_log_probs", true), pair),
                new Case(
                        new Dpo(),
                        Map.of(
                                "use_weighting",
                                true,
                                "ld_alpha",
                                0.5,
                                "sync_ref_model",
                                true,
                                "ref_model_sync_steps",
                                2),
                        pair),
                new Case(
                        new Dpo(),
                        Map.of("loss_type", List.of("aot", "aot_unpaired"), "label_smoothing", 0.1, "ref_model", OTHER),
                        pair),
                new Case(new Dpo(), Map.of("loss_type", List.of("tdpo1"), "ref_model", OTHER), pair),
                new Case(
                        new Dpo(),
                        Map.of("loss_type", List.of("tdpo2"), "sync_ref_model", true, "ref_model_sync_steps", 2),
                        pair),
                new Case(
                        new Dpo(),
                        Map.of(
                                "loss_type",
                                List.of("mm_dpo", "sft"),
                                "only_differing_tokens",
                                true,
                                "ref_model",
                                OTHER),
                        i -> pair.apply(i).replace("}", ",\"margin\":" + i % 3 + "}")),
                new Case(new Kto(), Map.of("ref_model", OTHER), labelled),
                new Case(
                        new Bco(),
                        Map.of("embedding_model", MODEL, "prompt_sample_size", 5, "ref_model", OTHER),
                        labelled),
                new Case(new Orpo(), Map.of(), pair),
                new Case(new Cpo(), Map.of("loss_type", "simpo"), pair),
                new Case(new Reward(), Map.of("center_rewards_coefficient", 0.01), pair),
                new Case(new Reward(), ADAPTER, pair),
                new Case(
                        new Reward(),
                        Map.of("experts", List.of("one=@expert0", "one=@expert1", "two=@expert1")),
                        routed),
                new Case(new Prm(), Map.of(), stepwise),
                new Case(new Prm(), ADAPTER, stepwise),
                new Case(new Ilql(), Map.of("alpha", 0.25, "beta", 0.5, "steps_for_target_q_sync", 2), rewarded),
                new Case(new Ilql(), ADAPTER, rewarded));
    }

    private static String word(int seed, int length) {
        Rng rng = Rng.of(7).split("word", seed);
        return IntStream.range(0, length)
                .mapToObj(_ -> String.valueOf(ALPHABET.charAt(rng.nextInt(8))))
                .reduce("", String::concat);
    }

    @BeforeEach
    void model() {
        CharTokenizer tokenizer = new CharTokenizer(ALPHABET, true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 2, 2, 2, 24, true);
            Decoder decoder = save(config, 1, "model");
            save(config, 2, "other");
            for (int expert = 0; expert < 2; expert++) {
                LoraExperts.save(decoder, directory.resolve("model"), directory.resolve("expert" + expert), expert);
            }
        }
        tokenizer.save(directory.resolve("model"));
    }

    private Decoder save(DecoderConfig config, int seed, String name) {
        Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(seed));
        // Far enough from uniform that every log-prob matters.
        decoder.trained().forEach(t -> t.copyFrom(t.rank() > 1 ? t.detach().mul(8) : t.detach()));
        Pretrained.save(decoder, directory.resolve(name));
        return decoder;
    }

    private Map<String, Object> settings(Case c, Map<String, ?> more) {
        Map<String, Object> settings = new LinkedHashMap<>(c.settings());
        try {
            Path data = directory.resolve("data.jsonl");
            settings.put(
                    "data",
                    Files.write(data, IntStream.range(0, ROWS).mapToObj(c.row()).toList())
                            .toString());
            settings.put("eval_data", settings.get("data"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        settings.put("model", directory.resolve("model").toString());
        settings.replaceAll((_, value) -> value.equals(MODEL) ? settings.get("model") : value);
        settings.replaceAll(
                (_, value) -> value.equals(OTHER) ? directory.resolve("other").toString() : value);
        settings.computeIfPresent(
                "experts",
                (_, experts) -> ((List<?>) experts)
                        .stream()
                                .map(e -> e.toString().replace("@", directory + "/"))
                                .toList());
        settings.put("learning_rate", 0.01);
        settings.putAll(more);
        return settings;
    }

    private <C extends Record> Training prepare(TrainingMethod<C> method, Map<String, ?> settings) {
        Start start = new Start(directory.resolve("model"), JsonNodeFactory.instance.objectNode(), Optional.empty());
        return method.prepare(method.configure(null, settings), start);
    }

    private static <C extends Record> void begin(TrainingMethod<C> method, Map<String, ?> settings, Path out) {
        TrainingLoop.begin(method, method.configure(null, settings), out, _ -> {});
    }

    /** A loss and its gradient. */
    private record Result(double loss, double[] gradient, Map<String, Double> metrics) {}

    private Result first(Case c, Map<String, ?> more) {
        return first(prepare(c.method(), settings(c, more)));
    }

    private static Result first(Training training) {
        StepLog log = new StepLog(_ -> {});
        double loss = 0;
        for (MicroBatch part : training.microBatches(0, log)) {
            try (Scope scope = Scope.open()) {
                Tensor value = part.loss().get();
                loss += value.item();
                value.backward();
            }
        }
        double[] gradient = training.parameters().stream()
                .map(Parameter::grad)
                .flatMapToDouble(g -> g == null
                        ? DoubleStream.empty()
                        : Arrays.stream(g.contiguous().toDoubles()))
                .toArray();
        assertThat(Arrays.stream(gradient).map(Math::abs).sum()).isGreaterThan(1e-3);
        return new Result(loss, gradient, log.means());
    }

    @ParameterizedTest
    @MethodSource("cases")
    void killedAndResumedARunEndsByteForByteLikeOneThatWasNot(Case c) throws IOException {
        Map<String, Object> settings = settings(
                c,
                Map.of(
                        "max_steps",
                        7,
                        "save_steps",
                        3,
                        "logging_steps",
                        2,
                        "eval_steps",
                        4,
                        "per_device_train_batch_size",
                        2,
                        "gradient_accumulation_steps",
                        2));
        begin(c.method(), settings, directory.resolve("whole"));
        begin(c.method(), settings, directory.resolve("killed"));
        Path killed = directory.resolve("killed");
        // As if it had been killed after the checkpoint of step 3.
        Files.delete(killed.resolve("summary.json"));
        try (Stream<Path> late = Files.walk(killed.resolve("checkpoints/0002-step-6"))) {
            for (Path file : late.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
        TrainingLoop.resume(c.method(), killed, _ -> {});
        String weights = c.settings().containsKey("experts")
                ? "experts.safetensors"
                : (c.settings().containsKey("peft") ? "adapter_" : "") + "model.safetensors";
        Path model = directory.resolve("whole/model");
        assertThat(model.resolve(weights)).exists();
        try (Stream<Path> files = Files.walk(model).filter(Files::isRegularFile)) {
            assertThat(files)
                    .allSatisfy(file -> assertThat(killed.resolve("model").resolve(model.relativize(file)))
                            .hasSameBinaryContentAs(file));
        }
        assertThat(killed.resolve("metrics.jsonl")).hasSameTextualContentAs(directory.resolve("whole/metrics.jsonl"));
        assertThat(Files.readString(killed.resolve("metrics.jsonl")))
                .contains("\"eval_loss\"")
                .contains("\"step\":7");
    }

    @ParameterizedTest
    @MethodSource("cases")
    void itDoesNotMatterHowAStepIsDivided(Case c) {
        try (Scope scope = Scope.open()) {
            Result one = first(c, Map.of("per_device_train_batch_size", 8));
            Result eight = first(c, Map.of("per_device_train_batch_size", 1, "gradient_accumulation_steps", 8));
            assertThat(eight.loss()).isCloseTo(one.loss(), within(1e-5 * (1 + Math.abs(one.loss()))));
            close(eight.gradient(), one.gradient());
        }
    }

    @Test
    void theMeanOfBcoIsThatOfAllStepsThatWereLearned() {
        Case bco = cases().stream()
                .filter(c -> c.method() instanceof Bco)
                .findFirst()
                .orElseThrow();
        try (Scope scope = Scope.open()) {
            for (int parts : new int[] {1, 4}) {
                Training training = prepare(
                        bco.method(),
                        settings(
                                bco,
                                Map.of(
                                        "per_device_train_batch_size",
                                        8 / parts,
                                        "gradient_accumulation_steps",
                                        parts)));
                double delta = first(training).metrics().get("delta");
                training.stepped(1, new StepLog(_ -> {}));
                ObjectNode learned = state(training);
                assertThat(learned.path("delta").asDouble()).isEqualTo(delta).isNotZero();
                assertThat(learned.path("delta_count").asInt()).isEqualTo(8);
                first(training);
                training.skipped();
                training.stepped(2, new StepLog(_ -> {}));
                training.evaluate(new StepLog(_ -> {}));
                assertThat(state(training))
                        .as("what is skipped or held out does not count")
                        .isEqualTo(learned);
            }
        }
    }

    private static ObjectNode state(Training training) {
        ObjectNode state = JsonNodeFactory.instance.objectNode();
        training.state(state);
        return state;
    }

    private static void close(double[] found, double[] expected) {
        double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
        assertThat(found).containsExactly(expected, within(1e-5 * largest));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void checkpointingAndThreadsDoNotChangeABit(Case c) {
        int threads = Machine.threads();
        try (Scope scope = Scope.open()) {
            Machine.setThreads(2);
            Result plain = first(c, Map.of());
            Training checkpointing = prepare(c.method(), settings(c, Map.of()));
            checkpointing.model().setGradientCheckpointing(true);
            Result again = first(checkpointing);
            assertThat(again.loss()).isEqualTo(plain.loss());
            assertThat(again.gradient()).isEqualTo(plain.gradient());
            Machine.setThreads(1);
            Result alone = first(c, Map.of());
            assertThat(alone.loss()).isEqualTo(plain.loss());
            assertThat(alone.gradient()).isEqualTo(plain.gradient());
        } finally {
            Machine.setThreads(threads);
        }
    }

    /** There is no padding on either side of a sequence; what others stand beside it cannot matter either. */
    @Test
    void theLogProbsOfASequenceDoNotDependOnTheBatch() {
        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(directory.resolve("model"));
            List<Sequence> all = IntStream.range(0, 5)
                    .mapToObj(i -> Sequence.of(
                            Rng.of(3).split("s", i).ints(4 + 4 * i, 0, 13).toArray(), 1 + i))
                    .toList();
            float[] together = TokenScores.of(model, all).logps().toFloats();
            int n = 0;
            for (Sequence sequence : all) {
                float[] alone = TokenScores.of(model, List.of(sequence)).logps().toFloats();
                assertThat(Arrays.copyOfRange(together, n, n + alone.length)).isEqualTo(alone);
                n += alone.length;
            }
        }
    }

    @Test
    void packedRowsHaveTheLossAndGradientOfTheirExamples() {
        Case texts = new Case(new Sft(), Map.of("max_length", 24), i -> "{\"text\":\"" + word(i, 2 + i % 9) + "\"}");
        try (Scope scope = Scope.open()) {
            Training packed = prepare(texts.method(), settings(texts, Map.of("packing", true)));
            int rows = (int) packed.epoch();
            assertThat(rows).isLessThan(ROWS / 2);
            Result one = first(texts, Map.of("packing", true, "per_device_train_batch_size", rows));
            Result other = first(texts, Map.of("per_device_train_batch_size", ROWS));
            assertThat(one.loss()).isCloseTo(other.loss(), within(1e-6));
            close(one.gradient(), other.gradient());
            assertThat(one.metrics().get("entropy")).isCloseTo(other.metrics().get("entropy"), within(1e-6));
        }
    }

    @Test
    void theFirstLossOfDpoIsLn2AndTheReferenceIsAskedOnce() {
        Case dpo = cases().get(2);
        try (Scope scope = Scope.open()) {
            Result lazy = first(dpo, Map.of());
            assertThat(lazy.loss()).isCloseTo(Math.log(2), within(1e-7));
            assertThat(lazy.metrics()).containsEntry("rewards/margins", 0.0).containsEntry("rewards/chosen", 0.0);
            for (String type : List.of("tdpo1", "tdpo2")) {
                Result tdpo = first(dpo, Map.of("loss_type", List.of(type)));
                assertThat(tdpo.loss()).isEqualTo(lazy.loss());
                assertThat(tdpo.metrics()).containsEntry("kl/chosen", 0.0).containsEntry("kl/rejected", 0.0);
                assertThat(tdpo.gradient())
                        .as("a divergence that is 0 is at its minimum")
                        .containsExactly(lazy.gradient(), within(1e-6));
            }
            assertThat(first(dpo, Map.of("precompute_ref_log_probs", true)).gradient())
                    .isEqualTo(lazy.gradient());
            ReferenceModel reference = new ReferenceModel(Pretrained.load(directory.resolve("model")));
            List<Sequence> sequences =
                    List.of(Sequence.of(new int[] {1, 2, 3, 4}, 2), Sequence.of(new int[] {1, 2, 5}, 2));
            float[] before = reference.logps(new long[] {0, 1}, sequences).toFloats();
            Decoder zero = Pretrained.load(directory.resolve("model"));
            zero.trained().forEach(t -> t.fill(0));
            assertThat(reference.logps(new long[] {1, 0}, sequences.reversed()).toFloats())
                    .containsExactly(before[2], before[0], before[1]);
            reference.follow(zero, 1);
            assertThat(reference.logps(new long[] {0}, sequences.subList(0, 1)).toFloats()[0])
                    .as("a reference that has moved is asked again")
                    .isCloseTo((float) -Math.log(14), within(1e-5f));
        }
    }

    /** The loss of the first example, worked out from the distributions of both models. */
    @Test
    void tdpoComparesWholeDistributions() {
        try (Scope scope = Scope.open()) {
            DpoTraining training = (DpoTraining) prepare(
                    new Dpo(),
                    settings(
                            cases().get(2),
                            Map.of(
                                    "loss_type",
                                    List.of("tdpo1"),
                                    "beta",
                                    0.5,
                                    "ref_model",
                                    directory.resolve("other").toString(),
                                    "per_device_train_batch_size",
                                    1)));
            PairExample pair = training.data.step(0).getFirst().getFirst().example();
            Decoder reference = Pretrained.load(directory.resolve("other"));
            double chosen = ratioAndDivergence(training.model(), reference, pair.chosen());
            double rejected = ratioAndDivergence(training.model(), reference, pair.rejected());
            double expected = Math.log1p(Math.exp(-0.5 * (chosen - rejected)));
            assertThat(Math.abs(expected - Math.log(2))).isGreaterThan(0.01);
            assertThat(first(training).loss()).isCloseTo(expected, within(1e-5));
        }
    }

    private static double ratioAndDivergence(Decoder policy, Decoder reference, Sequence sequence) {
        double[][] p = logProbs(policy, sequence);
        double[][] ref = logProbs(reference, sequence);
        double sum = 0;
        for (int t = 0; t < p.length; t++) {
            int token = sequence.tokens()[sequence.learned()[t]];
            sum += p[t][token] - ref[t][token];
            for (int v = 0; v < p[t].length; v++) {
                sum += Math.exp(ref[t][v]) * (ref[t][v] - p[t][v]);
            }
        }
        return sum;
    }

    private static double[][] logProbs(Decoder model, Sequence sequence) {
        Tensor logps = CompletionLoss.predict(model, List.of(sequence)).logits().logSoftmax(-1);
        double[] all = logps.contiguous().toDoubles();
        int words = (int) logps.size(1);
        return IntStream.range(0, (int) logps.size(0))
                .mapToObj(t -> Arrays.copyOfRange(all, t * words, (t + 1) * words))
                .toArray(double[][]::new);
    }

    static List<Case> rewardModels() {
        return cases().stream()
                .filter(c -> c.method() instanceof Reward && !c.settings().containsKey("experts"))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("rewardModels")
    void aRewardModelIsSavedWithItsHead(Case reward) throws IOException {
        begin(
                reward.method(),
                settings(reward, Map.of("num_train_epochs", 30, "eval_steps", 1000)),
                directory.resolve("run"));
        String metrics = Files.readString(directory.resolve("run/metrics.jsonl"));
        assertThat(metrics)
                .contains("\"eval_accuracy\"", "\"min_reward\"", "\"mean_reward\"", "\"max_reward\"", "\"margin\"");
        try (Scope scope = Scope.open()) {
            Classifier saved = Classifier.load(directory.resolve("run/model"), 1, false);
            CharTokenizer tokenizer = new CharTokenizer(ALPHABET, true);
            int better = 0;
            for (int i = 0; i < ROWS; i++) {
                int[] chosen = tokens(tokenizer, word(i, 3) + "=" + word(i + 1, 2 + i % 5));
                int[] rejected = tokens(tokenizer, word(i, 3) + "=" + word(i + 2, 1 + i % 4));
                double[] rewards = saved.last(List.of(chosen, rejected)).toDoubles();
                better += rewards[0] > rewards[1] ? 1 : 0;
            }
            assertThat(better).as("pairs it has learned").isGreaterThan(ROWS * 9 / 10);
        }
    }

    private static int[] tokens(CharTokenizer tokenizer, String text) {
        return IntStream.concat(
                        IntStream.of(tokenizer.encode(text)),
                        IntStream.of(tokenizer.eosTokenId().getAsInt()))
                .toArray();
    }

    @Test
    void aLossThatIsNoNumberStopsTheRunOrIsSkippedAndNothingIsDamaged() throws IOException {
        Case sft = endlessLossInRow(9);
        Map<String, ?> each = Map.of(
                "train_sampling_strategy",
                "sequential",
                "per_device_train_batch_size",
                2,
                "max_steps",
                8,
                "save_steps",
                2,
                "eval_data",
                directory.resolve("good.jsonl").toString());
        Files.writeString(directory.resolve("good.jsonl"), "{\"text\":\"abc\"}");
        Path stopped = directory.resolve("stopped");
        assertThatThrownBy(() -> begin(sft.method(), settings(sft, each), stopped))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("the loss became Infinity at step 5")
                .hasMessageContaining("First not finite: the loss (micro-batch 0)");
        assertThat(stopped.resolve("nonfinite.json")).content().contains("\"step\" : 5", "\"first\" : \"the loss\"");
        Map<String, Object> skipping = settings(sft, each);
        skipping.put("nonfinite_loss", "skip");
        begin(sft.method(), skipping, directory.resolve("skipped"));
        for (Path model : List.of(
                directory.resolve("skipped/model"),
                stopped.resolve("checkpoints/0001-step-2"),
                stopped.resolve("checkpoints/0002-step-4"))) {
            try (Scope scope = Scope.open()) {
                assertThat(Pretrained.load(model).trained())
                        .allSatisfy(t -> assertThat(Arrays.stream(t.toDoubles()).allMatch(Double::isFinite))
                                .isTrue());
            }
        }
        Case later = endlessLossInRow(13);
        Path atStep7 = directory.resolve("later");
        assertThatThrownBy(() -> begin(later.method(), settings(later, each), atStep7))
                .hasMessageContaining("the loss became Infinity at step 7");
        String checkpoint = "checkpoints/0002-step-4/model.safetensors";
        assertThat(stopped.resolve(checkpoint)).hasSameBinaryContentAs(atStep7.resolve(checkpoint));
    }

    private static Case endlessLossInRow(int row) {
        return new Case(
                new Sft(),
                Map.of(),
                i -> "{\"text\":\"" + word(i, 5) + "\",\"weight\":" + (i == row ? "1e300" : "1") + "}");
    }

    /** TRL takes it and does nothing. */
    @Test
    void labelSmoothingThatNoLossKnowsOfIsSaid() {
        Case dpo = cases().get(2);
        assertThatThrownBy(() -> dpo.method().configure(null, settings(dpo, Map.of("label_smoothing", 0.1))))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("label_smoothing means nothing to loss_type [sigmoid]");
        dpo.method()
                .configure(
                        null, settings(dpo, Map.of("label_smoothing", 0.1, "loss_type", List.of("sigmoid", "robust"))));
    }

    @Test
    void aLossOfMarginsNeedsThem() {
        Case dpo = cases().get(2);
        assertThatThrownBy(() -> prepare(dpo.method(), settings(dpo, Map.of("loss_type", List.of("mm_dpo")))))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("line 1")
                .hasMessageContaining("has no \"margin\"");
    }

    /** One example is compared with nothing; a held-out one that is left over joins a batch. */
    @Test
    void ktoNeedsTwoExamplesAtOnce() throws IOException {
        Case kto = cases().stream()
                .filter(c -> c.method() instanceof Kto)
                .findFirst()
                .orElseThrow();
        Map<String, Object> settings = settings(kto, Map.of("per_device_train_batch_size", 1));
        assertThatThrownBy(() -> begin(kto.method(), settings, directory.resolve("run")))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("per_device_train_batch_size x gradient_accumulation_steps must be at least 2");
        Path one = Files.writeString(directory.resolve("one.jsonl"), kto.row().apply(0));
        assertThatThrownBy(() ->
                        begin(kto.method(), settings(kto, Map.of("data", one.toString())), directory.resolve("run")))
                .hasMessageContaining(one + " must have at least 2 examples");
        assertThat(directory.resolve("run")).doesNotExist();
        begin(
                kto.method(),
                settings(kto, Map.of("per_device_eval_batch_size", 23, "max_steps", 1)),
                directory.resolve("run"));
        assertThat(directory.resolve("run/metrics.jsonl")).content().contains("eval_kl");
    }

    /** A weight of the model is no number; so is every loss. */
    @ParameterizedTest
    @MethodSource("cases")
    void whereALossIsNoNumberTheRunStopsAndNamesTheFirstTensorOrLearnsNothing(Case c) throws IOException {
        Path model = directory.resolve("model");
        String bad = "model.layers.1.mlp.down_proj.weight";
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(model);
            decoder.parameters().stream()
                    .filter(p -> p.name().equals(bad))
                    .forEach(p -> p.value().fill(Double.NaN));
            Pretrained.save(decoder, model);
        }
        Map<String, Object> settings = settings(c, Map.of("max_steps", 1));
        settings.remove("eval_data");
        settings.remove("embedding_model");
        Path stopped = directory.resolve("stopped");
        assertThatThrownBy(() -> begin(c.method(), settings, stopped))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("First not finite: " + bad);
        assertThat(stopped.resolve("nonfinite.json")).content().contains(bad);
        if (c.method() instanceof Sft) {
            // Which shows at its end what such a model writes: nothing.
            return;
        }
        settings.put("nonfinite_loss", "skip");
        begin(c.method(), settings, directory.resolve("one"));
        settings.put("max_steps", 4);
        begin(c.method(), settings, directory.resolve("four"));
        try (Stream<Path> files = Files.walk(directory.resolve("one/model")).filter(Files::isRegularFile)) {
            assertThat(files)
                    .hasSizeGreaterThan(2)
                    .allSatisfy(file -> assertThat(directory
                                    .resolve("four/model")
                                    .resolve(directory.resolve("one/model").relativize(file)))
                            .hasSameBinaryContentAs(file));
        }
    }
}
