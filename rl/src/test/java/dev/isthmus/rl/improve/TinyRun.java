package dev.isthmus.rl.improve;

import dev.isthmus.rl.recipe.Recipes;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A self-improvement run of a second or two, and what it left. */
record TinyRun(Path directory) {
    private static final JsonMapper JSON = new JsonMapper();

    /** Runs a tiny recipe of this method, with controls, to its end. */
    static TinyRun of(Path directory, String method, Map<String, String> settings) {
        Map<String, String> all = new LinkedHashMap<>(Map.of("improve", "{method: " + method + "}"));
        all.put("name", "tiny");
        all.put("task", "{name: list_sorting, length: 2..3}");
        all.put("model", "{hidden_size: 32, intermediate_size: 48, num_hidden_layers: 1, num_attention_heads: 2}");
        all.put("pretrain", "{examples: 300, max_steps: 100, batch_size: 16, learning_rate: 1.0e-2, warmup_steps: 5}");
        all.put("pretrain.target_accuracy", "2");
        all.put("eval", "{problems: 20, samples: 8}");
        all.put("controls", "true");
        all.put("improve.rounds", "2");
        all.put("improve.problems", "16");
        all.put("improve.num_generations", "4");
        all.put("improve.learning_rate", "3.0e-3");
        all.put("improve.warmup_steps", "0");
        all.putAll(
                method.equals("grpo")
                        ? Map.of("improve.steps_per_round", "2", "improve.num_iterations", "2")
                        : Map.of("improve.max_steps", "4", "improve.batch_size", "16"));
        all.putAll(settings);
        Recipes.Complete complete = Recipes.load(Recipes.DEFAULT, all);
        long seed = complete.recipe().seed();
        run(RunDirectory.create(directory, "tiny", seed, complete.yaml(), line -> {}));
        return new TinyRun(directory);
    }

    private static void run(RunDirectory opened) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        System.setOut(nowhere);
        System.setErr(nowhere);
        try (RunDirectory run = opened;
                Progress progress = new Progress()) {
            new SelfImprovement(run, progress).run();
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    /** {@code summary.json} without the only field that may differ. */
    JsonNode summary() throws IOException {
        ObjectNode json = (ObjectNode) JSON.readTree(text("summary.json"));
        json.remove("seconds");
        return json;
    }

    List<JsonNode> metrics() throws IOException {
        return text("metrics.jsonl").lines().map(JSON::readTree).toList();
    }

    String text(String file) throws IOException {
        return Files.readString(directory.resolve(file), StandardCharsets.UTF_8);
    }

    byte[] weights(String model) throws IOException {
        return Files.readAllBytes(directory.resolve(model).resolve("model.safetensors"));
    }
}
