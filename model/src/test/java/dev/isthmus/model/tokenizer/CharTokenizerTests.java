package dev.isthmus.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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
        assertThatThrownBy(() -> Tokenizers.load(directory)).hasMessageContaining("tokenizer.json");
        Files.writeString(directory.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\"}}");
        assertThatThrownBy(() -> Tokenizers.load(directory)).hasMessageContaining("single characters");
    }
}
