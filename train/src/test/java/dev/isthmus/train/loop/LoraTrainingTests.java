package dev.isthmus.train.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.PeftConfig;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.run.YamlSettings;
import dev.isthmus.train.schedule.LrSchedule;
import dev.isthmus.train.supervised.SftConfig;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** An adapter that is trained in place of the weights. */
class LoraTrainingTests {
    @TempDir
    private Path temp;

    /**
     * Batches one after another, again and again, on the model that the settings ask for.
     *
     * @param init the adapter to begin with; null for the usual one
     * @param fails the step at which something goes wrong
     */
    private record Batches(
            List<List<Example>> batches, @Nullable Path init, long fails) implements TrainingMethod<SftConfig> {
        @Override
        public String key() {
            return "sft";
        }

        @Override
        public Class<SftConfig> settings() {
            return SftConfig.class;
        }

        @Override
        public void check(MethodConfig<SftConfig> config) {}

        @Override
        public Training prepare(MethodConfig<SftConfig> config, Start start) {
            Decoder model = config.load(start);
            if (init != null) {
                copy(Peft.load(init, model.base()), model.adapters().getFirst());
            }
            return new OfBatches(model, batches, fails);
        }
    }

    private record OfBatches(Decoder model, List<List<Example>> batches, long fails) implements Training {
        @Override
        public long epoch() {
            return (long) batches.size() * batches.getFirst().size();
        }

        @Override
        public String description() {
            return "batches";
        }

        @Override
        public String dataId() {
            return "";
        }

        @Override
        public List<MicroBatch> microBatches(long step, StepLog log) {
            if (step == fails) {
                throw new IllegalStateException("pulled the plug");
            }
            List<Example> batch = batches.get((int) (step % batches.size()));
            return List.of(new MicroBatch(0, mean(model, batch)));
        }

        @Override
        public void saveModel(Path directory) {
            Pretrained.save(model, directory);
        }
    }

    private static Supplier<Tensor> mean(Decoder model, List<Example> batch) {
        return () -> CompletionLoss.mean(model, batch, CompletionLoss.tokens(batch));
    }

    private static void copy(Adapter from, Adapter to) {
        for (int i = 0; i < to.parameters().size(); i++) {
            to.parameters().get(i).value().copyFrom(from.parameters().get(i).value());
        }
    }

    private static List<List<Example>> batches(JsonNode run) {
        List<List<Example>> batches = new ArrayList<>();
        for (JsonNode batch : run.get("batches")) {
            int[] ids = ints(batch.get("input_ids"));
            int[] attention = ints(batch.get("attention_mask"));
            int[] completion = ints(batch.get("completion_mask"));
            int columns = batch.get("input_ids").get("shape").get(1).asInt();
            List<Example> examples = new ArrayList<>();
            for (int from = 0; from < ids.length; from += columns) {
                int length = Arrays.stream(attention, from, from + columns).sum();
                int learned = Arrays.stream(completion, from, from + columns).sum();
                examples.add(new Example(Arrays.copyOfRange(ids, from, from + length), length - learned));
            }
            batches.add(examples);
        }
        return batches;
    }

    private static int[] ints(JsonNode tensor) {
        return tensor.get("data").valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    /** The numbers of a trained adapter, by name. */
    private static Map<String, double[]> numbers(Adapter adapter) {
        Map<String, double[]> numbers = new HashMap<>();
        adapter.parameters().forEach(p -> numbers.put(p.name(), p.value().toDoubles()));
        return numbers;
    }

    private static void assertFinal(Map<String, double[]> numbers, double tolerance) {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors last = SafeTensors.open(Fixtures.fixture("train/sft_lora.final.safetensors"), arena);
            assertThat(numbers).containsOnlyKeys(last.tensors().keySet());
            numbers.forEach((name, values) ->
                    assertThat(values).as(name).containsExactly(last.get(name).toDoubles(), within(tolerance)));
        }
    }

    /** The optimizer of a record; matrices are all that there is in an adapter. */
    private static JsonNode optimizer(JsonNode run) {
        JsonNode optimizer = run.get("optimizer");
        assertThat(optimizer.get("type").asString()).isEqualTo("AdamW");
        assertThat(optimizer.propertyNames())
                .isSubsetOf("type", "lr", "betas", "eps", "weight_decay", "decay_applies_to", "clip_grad_norm");
        return optimizer;
    }

