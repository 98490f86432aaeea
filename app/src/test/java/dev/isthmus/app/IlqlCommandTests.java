package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** What {@code ilql} trained, as the other commands read it. */
class IlqlCommandTests {
    private final Terminal terminal = new Terminal();

    @TempDir
    private Path root;

    private String run(String command, Map<String, ?> options, String... more) {
        List<String> args = new ArrayList<>(List.of(command));
        options.forEach((name, value) -> args.addAll(List.of("--" + name, value.toString())));
        args.addAll(List.of(more));
        assertThat(terminal.run(args.toArray(String[]::new))).as(terminal.err()).isZero();
        return terminal.out();
    }

    private static String row(String completion, double reward) {
        return "{\"prompt\":\"=\",\"completion\":\"" + completion + "\",\"reward\":" + reward + "}";
    }

    /** Completions {@code ac} are worth 1, {@code ad} 0 and {@code be} 1/2, seen 6, 14 and 30 times. */
    private Path trained(Map<String, ?> more) throws IOException {
        CharTokenizer tokenizer = new CharTokenizer("abcde=", true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 2, 2, 2, 24, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), root.resolve("base"));
        }
        tokenizer.save(root.resolve("base"));
        List<String> rows = IntStream.range(0, 50)
                .mapToObj(i -> i < 6 ? row("ac", 1) : i < 20 ? row("ad", 0) : row("be", 0.5))
                .toList();
        Map<String, Object> settings = new TreeMap<>(Map.of(
                "model",
                root.resolve("base"),
                "data",
                Files.write(root.resolve("rows.jsonl"), rows),
                "tau",
                0.95,
                "alpha",
                0.1,
                "steps-for-target-q-sync",
                1,
                "cql-scale",
                0.02,
                "per-device-train-batch-size",
                50,
                "max-steps",
                150,
                "out",
                root.resolve("run")));
        settings.put("learning-rate", 0.01);
        settings.putAll(more);
        run("ilql", settings);
        return root.resolve("run/model");
    }

    private String generate(Map<String, ?> model, String... more) {
        return run(
                        "generate",
                        model,
                        Stream.concat(Stream.of("--prompt", "=", "--greedy"), Stream.of(more))
                                .toArray(String[]::new))
                .strip();
    }

    @Test
    void valuesGuideWhatIsWritten() throws IOException {
        Path model = trained(Map.of());
        Map<String, Path> here = Map.of("model", model);
        assertThat(generate(here, "--beta", "20")).as("the best that was seen").isEqualTo("=ac");
        assertThat(generate(here, "--beta", "0")).as("what was seen most often").isEqualTo("=be");
        // Beside a prompt nothing but the values makes the best text likelier.
        Path text = Files.writeString(root.resolve("text"), "=ac");
        double alone = nats(here, text, "--beta", "0");
        double guided = nats(here, text, "--beta", "20");
        assertThat(guided).isLessThan(alone - 0.5);
        assertThat(nats(here, text)).isEqualTo(nats(here, text, "--beta", "1")).isBetween(guided, alone);

        assertThat(terminal.run("generate", "--model", model.toString(), "--prompt", "=", "--num-beams", "2"))
                .isEqualTo(2);
        assertThat(terminal.err()).contains("--beta 0");
        assertThat(terminal.run("generate", "--model", model.toString(), "--prompt", "=", "--beta", "-1"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains("beta must be 0 or more");
        assertThat(terminal.run("generate", "--model", root.resolve("base").toString(), "--prompt", "=", "--beta", "1"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains("no ilql run wrote it");
    }

    private double nats(Map<String, Path> model, Path text, String... more) {
        String[] options = Stream.concat(Stream.of("--json", "--perplexity", text.toString()), Stream.of(more))
                .toArray(String[]::new);
        return JsonMapper.shared()
                .readTree(run("eval", model, options))
                .get("nats_per_token")
                .asDouble();
    }

    @Test
    void theValuesOfAnAdapterLieBesideIt() throws IOException {
        Path adapter = trained(Map.of("peft", "lora", "lora-target-modules", "all-linear", "max-steps", 2));
        Path text = Files.writeString(root.resolve("text"), "=ac");
        double guided = nats(Map.of("model", adapter), text, "--beta", "20");
        assertThat(nats(Map.of("model", root.resolve("base"), "adapter", adapter), text, "--beta", "20"))
                .isEqualTo(guided)
                .isNotEqualTo(nats(Map.of("model", adapter), text, "--beta", "0"));
    }
}
