package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.testing.Fixtures;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class GenerateCommandTests {
    private final Terminal terminal = new Terminal();

    @TempDir
    private Path directory;

    @BeforeEach
    void model() {
        CharTokenizer tokenizer = new CharTokenizer("abcdefgh ", false);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 1, 2, 2, 32, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
            tokenizer.save(directory);
        }
    }

    private String generate(String... options) {
        String[] args =
                List.of(List.of("generate", "--model", directory.toString(), "--prompt", "abc"), List.of(options))
                        .stream()
                        .flatMap(List::stream)
                        .toArray(String[]::new);
        assertThat(terminal.run(args)).as(terminal.err()).isZero();
        return terminal.out();
    }

    @Test
    void aTextIsThePromptAndAsManyTokensAsAskedFor() {
        assertThat(generate("--max-new-tokens", "7").stripTrailing())
                .startsWith("abc")
                .hasSize(10);
    }

    @Test
    void theModelsPositionsAreTheLimit() {
        assertThat(generate().replaceAll("\\R$", "")).hasSize(32);
    }

    @Test
    void guessesChangeNoGreedyText() {
        String alone = generate("--greedy");
        assertThat(generate("--greedy", "--assistant-model", directory.toString()))
                .isEqualTo(alone);
        assertThat(generate("--greedy", "--prompt-lookup-num-tokens", "4")).isEqualTo(alone);
    }

    @Test
    void guessesComeFromOnePlace() {
        String[] both = {
            "generate", "--model", directory.toString(), "--prompt", "a", "--assistant-model", directory.toString()
        };
        assertThat(terminal.run(Stream.concat(Stream.of(both), Stream.of("--prompt-lookup-num-tokens", "2"))
                        .toArray(String[]::new)))
                .isEqualTo(2);
        assertThat(terminal.err()).contains("--prompt-lookup-num-tokens cannot go together");
    }

    @Test
    void theSeedDecides() {
        assertThat(generate("--seed", "7")).isEqualTo(generate("--seed", "7")).isNotEqualTo(generate("--seed", "8"));
        assertThat(generate("--greedy")).isEqualTo(generate("--top-k", "1", "--seed", "9"));
    }

    @Test
    void theModelsGenerationConfigIsTheDefault() throws IOException {
        String greedy = generate("--greedy", "--max-new-tokens", "6");
        String drawn = generate("--temperature", "1.5", "--max-new-tokens", "6");
        Path file = directory.resolve("generation_config.json");
        Files.writeString(file, "{\"do_sample\": false, \"max_new_tokens\": 6, \"temperature\": 1.5}");
        assertThat(generate()).isEqualTo(greedy);
        assertThat(generate("--seed", "42")).isEqualTo(drawn);
        assertThat(generate("--max-new-tokens", "9").strip())
                .startsWith(greedy.strip())
                .hasSize(12);
        Files.writeString(file, "{\"do_sample\": true, \"temperature\": 1.5}");
        assertThat(generate("--max-new-tokens", "6")).isEqualTo(drawn);
        assertThat(generate("--greedy", "--max-new-tokens", "6")).isEqualTo(greedy);
        // Any of its tokens ends the text.
        Files.writeString(file, "{\"eos_token_id\": [0, 1, 2, 3, 4, 5, 6, 7, 8]}");
        assertThat(generate().strip()).hasSize(4);
        Files.writeString(file, "{\"top_k\": \"many\"}");
        assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "a"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains("generation_config.json", "'top_k' must be a whole number");
    }

    @Test
    void aPromptMayBePiped() {
        InputStream before = System.in;
        System.setIn(new ByteArrayInputStream("abc".getBytes(StandardCharsets.UTF_8)));
        try {
            assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "-"))
                    .isZero();
            String piped = terminal.out();
            assertThat(piped).isEqualTo(generate());
            System.setIn(new ByteArrayInputStream(new byte[] {'a', (byte) 0xe9, 'b'}));
            assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "-"))
                    .isEqualTo(1);
            assertThat(terminal.err()).contains("standard input is not text in UTF-8");
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void severalTextsAreNumbered() {
        String texts = generate("--num-return-sequences", "3");
        assertThat(texts.lines().filter(line -> line.startsWith("abc")))
                .hasSize(3)
                .doesNotHaveDuplicates();
        assertThat(texts).startsWith("[1]").contains("[2]", "[3]");
    }

    @Tag("fixture")
    @Test
    void theTrainedStoriesModelTellsTheRecordedStories() {
        Path model = Fixtures.data("models/stories260K");
        JsonNode runs = JsonMapper.shared()
                .readTree(Fixtures.fixture("models/stories260K/reference.json"))
                .get("runs");
        for (JsonNode run : runs) {
            int code = terminal.run(
                    "generate",
                    "--greedy",
                    "--model=" + model,
                    "--prompt=" + run.get("prompt").asString(),
                    "--max-new-tokens=" + run.get("steps").asInt());
            assertThat(code).as(terminal.err()).isZero();
            // llama2.c prints none of the bytes that stand for characters outside its vocabulary.
            assertThat(terminal.out().replaceAll("[ë東京]", ""))
                    .startsWith(run.get("greedy_text_utf8").asString());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--prompt abc | 2 | Missing required option: '--model=DIR'",
                "--model nowhere --prompt abc | 1 | Cannot read a model from nowhere: there is no such file or directory",
                "--model MODEL --prompt abz | 1 | the character 'z' at position 2 is not in the vocabulary of 9 characters",
                "--model MODEL | 1 | the prompt is empty and this model has no token that begins a text",
                "--model MODEL --prompt abcdefghabcdefghabcdefghabcdefgha | 1 | a sequence of 34 tokens is longer",
                "--model MODEL --prompt a --temperature 0 | 1 | temperature must be positive",
                "--model MODEL --prompt a --top-p 1.5 | 1 | top_p must be above 0 and at most 1, found 1.5",
                "--model MODEL --prompt a --max-new-tokens 0 | 1 | max_new_tokens and num_generations must be at least 1",
                "--model MODEL --prompt a --greedy --top-k 3 | 2 | --greedy draws nothing at random, so --top-k cannot",
                "--model MODEL --prompt a --num-return-sequences 0 | 2 | --num-return-sequences must be at least 1",
                "--model MODEL --prompt a --greedy --num-return-sequences 2 | 2 | --greedy writes one text, so --num-return",
                "--model MODEL --prompt a --topk 3 | 2 | unknown option '--topk'; did you mean --top-",
            })
    void wrongInputIsOneOrTwoLines(String args, int code, String problem) {
        String[] words =
                ("generate " + args).replace("MODEL", directory.toString()).split(" ");
        assertThat(terminal.run(words)).isEqualTo(code);
        assertThat(terminal.out()).isEmpty();
        assertThat(terminal.err()).startsWith("isthmus: " + problem);
        assertThat(terminal.err().lines()).hasSizeLessThanOrEqualTo(2);
    }

    @Test
    void aDamagedModelIsNamed() throws IOException {
        Path weights = directory.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, Arrays.copyOf(bytes, bytes.length - 100));
        assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "a"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains("model.safetensors").contains("truncated");
        Files.delete(weights);
        assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "a"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains(directory.toString());
        assertThat(terminal.err().lines()).hasSizeLessThanOrEqualTo(2);
    }

    @Test
    void aTokenThatTheModelLacksIsNoticed() {
        new CharTokenizer("abcdefghijklmnopq", false).save(directory);
        assertThat(terminal.run("generate", "--model", directory.toString(), "--prompt", "aq"))
                .isEqualTo(1);
        assertThat(terminal.err()).contains("token 16 has no row in the embedding of this model, which knows 9");
        assertThat(terminal.err().lines()).hasSizeLessThanOrEqualTo(2);
    }
}