    @Tag("fixture")
    @Test
    void aRunOfFineTuningIsThatOfPeft() throws IOException {
        JsonNode run = JsonMapper.shared().readTree(Fixtures.fixture("train/sft_lora.json"));
        Path model =
                Fixtures.fixture(run.get("model").asString() + "/config.json").getParent();
        Path init = Fixtures.fixture("train/lora_init/adapter_config.json").getParent();
        Batches method = new Batches(batches(run), init, -1);
        JsonNode optimizer = optimizer(run);
        LoraConfig lora = PeftConfig.read(init);
        JsonNode recorded = run.get("config");
        assertThat(recorded.propertyNames()).isSubsetOf("lora_r", "lora_alpha", "scale", "init");
        assertThat(lora.r()).isEqualTo(recorded.get("lora_r").asInt());
        assertThat(lora.loraAlpha()).isEqualTo(recorded.get("lora_alpha").asDouble());
        assertThat(lora.scaling()).isEqualTo(recorded.get("scale").asDouble());
        assertThat(run.get("steps").valueStream().map(s -> s.get("lr").asDouble()))
                .as("a constant learning rate")
                .containsOnly(optimizer.get("lr").asDouble());
        MethodConfig<SftConfig> config = method.configure(
                null,
                Map.ofEntries(
                        Map.entry("model", model.toString()),
                        Map.entry("peft", "lora"),
                        Map.entry("lora_r", lora.r()),
                        Map.entry("lora_alpha", lora.loraAlpha()),
                        Map.entry("lora_dropout", 0),
                        Map.entry("lora_target_modules", lora.targetModules()),
                        Map.entry("use_rslora", lora.useRslora()),
                        Map.entry("use_dora", lora.useDora()),
                        Map.entry("learning_rate", optimizer.get("lr").asDouble()),
                        Map.entry("weight_decay", optimizer.get("weight_decay").asDouble()),
                        Map.entry(
                                "max_grad_norm",
                                optimizer.path("clip_grad_norm").asDouble(0)),
                        Map.entry("adam_beta1", optimizer.at("/betas/0").asDouble()),
                        Map.entry("adam_beta2", optimizer.at("/betas/1").asDouble()),
                        Map.entry("adam_epsilon", optimizer.get("eps").asDouble()),
                        Map.entry("lr_scheduler_type", "constant"),
                        Map.entry("max_steps", run.get("steps").size()),
                        Map.entry("logging_steps", 1)));
        TrainingLoop.begin(method, config, temp.resolve("run"), _ -> {});

        List<JsonNode> metrics = Files.readAllLines(temp.resolve("run/metrics.jsonl")).stream()
                .map(JsonMapper.shared()::readTree)
                .toList();
        assertThat(metrics).hasSize(run.get("steps").size());
        for (int i = 0; i < metrics.size(); i++) {
            JsonNode step = run.get("steps").get(i);
            double loss = step.get("loss").asDouble();
            double norm = step.get("grad_norm_before_clip").asDouble();
            assertThat(metrics.get(i).get("loss").asDouble()).isCloseTo(loss, within(1e-4 * (1 + loss)));
            assertThat(metrics.get(i).get("grad_norm").asDouble()).isCloseTo(norm, within(1e-3 * norm));
        }
        try (Scope scope = Scope.open()) {
            Decoder base = Pretrained.load(model);
            assertFinal(numbers(Peft.load(temp.resolve("run/model"), base)), 1e-4);
        }
    }

    @Tag("fixture")
    @Test
    void inFloat64ARunIsExactlyThatOfPeft() {
        JsonNode run = JsonMapper.shared().readTree(Fixtures.fixture("train/sft_lora.json"));
        Path directory =
                Fixtures.fixture(run.get("model").asString() + "/config.json").getParent();
        try (Scope scope = Scope.open(Device.scalar())) {
            Decoder base = Pretrained.load(directory, DType.FLOAT64);
            Adapter adapter = Peft.load(
                    Fixtures.fixture("train/lora_init/adapter_config.json").getParent(), base);
            Decoder model = base.with(adapter);
            JsonNode optimizer = optimizer(run);
            Trainer trainer = new Trainer(
                    model,
                    new TrainingArguments(
                            1,
                            step -> run.get("steps").get((int) step).get("lr").asDouble(),
                            OptimizerConfig.adamW(
                                    optimizer.at("/betas/0").asDouble(),
                                    optimizer.at("/betas/1").asDouble(),
                                    optimizer.get("eps").asDouble()),
                            optimizer.get("weight_decay").asDouble(),
                            optimizer.path("clip_grad_norm").asDouble(0),
                            false));
            List<List<Example>> batches = batches(run);
            for (int i = 0; i < run.get("steps").size(); i++) {
                JsonNode expected = run.get("steps").get(i);
                Trainer.Step step = trainer.step(List.of(mean(model, batches.get(i % batches.size()))));
                double loss = expected.get("loss").asDouble();
                double norm = expected.get("grad_norm_before_clip").asDouble();
                assertThat(step.loss()).isCloseTo(loss, within(1e-8 * loss));
                assertThat(step.gradNorm()).isCloseTo(norm, within(1e-8 * norm));
            }
            assertFinal(numbers(adapter), 1e-6);
        }
    }

    private static TrainingArguments adamW(double learningRate, double weightDecay) {
        LrSchedule constant = new LrSchedule.Constant();
        return new TrainingArguments(
                learningRate, constant, OptimizerConfig.adamW(0.9, 0.999, 1e-8), weightDecay, 1, false);
    }

    private Path tiny() {
        Path directory = temp.resolve("tiny");
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(23, 32, 64, 2, 4, 2, 24, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
        }
        return directory;
    }

