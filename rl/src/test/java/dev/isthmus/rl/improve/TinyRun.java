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
        run(begin(directory, method, settings), Integer.MAX_VALUE);
        return new TinyRun(directory);
    }

    /** The same, but it stops dead after each row of its table and is resumed. */
    static TinyRun interrupted(Path directory, String method, Map<String, String> settings) {
        boolean finished = run(begin(directory, method, settings), 1);
        int rows = 1;
        while (!finished) {
            finished = run(RunDirectory.resume(directory, TinyRun::fail), ++rows);
        }
        if (rows != 1 + 3 * 2 + 1) {
            throw new AssertionError("stopped at " + (rows - 1) + " rows");
        }
        return new TinyRun(directory);
    }

    private static RunDirectory begin(Path directory, String method, Map<String, String> settings) {
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
        return RunDirectory.create(directory, "tiny", complete.recipe().seed(), complete.yaml(), TinyRun::fail);
    }

    private static void fail(String warning) {
        throw new AssertionError(warning);
    }

    private static final class Interruption extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** Whether the run came to its end before that many rows were printed. */
    private static boolean run(RunDirectory opened, int maxRows) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        int[] rows = {0};
        System.setErr(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
        System.setOut(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8) {
            @Override
            public void println(String line) {
                boolean row = line.matches("(base|round|shuffled|random) .*%.*");
                if (row && ++rows[0] == maxRows) {
                    throw new Interruption();
                }
            }
        });
        try (RunDirectory run = opened;
                Progress progress = new Progress()) {
            new SelfImprovement(run, progress).run();
            return true;
        } catch (Interruption e) {
            return false;
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
