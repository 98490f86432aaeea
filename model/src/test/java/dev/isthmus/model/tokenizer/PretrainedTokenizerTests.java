package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

@Tag("fixture")
class PretrainedTokenizerTests {
    @ParameterizedTest
    @ValueSource(strings = {"hf_gpt2", "hf_llama2", "hf_llama3.2", "hf_smollm2"})
    void readsTokenizerJsonAsHuggingFace(String name) {
        JsonNode fixture = Json.read(fixture("tokenizer/" + name + ".json"));
        PretrainedTokenizer tokenizer = load("tokenizers/" + name.substring(3));
        SoftAssertions softly = new SoftAssertions();
        for (JsonNode c : fixture.get("cases")) {
            String text = c.get("text").stringValue();
            int[] ids = ints(c.get("ids"));
            softly.assertThat(tokenizer.encode(text)).as(text).containsExactly(ids);
            softly.assertThat(tokenizer.decode(ids, false))
                    .isEqualTo(c.get("decoded").stringValue());
            softly.assertThat(tokenizer.decode(ids, true))
                    .isEqualTo(c.get("decoded_skip_special").stringValue());
        }
        for (JsonNode c : fixture.path("with_special")) {
            String text = c.get("text").stringValue();
            softly.assertThat(tokenizer.encode(text, true)).as(text).containsExactly(ints(c.get("ids")));
        }
        softly.assertAll();
    }

    @ParameterizedTest
    @MethodSource("plainVocabularies")
    void readsPlainVocabularies(String name, String vocabulary) {
        PretrainedTokenizer tokenizer = load(vocabulary);
        SoftAssertions softly = new SoftAssertions();
        for (JsonNode c : Json.read(fixture("tokenizer/" + name + ".json")).get("cases")) {
            String text = c.get("text").stringValue();
            int[] ids = ints(c.get("ids"));
            softly.assertThat(tokenizer.encodeOrdinary(text)).as(text).containsExactly(ids);
            if (c.has("decoded")) {
                softly.assertThat(tokenizer.decode(ids))
                        .isEqualTo(c.get("decoded").stringValue());
            }
        }
        softly.assertAll();
    }

    static List<Object[]> plainVocabularies() {
        return List.of(
                new Object[] {"gpt2", "tokenizers/gpt2/encoder.json"},
                new Object[] {"llama3", "tokenizers/llama3.2"},
                new Object[] {"llama2_spm", "tokenizers/llama2/tokenizer.model"},
                new Object[] {"llama2_spm", "tokenizers/llama2/tokenizer.bin"});
    }

    static Stream<String> ggufs() {
        return Json.read(fixture("tokenizer/llama_cpp_vectors.json")).get("vocabularies").properties().stream()
                .map(Map.Entry::getKey);
    }

    @ParameterizedTest
    @MethodSource("ggufs")
    void readsGgufVocabulariesAsLlamaCpp(String name) {
        PretrainedTokenizer tokenizer = name.equals("llama-bpe")
                ? load("tokenizers/llama3.2")
                : load("tokenizers/gguf/ggml-vocab-" + name + ".gguf");
        SoftAssertions softly = new SoftAssertions();
        for (JsonNode c : Json.read(fixture("tokenizer/llama_cpp_vectors.json"))
                .get("vocabularies")
                .get(name)) {
            String text = c.get("text").stringValue();
            softly.assertThat(tokenizer.encode(text)).as(text).containsExactly(ints(c.get("ids")));
        }
        softly.assertAll();
    }

