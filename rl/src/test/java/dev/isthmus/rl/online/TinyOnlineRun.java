package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.loop.TrainingLoop;
import dev.isthmus.train.loop.TrainingMethod;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs of online trainers on a model of a few thousand weights, and what they leave. */
record TinyOnlineRun(Path directory) {
    /** A model of characters and prompts of sums, some longer than others. */
    static Path world(Path root) {
        try (Scope scope = Scope.open()) {
            CharTokenizer tokenizer = new CharTokenizer("0123456789+=", true);
            for (int seed = 1; seed <= 2; seed++) {
                Path model = root.resolve(seed == 1 ? "tiny" : "teacher");
                DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 1, 2, 2, 24, true);
                Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(seed)), model);
                tokenizer.save(model);
            }
            Files.writeString(
                    root.resolve("prompts.jsonl"),
                    IntStream.range(0, 20)
                            .mapToObj(i -> "{\"prompt\":\"" + i + "+" + i * i + "=\",\"completion\":\"" + (i + i * i)
                                    + "\",\"solution\":\"" + (i + i * i) % 10 + "\"}")
                            .collect(Collectors.joining("\n")),
                    StandardCharsets.UTF_8);
            return root;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Six steps with a checkpoint after the third. */
    static TinyOnlineRun of(TrainingMethod<?> method, Path root, String out, Map<String, ?> settings) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("model", root.resolve("tiny").toString());
        all.put("data", root.resolve("prompts.jsonl").toString());
        all.put("max_steps", 6);
        all.put("save_steps", 3);
        all.put("logging_steps", 1);
        all.put("per_device_train_batch_size", 8);
        all.put("learning_rate", 1e-2);
        all.putAll(settings);
        all.replaceAll((_, value) -> value instanceof String text && text.startsWith("@")
                ? root.resolve(text.substring(1)).toString()
                : value);
        quietly(() -> begin(method, root.resolve(out), all));
        return new TinyOnlineRun(root.resolve(out));
    }

    private static <C extends Record> void begin(TrainingMethod<C> method, Path out, Map<String, ?> settings) {
        TrainingLoop.begin(method, method.configure(null, settings), out, warning -> {
            throw new AssertionError(warning);
        });
    }

    /** Takes away all that came after the checkpoint and goes on from there. */
    TinyOnlineRun resumed(TrainingMethod<?> method) throws IOException {
        delete(directory.resolve("summary.json"));
        delete(directory.resolve("report.html"));
        delete(directory.resolve("model"));
        quietly(() -> TrainingLoop.resume(method, directory, _ -> {}));
        return this;
    }

    private static void delete(Path path) throws IOException {
        try (Stream<Path> files = Files.walk(path)) {
            for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(file);
            }
        }
    }

    static void quietly(Runnable work) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        System.setOut(nowhere);
        System.setErr(nowhere);
        try {
            work.run();
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    String text(String file) throws IOException {
        return Files.readString(directory.resolve(file), StandardCharsets.UTF_8);
    }

    byte[] weights() throws IOException {
        return Files.readAllBytes(directory.resolve("model/model.safetensors"));
    }

    List<JsonNode> metrics() throws IOException {
        return text("metrics.jsonl").lines().map(JsonMapper.shared()::readTree).toList();
    }

    double[] metric(String key) throws IOException {
        return metrics().stream()
                .filter(line -> line.has(key))
                .mapToDouble(line -> line.get(key).asDouble())
                .toArray();
    }
}
