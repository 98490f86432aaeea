package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.offline.Bco;
import dev.isthmus.rl.offline.Dpo;
import dev.isthmus.rl.offline.Kto;
import dev.isthmus.rl.offline.Reward;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.loop.TrainingLoop;
import dev.isthmus.train.loop.TrainingMethod;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A run does not go on with another model than it began with, whatever the model is to it. */
class ChangedModelTests {
    @TempDir
    private Path root;

    @BeforeEach
    void world() throws IOException {
        TinyOnlineRun.world(root);
        Files.writeString(
                root.resolve("pairs.jsonl"),
                IntStream.range(0, 16)
                        .mapToObj(i -> "{\"prompt\":\"" + i + "=\",\"chosen\":\"" + i + "\",\"rejected\":\"+\"}")
                        .collect(Collectors.joining("\n")),
                StandardCharsets.UTF_8);
        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(root.resolve("tiny"));
            Classifier.initialize(Pretrained.load(root.resolve("teacher")), 1, false, Rng.of(1))
                    .save(root.resolve("judge"));
            Files.copy(root.resolve("tiny/tokenizer.json"), root.resolve("judge/tokenizer.json"));
            LoraConfig lora = new LoraConfig(
                    2,
                    2,
                    0,
                    List.of(),
                    false,
                    false,
                    List.of(),
                    root.resolve("tiny").toString());
            Peft.save(new Adapter(model, lora).initialize(Rng.of(2)), model, root.resolve("expert"));
        }
    }

    /** A trainer, its settings, and the file of a model that it reads beside its checkpoint. */
    static Stream<Arguments> runs() {
        Map<String, ?> pairs = Map.of("data", "@pairs.jsonl");
        Map<String, ?> judged = Map.of("max_completion_length", 4, "num_generations", 2, "reward_funcs", "@judge");
        return Stream.of(
                run("the reference of dpo", new Dpo(), pairs, "tiny/model.safetensors"),
                run("ref_model of kto", new Kto(), with(pairs, "ref_model", "@teacher"), "teacher/model.safetensors"),
                run("embedding_model", new Bco(), with(pairs, "embedding_model", "@teacher"), "teacher/config.json"),
                run("under an adapter", new Reward(), with(pairs, "peft", "lora"), "tiny/model.safetensors"),
                run("an expert", new Reward(), with(pairs, "experts", "@expert"), "expert/adapter_model.safetensors"),
                run("under an expert", new Reward(), with(pairs, "experts", "@expert"), "tiny/model.safetensors"),
                run("a reward model", OnlineTrainer.GRPO, judged, "judge/model.safetensors"),
                run("its words", OnlineTrainer.RLOO, judged, "judge/tokenizer.json"),
                run("the reference of grpo", OnlineTrainer.GRPO, with(judged, "beta", 0.1), "tiny/model.safetensors"),
                run(
                        "a teacher",
                        OnlineTrainer.GKD,
                        Map.of("teacher_model_name_or_path", "@teacher", "max_new_tokens", 4),
                        "teacher/model.safetensors"));
    }

    private static Arguments run(String name, TrainingMethod<?> method, Map<String, ?> settings, String file) {
        return Arguments.argumentSet(name, method, settings, file);
    }

    private static Map<String, Object> with(Map<String, ?> settings, String key, Object value) {
        Map<String, Object> all = new LinkedHashMap<>(settings);
        all.put(key, value);
        return all;
    }

    @ParameterizedTest
    @MethodSource("runs")
    void aRunDoesNotGoOnWithAnotherModel(TrainingMethod<?> method, Map<String, ?> settings, String file)
            throws IOException {
        Map<String, Object> all = new LinkedHashMap<>(settings);
        for (String list : List.of("reward_funcs", "experts")) {
            all.computeIfPresent(
                    list,
                    (_, name) ->
                            List.of(root.resolve(name.toString().substring(1)).toString()));
        }
        TinyOnlineRun run = TinyOnlineRun.of(method, root, "run", all);
        byte[] whole = run.text("metrics.jsonl").getBytes(StandardCharsets.UTF_8);
        Path changed = root.resolve(file);
        byte[] before = Files.readAllBytes(changed);
        byte[] after = Arrays.copyOf(before, before.length + (file.endsWith(".json") ? 1 : 0));
        // White space, or the last weight.
        after[after.length - 1] = file.endsWith(".json") ? (byte) '\n' : (byte) (after[after.length - 1] ^ 1);
        Files.write(changed, after);
        assertThatThrownBy(() -> run.resumed(method))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("is no longer the model that the run in " + run.directory() + " began with");
        Files.write(changed, before);
        TinyOnlineRun.quietly(() -> TrainingLoop.resume(method, run.directory(), _ -> {}));
        assertThat(run.text("metrics.jsonl").getBytes(StandardCharsets.UTF_8)).isEqualTo(whole);
    }
}
