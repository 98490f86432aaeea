package dev.isthmus.bench.peer;

import dev.isthmus.bench.Measurement;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.Exporter;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The process that lets llama.cpp's {@code llama-bench} read and write with a GGUF file of the same shape, exported here. */
public final class LlamaCpp {
    private static final String BINARY = "ISTHMUS_LLAMA_BENCH";
    private static final int REPETITIONS = 5;

    private final String binary;
    private final Path directory;

    private LlamaCpp(String binary, Path directory) {
        this.binary = binary;
        this.directory = directory;
    }

    /**
     * Answers questions on standard input until it ends.
     *
     * @param args a directory for the models
     */
    public static void main(String[] args) throws IOException {
        String binary = System.getenv(BINARY);
        if (binary == null) {
            Answers.missing(BINARY + " is not set (the path of llama.cpp's llama-bench)");
            return;
        }
        if (!Files.isExecutable(Path.of(binary))) {
            Answers.missing(binary + ", which " + BINARY + " names, is not a program");
            return;
        }
        Answers.answer("llama.cpp", List.of("prefill", "decode"), new LlamaCpp(binary, Path.of(args[0]))::measure);
    }

    private Measurement measure(JsonNode question) {
        boolean reads = question.get("bench").asString().equals("prefill");
        int tokens = question.get(reads ? "prompt_tokens" : "length").asInt();
        Path model = model(question);
        JsonNode answer = run(List.of(
                        binary,
                        "--model",
                        model.toString(),
                        "--n-prompt",
                        Integer.toString(reads ? tokens : 0),
                        "--n-gen",
                        Integer.toString(reads ? 0 : tokens),
                        "--threads",
                        question.get("threads").asString(),
                        "--repetitions",
                        Integer.toString(REPETITIONS),
                        "--output",
                        "json"))
                .get(0);
        List<Double> seconds = new ArrayList<>();
        // a prompt is one run; of a text, each token is
        answer.get("samples_ns").forEach(ns -> seconds.add(ns.asDouble() / 1e9 / (reads ? 1 : tokens)));
        return Measurement.of(seconds.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static JsonNode run(List<String> command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectError(Redirect.DISCARD).start();
            String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0) {
                throw new IllegalStateException(String.join(" ", command) + " failed");
            }
            return JsonMapper.shared().readTree(out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    /** A file with random weights of the shape and type that are asked for. */
    private Path model(JsonNode question) {
        String dtype = question.get("dtype").asString();
        Path file = directory.resolve(question.get("config").asString() + "-" + dtype + ".gguf");
        if (!Files.exists(file)) {
            Path weights = directory.resolve(question.get("config").asString());
            if (!Files.exists(weights)) {
                try (Scope scope = Scope.open()) {
                    Pretrained.save(new Decoder(config(question), DType.FLOAT32).initialize(Rng.of(1)), weights);
                }
                new CharTokenizer("ab", true).save(weights);
            }
            Exporter.export(weights, null, file, Exporter.Format.GGUF, dtype);
        }
        return file;
    }

    private static DecoderConfig config(JsonNode question) {
        int heads = question.get("heads").asInt();
        return DecoderConfig.llama(
                question.get("vocab_size").asInt(),
                question.get("hidden_size").asInt(),
                question.get("intermediate_size").asInt(),
                question.get("layers").asInt(),
                heads,
                heads,
                question.get("max_position_embeddings").asInt(),
                true);
    }
}
