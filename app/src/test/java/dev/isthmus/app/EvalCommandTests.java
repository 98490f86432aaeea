package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.task.Addition;
import dev.isthmus.rl.task.Range;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class EvalCommandTests {
    private final Terminal terminal = new Terminal();

    @TempDir
    private Path directory;

    @BeforeEach
    void model() throws IOException {
        CharTokenizer tokenizer = new CharTokenizer(new Addition(new Range(2, 2), false).alphabet(), true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 1, 2, 2, 32, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
            tokenizer.save(directory);
        }
        Files.writeString(directory.resolve("text.txt"), "12+34=46".repeat(20));
    }

    private JsonNode eval(String args) {
        assertThat(run(args + " --json")).as(terminal.err()).isZero();
        return JsonMapper.shared().readTree(terminal.out());
    }

    private int run(String args) {
        return terminal.run(("eval --model DIR " + args)
                .replace("DIR", directory.toString())
                .split(" "));
    }

    @Test
    void perplexityNatsAndBitsPerByteAgree() {
        JsonNode found = eval("--perplexity DIR/text.txt");
        assertThat(found.get("max_length").asInt()).isEqualTo(32);
        assertThat(found.get("stride").asInt()).isEqualTo(16);
        assertThat(found.get("bytes").asInt()).isEqualTo(160);
        double nats = found.get("nats_per_token").asDouble();
        assertThat(found.get("perplexity").asDouble()).isEqualTo(Math.exp(nats));
        assertThat(found.get("bits_per_byte").asDouble() * 160 * Math.log(2))
                .isCloseTo(nats * found.get("tokens").asInt(), org.assertj.core.data.Offset.offset(1e-9));
        assertThat(run("--perplexity DIR/text.txt --stride 8")).isZero();
        assertThat(terminal.out()).contains("perplexity", "nats_per_token", "bits_per_byte", "tokens");
    }

    @Test
    void theProblemsOfATaskArePosed() {
        JsonNode found = eval("--task addition --set digits=2 --problems 20 --num-generations 4");
        assertThat(found.get("task").asString()).contains("digits=2");
        assertThat(found.get("problems").asInt()).isEqualTo(20);
        assertThat(found.get("accuracy").asDouble()).isBetween(0.0, 0.2);
        assertThat(found.has("pass_at_1") && found.has("pass_at_4") && found.has("maj_at_4"))
                .isTrue();
        assertThat(eval("--task addition --set digits=2 --problems 5").has("pass_at_1"))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'' | 2 | either --perplexity FILE or --task NAME says what to measure",
                "--perplexity DIR/text.txt --task addition | 2 | either --perplexity",
                "--perplexity DIR/nothing.txt | 1 | DIR/nothing.txt: no such file or directory",
                "--perplexity DIR/text.txt --max-length 33 | 1 | a sequence of 33 tokens is longer than the model's 32",
                "--perplexity DIR/text.txt --stride 32 | 1 | stride must be from 1 to max_length - 1 = 31, found 32",
                "--task sums | 1 | There is no task 'sums'",
                "--task addition --set length=3 | 1 | addition has no setting 'length'",
                "--task addition --problems 0 | 2 | --problems must be at least 1",
            })
    void wrongInputIsOneOrTwoLines(String args, int code, String problem) {
        assertThat(run(args)).as(terminal.err()).isEqualTo(code);
        assertThat(terminal.err()).startsWith("isthmus: " + problem.replace("DIR", directory.toString()));
        assertThat(terminal.err().lines()).hasSizeLessThanOrEqualTo(2);
    }
}
