package dev.isthmus.rl.offline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.RecordedRun;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import dev.isthmus.train.supervised.Sft;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Whole runs that were recorded with TRL's losses, taken again from files of rows: every loss, gradient norm and metric, and the
 * weights at the end.
 */
@Tag("fixture")
class RecordedRunTests {
    /** Above all characters that stand for halves of others. */
    private static final int FIRST_CHARACTER = 0x10000;

    @TempDir
    private Path directory;

    private RecordedRun run;

    static List<String> names() {
        return RecordedRun.names("sft", "dpo", "kto", "orpo", "simpo", "cpo");
    }

    @ParameterizedTest
    @MethodSource("names")
    void everyStepAndTheLastWeightsAreThoseOfTheRecord(String name) throws IOException {
        run = RecordedRun.read(name);
        Path weights = model();
        try (Scope scope = Scope.open()) {
            Training training = training(name, weights);
            Trainer trainer = new Trainer(training.model(), training.parameters(), run.arguments());
            for (int i = 0; i < run.steps().size(); i++) {
                StepLog log = new StepLog(_ -> {});
                try (Scope step = Scope.open()) {
                    Trainer.Step done = trainer.step(training.microBatches(i, log).stream()
                            .map(MicroBatch::loss)
                            .toList());
                    // The logits of CPO and ORPO are means over padding, too.
                    run.assertStep(i, done, log.means(), "logits/");
                }
            }
            run.assertWeights(training.model());
        }
    }

    /** The model with a tokenizer in which character {@code i} is token {@code i}. */
    private Path model() throws IOException {
        Path model = directory.resolve("model");
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(run.model());
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

    private Training training(String name, Path weights) throws IOException {
        String kind = name.contains("_") ? name.substring(0, name.indexOf('_')) : name;
        Map<String, Object> settings = run.settings();
        settings.put("model", weights.toString());
        settings.put("data", rows(kind).toString());
        settings.put("train_sampling_strategy", "sequential");
        int rows = run.json().at("/batches/0/input_ids/shape/0").intValue();
        settings.put("per_device_train_batch_size", isSingle(kind) ? rows : rows / 2);
        Start start = new Start(weights, JsonNodeFactory.instance.objectNode(), Optional.empty());
        return switch (kind) {
            case "sft" -> prepare(new Sft(), settings, start);
            case "kto" -> kto(settings, start);
            case "orpo" -> {
                // They stand in the record and mean something to CPO only.
                settings.keySet().removeAll(List.of("simpo_gamma", "cpo_alpha"));
                yield prepare(new Orpo(), settings, start);
            }
            case "simpo", "cpo" -> {
                settings.putIfAbsent("loss_type", "simpo");
                yield prepare(new Cpo(), settings, start);
            }
            default -> {
                settings.computeIfPresent("loss_type", (_, type) -> type instanceof List<?> ? type : List.of(type));
                yield prepare(new Dpo(), settings, start);
            }
        };
    }

    private static boolean isSingle(String kind) {
        return kind.equals("sft") || kind.equals("kto");
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
        ReferenceModel reference = Preparation.reference(config, null, trained);
        return new KtoTraining(trained, data, own.loss(), 0, reference, 100) {
            @Override
            List<Sequence> mismatched(List<Item<LabelledExample>> step) {
                JsonNode batch = run.batches().get(step.getFirst().number() / step.size());
                return rows(batch, "KL_");
            }
        };
    }

    /** The rows of a batch without their padding, on whichever side; what is learned must be their end. */
    private static List<Sequence> rows(JsonNode batch, String prefix) {
        int columns = batch.get(prefix + "input_ids").at("/shape/1").intValue();
        int[] ids = ints(batch.get(prefix + "input_ids"));
        int[] read = ints(batch.get(prefix + "attention_mask"));
        int[] learned = ints(batch.get(prefix + "completion_mask"));
        List<Sequence> sequences = new ArrayList<>();
        for (int row = 0; row < ids.length / columns; row++) {
            int[] places = IntStream.range(row * columns, (row + 1) * columns)
                    .filter(t -> read[t] == 1)
                    .toArray();
            int completion = Arrays.stream(places).map(t -> learned[t]).sum();
            int prompt = places.length - completion;
            assertThat(IntStream.range(0, places.length).allMatch(i -> learned[places[i]] == (i < prompt ? 0 : 1)))
                    .as("completions are the ends of rows")
                    .isTrue();
            sequences.add(Sequence.of(Arrays.stream(places).map(t -> ids[t]).toArray(), prompt));
        }
        return sequences;
    }

    private static int[] ints(JsonNode tensor) {
        return tensor.get("data").valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    private Path rows(String kind) throws IOException {
        List<String> lines = new ArrayList<>();
        boolean single = isSingle(kind);
        int size = run.json().at("/batches/0/input_ids/shape/0").intValue();
        for (JsonNode batch : run.batches()) {
            List<Sequence> all = rows(batch, "");
            assertThat(all).as("batches of one size").hasSize(size);
            int n = single ? size : size / 2;
            for (int i = 0; i < n; i++) {
                Sequence s = all.get(i);
                int prompt = s.learned()[0];
                String row = "{\"prompt\":\"" + text(s.tokens(), 0, prompt) + "\",";
                String completion = text(s.tokens(), prompt, s.tokens().length);
                if (single) {
                    JsonNode label = batch.path("label").path("data").path(i);
                    row += "\"completion\":\"" + completion + "\""
                            + (kind.equals("kto") ? ",\"label\":" + label.asBoolean(label.asInt(0) == 1) : "");
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
