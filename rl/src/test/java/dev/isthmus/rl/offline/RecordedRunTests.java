package dev.isthmus.rl.offline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.Scope;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.supervised.Sft;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Whole runs that were recorded with TRL's losses, taken again from files of rows: every loss, gradient norm and metric, and the
 * weights at the end.
 */
@Tag("fixture")
class RecordedRunTests {
    private static final int FIRST_CHARACTER = '\u4e00';

    @TempDir
    private Path directory;

    private JsonNode run;

    @ParameterizedTest
    @ValueSource(strings = {"sft", "dpo_sigmoid", "dpo_ipo", "dpo_exo_pair", "kto", "orpo", "simpo"})
    void everyStepAndTheLastWeightsAreThoseOfTheRecord(String name) throws IOException {
        run = Json.read(Fixtures.fixture("train/" + name + ".json"));
        Path weights = model();
        try (Scope scope = Scope.open()) {
            Training training = training(name, weights);
            Trainer trainer = new Trainer(training.model(), training.parameters(), arguments());
            for (int i = 0; i < run.get("steps").size(); i++) {
                JsonNode expected = run.get("steps").get(i);
                StepLog log = new StepLog(_ -> {});
                try (Scope step = Scope.open()) {
                    Trainer.Step done = trainer.step(training.microBatches(i, log).stream()
                            .map(MicroBatch::loss)
                            .toList());
                    close("loss of step " + i, done.loss(), expected.get("loss").asDouble());
                    close(
                            "gradient norm of step " + i,
                            done.gradNorm(),
                            expected.get("grad_norm_before_clip").asDouble());
                }
                for (Map.Entry<String, JsonNode> metric :
                        expected.path("metrics").properties()) {
                    // Those of CPO and ORPO are means over padding, too.
                    if (!metric.getKey().startsWith("logits/")) {
                        close(
                                metric.getKey() + " of step " + i,
                                log.means().get(metric.getKey()),
                                metric.getValue().asDouble());
                    }
                }
            }
            try (Arena arena = Arena.ofConfined()) {
                SafeTensors last = SafeTensors.open(Fixtures.fixture("train/" + name + ".final.safetensors"), arena);
                for (Parameter p : training.model().parameters()) {
                    assertThat(p.value().contiguous().toDoubles())
                            .as(p.name())
                            .containsExactly(last.get(p.name()).toDoubles(), within(1e-4));
                }
            }
        }
    }

    private static void close(String what, double found, double expected) {
        assertThat(found).as(what).isCloseTo(expected, within(1e-4 * (1 + Math.abs(expected))));
    }

