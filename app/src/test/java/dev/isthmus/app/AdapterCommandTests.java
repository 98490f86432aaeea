package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Adapters on the command line: trained, used, taken elsewhere. */
class AdapterCommandTests {
    private final Terminal terminal = new Terminal();

    @TempDir
    private Path directory;

    @BeforeEach
    void modelAndData() throws IOException {
        CharTokenizer tokenizer = new CharTokenizer("abcdefgh +=.\n", true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 32, 64, 1, 2, 2, 24, true);
            Decoder model = new Decoder(config, DType.FLOAT32).initialize(Rng.of(1));
            // Frozen weights must tell tokens apart, as those of a trained model do.
            model.trained().stream().filter(t -> t.rank() == 2).forEach(t -> t.copyFrom(t.mul(8)));
            Pretrained.save(model, directory.resolve("tiny"));
        }
        tokenizer.save(directory.resolve("tiny"));
        Files.writeString(
                directory.resolve("rows.jsonl"),
                IntStream.range(0, 40)
                        .mapToObj(i -> "{\"prompt\":\"" + "abcd".charAt(i % 4) + "+" + "ef".charAt(i % 2)
                                + "=\",\"completion\":\"" + "gh".charAt(i % 2) + "\"}")
                        .collect(Collectors.joining("\n")),
                StandardCharsets.UTF_8);
    }

    private int run(String line) {
        return terminal.run(Stream.of(line.split(" "))
                .map(w -> w.replace("@", directory + "/"))
                .toArray(String[]::new));
    }

    private void succeed(String line) {
        assertThat(run(line)).as(terminal.err()).isZero();
    }

    private String written(String options) {
        succeed("generate --greedy --prompt c+f= " + options);
        return terminal.out().strip();
    }

    private double perplexity(String options) {
        succeed("eval --perplexity @text.txt --json " + options);
        return JsonMapper.shared().readTree(terminal.out()).get("perplexity").asDouble();
    }

    /** A run in which an adapter learns the task that its model does not know. */
    private void train(String options) {
        succeed(
                "sft --model @tiny --data @rows.jsonl --peft lora --lora-target-modules all-linear --num-train-epochs 75"
                        + " --learning-rate 0.02 --lr-scheduler-type cosine --per-device-train-batch-size 10 --out @run "
                        + options);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "--dtype auto",
                "--dtype bfloat16",
                "--dtype q8_0",
                "--dtype q4_0",
                "--dtype bfloat16 --use-dora true"
            })
    void sftTrainsAnAdapterOfWeightsInAnyForm(String options) {
        train(options);
        Path model = directory.resolve("run/model");
        assertThat(model.resolve("adapter_model.safetensors")).exists();
        assertThat(model.resolve("tokenizer.json")).exists();
        assertThat(model.resolve("model.safetensors")).doesNotExist();
        assertThat(JsonMapper.shared()
                        .readTree(model.resolve("adapter_config.json"))
                        .get("base_model_name_or_path")
                        .asString())
                .isEqualTo(directory.resolve("tiny").toString());
        String form = options.contains("--dtype") ? options.split(" ")[1] : "float32";
        assertThat(written("--model @tiny --dtype " + form)).isNotEqualTo("c+f=h");
        assertThat(written("--model @run/model --dtype " + form)).isEqualTo("c+f=h");
        assertThat(written("--model @tiny --dtype " + form + " --adapter @run/model"))
                .isEqualTo("c+f=h");
        assertThat(JsonMapper.shared()
                        .readTree(directory.resolve("run/summary.json"))
                        .get("trainable_parameters")
                        .asLong())
                .isBetween(16 * 7 * 64L, 16 * 7 * 100L + 352);
    }

    @Test
    void aTrainedAdapterIsMeasuredMergedAndTakenOut() throws IOException {
        train("");
        Files.writeString(directory.resolve("text.txt"), "c+f=h\n", StandardCharsets.UTF_8);
        for (String to : new String[] {"safetensors", "gguf", "bin"}) {
            succeed("export @tiny --adapter @run/model --to " + to + " --out @merged." + to);
            // llama2.c's files have their vocabulary beside them.
            if (!to.equals("bin")) {
                assertThat(written("--model @merged." + to)).isEqualTo("c+f=h");
            }
        }
        double changed = perplexity("--model @tiny --adapter @run/model");
        assertThat(perplexity("--model @tiny")).isNotCloseTo(changed, within(0.1));
        assertThat(perplexity("--model @merged.safetensors")).isCloseTo(changed, within(1e-3));
        succeed("export @run/model --to peft");
        assertThat(terminal.out()).contains("model-peft-f32");
        assertThat(written("--model @tiny --adapter @run/model-peft-f32")).isEqualTo("c+f=h");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "export @tiny --to peft | 1 | --adapter says which change of it to write",
                "export @tiny --adapter @tiny --to gguf | 1 | adapter_config.json",
                "sft --model @tiny --data @rows.jsonl --dtype q8_0 | 2 | dtype q8_0 is for weights that stay as they are",
                "sft --model @tiny --data @rows.jsonl --peft ia3 | 2 | expected one of [lora]",
                "sft --model @tiny --data @rows.jsonl --peft lora --lora-r 0 | 2 | lora_r, must be at least 1, found 0",
                "sft --model @tiny --data @rows.jsonl --peft lora --lora-target-modules c_attn | 1 | names no projection",
                "pretrain --data @rows.jsonl --peft lora | 2 | pretrain: model is missing",
                "generate --model @tiny --adapter @none | 1 | there is no such directory",
                "generate --model @tiny --adapter @tiny | 1 | adapter_config.json",
            })
    void whatCannotBeDoneIsTold(String line, int code, String message) {
        assertThat(run(line)).as(terminal.err()).isEqualTo(code);
        assertThat(terminal.err()).contains(message);
    }

    @Test
    void anAdapterWhoseModelIsGoneIsToldFrom() throws IOException {
        train("--max-steps 1");
        Files.move(directory.resolve("tiny"), directory.resolve("moved"));
        assertThat(run("generate --model @run/model")).isEqualTo(1);
        assertThat(terminal.err()).contains("holds an adapter of", "tiny", "which is not here");
        succeed("generate --prompt a --model @moved --adapter @run/model");
    }
}