    /** Those of the vectors of Hugging Face's Swift library whose vocabularies are at hand, with the tokens around a text left out. */
    @ParameterizedTest
    @CsvSource({
        "distilgpt2, tokenizers/gpt2, 0, 0",
        "openai/whisper-tiny.en, tokenizers/gpt2, 2, 1",
        "coreml-projects/Llama-2-7b-chat-coreml, tokenizers/llama2, 1, 0",
        "pcuenq/Llama-3.2-1B-Instruct-tokenizer, tokenizers/llama3.2, 1, 0",
        "bert-base-uncased, tokenizers/gguf/ggml-vocab-bert-bge.gguf, 1, 1",
        "google-bert/bert-base-uncased, tokenizers/gguf/ggml-vocab-bert-bge.gguf, 1, 1"
    })
    void encodesTheVectorsOfTheSwiftLibrary(String name, String vocabulary, int before, int behind) {
        JsonNode cases =
                Json.read(data("tokenizers/hf_swift_tokenizer_tests.json")).get(name);
        assertThat(cases).hasSizeGreaterThanOrEqualTo(18);
        PretrainedTokenizer tokenizer = load(vocabulary);
        SoftAssertions softly = new SoftAssertions();
        for (JsonNode c : cases) {
            String text = c.get("input").stringValue();
            int[] ids = ints(c.at("/encoded/input_ids"));
            softly.assertThat(tokenizer.encode(text))
                    .as(text)
                    .containsExactly(Arrays.copyOfRange(ids, before, ids.length - behind));
        }
        softly.assertAll();
    }

    static List<String> testFiles() throws IOException {
        Path directory = data("tokenizers/gguf");
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".gguf.inp"))
                    .map(name -> name.substring(0, name.length() - ".inp".length()))
                    .filter(name -> name.equals("ggml-vocab-llama-bpe.gguf") || Files.exists(directory.resolve(name)))
                    .sorted()
                    .toList();
        }
    }

    /** The {@code .inp} and {@code .out} files beside llama.cpp's vocabularies, as its own test reads them. */
    @ParameterizedTest
    @MethodSource("testFiles")
    void encodesTheTestFilesOfLlamaCpp(String name) throws IOException {
        Path directory = data("tokenizers/gguf");
        String[] texts = Files.readString(directory.resolve(name + ".inp")).split("\n__ggml_vocab_test__\n", -1);
        List<String> lines = Files.readAllLines(directory.resolve(name + ".out"));
        assertThat(lines).hasSize(46);
        PretrainedTokenizer tokenizer =
                load(name.contains("llama-bpe") ? "tokenizers/llama3.2" : "tokenizers/gguf/" + name);
        SoftAssertions softly = new SoftAssertions();
        for (int i = 0; i < lines.size(); i++) {
            int[] ids = lines.get(i).isBlank()
                    ? new int[0]
                    : Arrays.stream(lines.get(i).strip().split("\\s+"))
                            .mapToInt(Integer::parseInt)
                            .toArray();
            softly.assertThat(tokenizer.encode(texts[i])).as(texts[i]).containsExactly(ids);
        }
        softly.assertAll();
    }

    /** The number of ids of a book and their hash are those of Hugging Face's tokenizers 0.23.2. */
    @ParameterizedTest
    @CsvSource({
        "tokenizers/gpt2/tokenizer.json, 792623, -1242227134",
        "tokenizers/llama3.2/tokenizer.json, 760377, -1366775892",
        "tokenizers/smollm2/tokenizer.json, 799447, 2055351021",
        "tokenizers/llama2/tokenizer.json, 859224, -1350951985",
        "tokenizers/llama2/tokenizer.model, 859224, -1350951985"
    })
    void encodesABookAsHuggingFace(String vocabulary, int count, int hash) throws IOException {
        Path file = data(vocabulary);
        PretrainedTokenizer tokenizer = vocabulary.endsWith(".model")
                ? SentencePieceFile.read(file)
                : TokenizerJson.read(file, Json.read(file));
        String book = Files.readString(data("text/war-and-peace.txt"));
        int[] ids = tokenizer.encode(book);
        assertThat(ids).hasSize(count);
        assertThat(Arrays.hashCode(ids)).isEqualTo(hash);
        assertThat(tokenizer.decode(ids)).isEqualTo(book);
    }

    private static PretrainedTokenizer load(String path) {
        Path model = data(path);
        return (PretrainedTokenizer) Tokenizers.load(model);
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
