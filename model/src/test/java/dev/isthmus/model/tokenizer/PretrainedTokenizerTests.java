package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;

import dev.isthmus.model.io.Json;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
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

    private static PretrainedTokenizer load(String path) {
        Path model = data(path);
        return (PretrainedTokenizer) Tokenizers.load(model);
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
