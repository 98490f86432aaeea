package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** A GGUF file's tokenizer as tokenizer.json. */
class GgufTokenizerJsonTests {
    @TempDir
    private Path directory;

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"gpt-2", "llama-spm", "phi-3"})
    void givesTheSameIds(String name) throws IOException {
        Path gguf = data("tokenizers/gguf").resolve("ggml-vocab-" + name + ".gguf");
        Tokenizer inside = Tokenizers.load(gguf);
        Tokenizers.copy(gguf, directory);
        Tokenizer beside = Tokenizers.load(directory);
        assertThat(beside.vocabSize()).isEqualTo(inside.vocabSize());
        assertThat(beside.bosTokenId()).isEqualTo(inside.bosTokenId());
        assertThat(beside.eosTokenId()).isEqualTo(inside.eosTokenId());
        SoftAssertions softly = new SoftAssertions();
        List<String> texts = new ArrayList<>();
        for (JsonNode c : Json.read(fixture("tokenizer/llama_cpp_vectors.json"))
                .get("vocabularies")
                .get(name)) {
            texts.add(c.get("text").stringValue());
        }
        texts.add(Files.readString(data("text/war-and-peace.txt")).substring(0, 400_000));
        texts.add("<s>a</s> b<|endoftext|> <unk>c<|user|>  d");
        for (String text : texts) {
            int[] ids = inside.encode(text, true);
            softly.assertThat(beside.encode(text, true)).as(text).containsExactly(ids);
            softly.assertThat(beside.decode(ids, false)).isEqualTo(inside.decode(ids, false));
            softly.assertThat(beside.decode(ids, true)).isEqualTo(inside.decode(ids, true));
        }
        softly.assertAll();
    }

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"gguf/ggml-vocab-gpt-2.gguf", "gguf/ggml-vocab-llama-spm.gguf", "smollm2", "llama3.2"})
    void goesIntoGgufAndOutAgain(String name) throws IOException {
        Path model = data("tokenizers").resolve(name);
        if (name.endsWith(".gguf")) {
            Tokenizers.copy(model, directory);
        }
        Tokenizer original = Tokenizers.load(model);
        Path gguf = directory.resolve("again.gguf");
        Gguf.write(gguf, GgufMetadata.of(name.endsWith(".gguf") ? directory : model, original.vocabSize()), List.of());
        Path back = Files.createDirectory(directory.resolve("back"));
        Tokenizers.copy(gguf, back);
        // From one GGUF file to the next nothing is made anew.
        assertThat(GgufMetadata.of(gguf, 0)).containsKeys("tokenizer.ggml.tokens", "tokenizer.ggml.model");
        String text = Files.readString(data("text/war-and-peace.txt")).substring(0, 200_000) + "  1234 \n x<|im_end|>y";
        for (Path to : List.of(gguf, back)) {
            assertThat(Tokenizers.load(to).encode(text, true))
                    .as(to.toString())
                    .containsExactly(original.encode(text, true));
        }
    }

    /** A small vocabulary of SentencePiece. */
    private Path gguf(Map<String, Object> more) {
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("tokenizer.ggml.model", "llama");
        metadata.put(
                "tokenizer.ggml.tokens",
                List.of("<unk>", "<s>", "</s>", "<0x41>", "▁", "a", "b", "ab", "▁a", "▁ab", "aab", "<sep>"));
        metadata.put("tokenizer.ggml.token_type", List.of(2L, 3L, 3L, 6L, 1L, 1L, 1L, 1L, 1L, 1L, 1L, 4L));
        metadata.put(
                "tokenizer.ggml.scores", List.of(0.0, 0.0, 0.0, 0.0, -9.0, -8.0, -7.0, -1.0, -3.0, -4.0, -2.0, 0.0));
        metadata.put("tokenizer.ggml.bos_token_id", 1L);
        metadata.put("tokenizer.ggml.eos_token_id", 2L);
        metadata.putAll(more);
        Path file = directory.resolve("model.gguf");
        Gguf.write(file, metadata, List.of());
        return file;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "tokenizer.ggml.add_space_prefix=false",
                "tokenizer.ggml.remove_extra_whitespaces=true",
                "tokenizer.ggml.add_eos_token=true",
                "tokenizer.ggml.add_bos_token=false"
            })
    void saysWhatTheMetadataSay(String setting) {
        String[] parts = setting.split("=");
        for (String kind : List.of("llama", "t5")) {
            Map<String, Object> more = new HashMap<>(Map.of("tokenizer.ggml.model", kind));
            more.put(parts[0], Boolean.valueOf(parts[1]));
            Path file = gguf(more);
            Tokenizers.copy(file, directory);
            Tokenizer inside = Tokenizers.load(file);
            Tokenizer beside = Tokenizers.load(directory);
            for (String text : List.of("", "ab", "  ab  aab a", "AabA c ab", "ab<sep>aab</s>b", "\u00e9 x")) {
                assertThat(beside.encode(text, true)).as(kind + " " + text).isEqualTo(inside.encode(text, true));
                assertThat(beside.decode(inside.encode(text))).isEqualTo(inside.decode(inside.encode(text)));
            }
        }
    }

    @Test
    void theChatTemplateGoesAlong() {
        Path file = gguf(Map.of("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"));
        Tokenizers.copy(file, directory);
        assertThat(ChatTemplate.load(directory)
                        .orElseThrow()
                        .render(List.of(Map.of("role", "user", "content", "ab")), true, Map.of())
                        .text())
                .isEqualTo("<s>ab</s>");
    }

    @Test
    void whatCannotBeSaidIsToldAndNothingIsWrittenForNothing() {
        Path bert = gguf(Map.of("tokenizer.ggml.model", "bert"));
        assertThatThrownBy(() -> Tokenizers.copy(bert, directory))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("the kind 'bert' cannot be written");
        Path none = directory.resolve("none.gguf");
        Gguf.write(none, Map.of("general.architecture", "llama"), List.of());
        Tokenizers.copy(none, directory);
        assertThat(directory.resolve("tokenizer.json")).doesNotExist();
        try (Arena arena = Arena.ofConfined()) {
            assertThat(Gguf.open(none, arena).tensors()).isEmpty();
        }
    }
}
