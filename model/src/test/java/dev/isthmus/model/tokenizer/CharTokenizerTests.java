package dev.isthmus.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class CharTokenizerTests {
    @Test
    void charactersAreNumberedInOrderBehindTheEndOfText() {
        CharTokenizer tokenizer = new CharTokenizer("b+a=b", true);
        assertThat(tokenizer.vocabSize()).isEqualTo(5);
        assertThat(tokenizer.encode("a+b=")).containsExactly(3, 1, 4, 2);
        assertThat(tokenizer.decode(new int[] {3, 1, 4, 0})).isEqualTo("a+b");
        assertThat(tokenizer.eosTokenId()).hasValue(0);
    }

    @Test
    void theFileGivesTheSameTokenizer(@TempDir Path directory) {
        CharTokenizer tokenizer = new CharTokenizer("\n é\uD83D\uDE00\"\\", true);
        tokenizer.save(directory);
        Tokenizer loaded = Tokenizers.load(directory);
        String text = "\uD83D\uDE00 \"é\"\n\\";
        assertThat(loaded.encode(text)).isEqualTo(tokenizer.encode(text));
        assertThat(loaded.decode(loaded.encode(text))).isEqualTo(text);
        assertThat(loaded.vocabSize()).isEqualTo(tokenizer.vocabSize());
    }

    @Test
    void anUnknownCharacterIsNamedWithItsPosition() {
        assertThatThrownBy(() -> new CharTokenizer("abc", false).encode("ab?"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("'?'")
                .hasMessageContaining("position 2");
    }

    @Test
    void otherFilesAreRefused(@TempDir Path directory) throws IOException {
        assertThatThrownBy(() -> Tokenizers.load(directory))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("tokenizer.json");
        Files.createFile(directory.resolve("merges.txt"));
        assertThatThrownBy(() -> Tokenizers.load(directory)).hasMessageContaining("found [merges.txt]");
        Files.writeString(directory.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\"}}");
        assertThatThrownBy(() -> Tokenizers.load(directory))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("no vocab");
        Files.writeString(directory.resolve("tokenizer.json"), "{\"model\": {\"type\": \"Words\"}}");
        assertThatThrownBy(() -> Tokenizers.load(directory))
                .hasMessageContaining("a model of the type 'Words' is not known");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'a': 0, 'b': 0}",
                "{'a': 0, 'b': 2}",
                "{'ab': 0}",
                "{'<eos>': 1, 'a': 0}",
                "{'a': -1}",
                "{'a': 'b'}"
            })
    void aVocabularyMustNumberCharacters(String vocab) {
        assertThatThrownBy(() -> CharTokenizer.of(Path.of("tokenizer.json"), tokenizer(vocab)))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageStartingWith("tokenizer.json: the token '");
    }

    @Test
    void aVocabularyMayHaveItsOwnOrder() {
        CharTokenizer tokenizer =
                CharTokenizer.of(Path.of("tokenizer.json"), tokenizer("{'b': 1, 'a': 2, '<eos>': 0}"));
        assertThat(tokenizer.encode("ab")).containsExactly(2, 1);
        assertThat(tokenizer.decode(new int[] {0, 1, 2})).isEqualTo("ba");
    }

    private static JsonNode tokenizer(String vocab) {
        return JsonMapper.shared()
                .readTree("{\"pre_tokenizer\": {\"pattern\": {\"Regex\": \"[\\\\s\\\\S]\"}},"
                        + " \"model\": {\"type\": \"WordLevel\", \"vocab\": " + vocab.replace('\'', '"') + "}}");
    }

    @Test
    void survivesDamage(@TempDir Path directory) throws IOException {
        new CharTokenizer("0123456789+= abc", true).save(directory);
        Path file = directory.resolve("tokenizer.json");
        byte[] good = Files.readAllBytes(file);
        Mutations.assertSurvives("tokenizer.json of characters", good, good.length, bytes -> {
            Tokenizer tokenizer = CharTokenizer.of(file, Json.parse(file, bytes));
            for (int id = 0; id < tokenizer.vocabSize(); id++) {
                tokenizer.decode(new int[] {id});
            }
        });
    }
}