    /** The model with a tokenizer in which character {@code i} is token {@code i}. */
    private Path model() throws IOException {
        Path model = directory.resolve("model");
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(Fixtures.fixture(run.get("model").stringValue()));
            Pretrained.save(decoder, model);
            int words = decoder.config().vocabSize();
            new CharTokenizer(text(IntStream.range(0, words).toArray(), 0, words), false).save(model);
        }
        return model;
    }

    private static String text(int[] tokens, int from, int to) {
        return IntStream.range(from, to)
                .mapToObj(t -> Character.toString(FIRST_CHARACTER + tokens[t]))
                .collect(Collectors.joining());
    }

    private TrainingArguments arguments() {
        JsonNode optimizer = run.get("optimizer");
        return new TrainingArguments(
                1,
                step -> run.get("steps").get((int) step).get("lr").asDouble(),
                OptimizerConfig.adamW(
                        optimizer.at("/betas/0").asDouble(),
                        optimizer.at("/betas/1").asDouble(),
                        optimizer.get("eps").asDouble()),
                optimizer.get("weight_decay").asDouble(),
                optimizer.get("clip_grad_norm").asDouble(),
                true);
    }

    private Training training(String name, Path weights) throws IOException {
        JsonNode config = run.get("config");
        Map<String, Object> settings = new LinkedHashMap<>();
        for (String key : List.of("beta", "label_smoothing", "desirable_weight", "undesirable_weight")) {
            boolean own = !name.equals("orpo") && !name.equals("simpo") || key.equals("beta");
            if (own && config.has(key)) {
                settings.put(key, config.get(key).asDouble());
            }
        }
        settings.put("model", weights.toString());
        settings.put("data", rows(name).toString());
        settings.put("train_sampling_strategy", "sequential");
        int rows = run.at("/batches/0/input_ids/shape/0").intValue();
        boolean pairs = !name.equals("sft") && !name.equals("kto");
        settings.put("per_device_train_batch_size", pairs ? rows / 2 : rows);
        Start start = new Start(weights, JsonNodeFactory.instance.objectNode(), Optional.empty());
        return switch (name) {
            case "sft" -> prepare(new Sft(), settings, start);
            case "kto" -> kto(settings, start);
            case "orpo" -> prepare(new Orpo(), settings, start);
            case "simpo" -> {
                settings.put("loss_type", "simpo");
                settings.put("simpo_gamma", config.get("simpo_gamma").asDouble());
                settings.put("cpo_alpha", config.get("cpo_alpha").asDouble());
                yield prepare(new Cpo(), settings, start);
            }
            default -> {
                settings.put("loss_type", List.of(config.get("loss_type").stringValue()));
                yield prepare(new Dpo(), settings, start);
            }
        };
    }

    private static <C extends Record> Training prepare(TrainingMethod<C> method, Map<String, ?> settings, Start start) {
        return method.prepare(method.configure(null, settings), start);
    }

    /** The record has mismatched completions of its own. */
    private Training kto(Map<String, ?> settings, Start start) {
        MethodConfig<KtoConfig> config = new Kto().configure(null, settings);
        KtoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<LabelledExample> data = Preparation.labelled(config, trained, 100, own.truncationMode());
        ReferenceModel reference = Preparation.reference(config, null, start, trained);
        return new LabelledTraining(trained, data, own.loss(), 0, reference, 100) {
            @Override
            List<Sequence> mismatched(List<Item<LabelledExample>> step) {
                JsonNode batch = run.get("batches").get(step.getFirst().number() / step.size());
                return sequences(batch, "KL_");
            }
        };
    }

    private static List<Sequence> sequences(JsonNode batch, String prefix) {
        int columns = batch.get(prefix + "input_ids").at("/shape/1").intValue();
        int[] ids = ints(batch.get(prefix + "input_ids"));
        int[] read = ints(batch.get(prefix + "attention_mask"));
        int[] learned = ints(batch.get(prefix + "completion_mask"));
        List<Sequence> sequences = new ArrayList<>();
        for (int row = 0; row < ids.length / columns; row++) {
            int at = row * columns;
            int length = (int)
                    IntStream.range(0, columns).filter(t -> read[at + t] == 1).count();
            int first = IntStream.range(0, columns)
                    .filter(t -> learned[at + t] == 1)
                    .findFirst()
                    .orElseThrow();
            sequences.add(Sequence.of(Arrays.copyOfRange(ids, at, at + length), first));
        }
        return sequences;
    }

    private static int[] ints(JsonNode tensor) {
        return tensor.get("data").valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    private Path rows(String name) throws IOException {
        List<String> lines = new ArrayList<>();
        for (JsonNode batch : run.get("batches")) {
            List<Sequence> all = sequences(batch, "");
            boolean single = name.equals("sft") || name.equals("kto");
            int n = single ? all.size() : all.size() / 2;
            for (int i = 0; i < n; i++) {
                Sequence s = all.get(i);
                int prompt = s.learned()[0];
                String row = "{\"prompt\":\"" + text(s.tokens(), 0, prompt) + "\",";
                String completion = text(s.tokens(), prompt, s.tokens().length);
                if (single) {
                    JsonNode label = batch.path("label").path("data").path(i);
                    row += "\"completion\":\"" + completion + "\""
                            + (name.equals("kto") ? ",\"label\":" + label.asBoolean(label.asInt(0) == 1) : "");
                } else {
                    Sequence worse = all.get(n + i);
                    row += "\"chosen\":\"" + completion + "\",\"rejected\":\""
                            + text(worse.tokens(), worse.learned()[0], worse.tokens().length) + "\"";
                }
                lines.add(row + "}");
            }
        }
        return Files.write(directory.resolve("rows.jsonl"), lines);
    }
}