    /** Sequences of one length, so that a step needs the same memory each time. */
    private static List<List<Example>> sequences(int vocabulary) {
        return IntStream.range(0, 5)
                .mapToObj(b -> IntStream.range(0, 4)
                        .mapToObj(row -> new Example(
                                Rng.of(11)
                                        .split("batch", b, row)
                                        .ints(12, 0, vocabulary)
                                        .toArray(),
                                3))
                        .toList())
                .toList();
    }

    /** What drops out, the order of the batches and the optimizer go on where they were. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aRunThatIsCutOffAndResumedEndsBitForBitLikeOneThatIsNot(boolean dora) throws IOException {
        Map<String, Object> settings = Map.of(
                "model",
                tiny().toString(),
                "peft",
                "lora",
                "lora_r",
                3,
                "lora_dropout",
                0.3,
                "lora_target_modules",
                List.of("all-linear"),
                "use_dora",
                dora,
                "learning_rate",
                0.01,
                "max_steps",
                12,
                "save_steps",
                5,
                "logging_steps",
                1);
        Batches whole = new Batches(sequences(23), null, -1);
        TrainingLoop.begin(whole, whole.configure(null, settings), temp.resolve("whole"), _ -> {});
        Batches cut = new Batches(sequences(23), null, 7);
        assertThatThrownBy(() -> TrainingLoop.begin(cut, cut.configure(null, settings), temp.resolve("cut"), _ -> {}))
                .hasMessage("pulled the plug");
        Path checkpoint = temp.resolve("cut/checkpoints/0001-step-5");
        assertThat(checkpoint.resolve("adapter_model.safetensors")).exists();
        assertThat(checkpoint.resolve("model.safetensors")).doesNotExist();
        TrainingLoop.resume(whole, temp.resolve("cut"), _ -> {});
        for (String file : List.of("metrics.jsonl", "model/adapter_model.safetensors", "model/adapter_config.json")) {
            assertThat(Files.readAllBytes(temp.resolve("cut").resolve(file)))
                    .as(file)
                    .isEqualTo(Files.readAllBytes(temp.resolve("whole").resolve(file)));
        }

        Map<String, Object> still = new HashMap<>(settings);
        still.put("disable_dropout", true);
        TrainingLoop.begin(whole, whole.configure(null, still), temp.resolve("still"), _ -> {});
        assertThat(Files.readString(temp.resolve("still/metrics.jsonl")))
                .isNotEqualTo(Files.readString(temp.resolve("whole/metrics.jsonl")));
    }

    /** What a model needs for whole training: weights, gradients and AdamW's two means. With an adapter only the first. */
    @Test
    void theFrozenModelHasNoGradientAndNoOptimizer() {
        DecoderConfig config = DecoderConfig.llama(64, 128, 352, 2, 4, 4, 24, true);
        try (Scope scope = Scope.open()) {
            Decoder base = new Decoder(config, DType.FLOAT32).initialize(Rng.of(3));
            long weights = 4 * base.size();
            Adapter adapter = new Adapter(base, LoraConfig.of(2, 4)).initialize(Rng.of(1));
            Decoder policy = base.with(adapter);
            long before = scope.bytes();
            Trainer trainer = new Trainer(policy, adamW(1e-3, 0));
            steps(trainer);
            long trained = 4 * policy.size();
            assertThat(base.parameters()).allMatch(p -> p.grad() == null);
            assertThat(scope.bytes() - before)
                    .isBetween(
                            3 * trained,
                            3 * trained + 64L * 4 * policy.trained().size());

            long between = scope.bytes();
            steps(new Trainer(base, adamW(1e-3, 0)));
            assertThat(scope.bytes() - between).isGreaterThanOrEqualTo(3 * weights);
            assertThat(trained).isLessThan(weights / 50);
        }
    }

    private static void steps(Trainer trainer) {
        for (List<Example> batch : sequences(64)) {
            trainer.step(List.of(mean(trainer.model(), batch)));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "lora_r, 0, the rank of an adapter",
        "lora_dropout, 1, lora_dropout must be at least 0 and below 1",
        "lora_target_modules, [qq], lora_target_modules [qq] names no projection",
        "peft, ia3, peft must be one of [lora]"
    })
    void wrongSettingsAreTold(String key, String value, String message) {
        Batches method = new Batches(sequences(23), null, -1);
        Map<String, Object> settings = new HashMap<>(Map.of("model", tiny().toString(), "peft", "lora"));
        settings.put(key, YamlSettings.value(value, key));
        assertThatThrownBy(() ->
                        TrainingLoop.begin(method, method.configure(null, settings), temp.resolve("run"), _ -> {}))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(message);
        assertThat(temp.resolve("run")).doesNotExist();
    }

    @Test
    void anAdapterNeedsAModel() {
        Batches method = new Batches(sequences(23), null, -1);
        assertThatThrownBy(() -> method.configure(null, Map.of("peft", "lora")))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("model is missing");
    }
}
