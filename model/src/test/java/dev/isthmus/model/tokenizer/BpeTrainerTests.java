package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class BpeTrainerTests {
    private static final String END = "<|endoftext|>";

    @TempDir
    Path dir;

    @Test
    @Tag("fixture")
    void learnsTheMergesOfTheReference() throws IOException {
        Path reference = data("tokenizers/bpe_train_reference");
        ByteLevelVocabulary learned = new BpeTrainer(List.of(END))
                .add(Files.readString(reference.resolve("corpus.en")))
                .train(500);
        assertThat(learned.merges()).isEqualTo(Files.readAllLines(reference.resolve("merges.txt")));
        for (Map.Entry<String, JsonNode> token :
                Json.read(reference.resolve("vocab.json")).properties()) {
            assertThat(learned.ids())
                    .containsEntry(token.getKey(), token.getValue().intValue());
        }
        assertThat(learned.ids()).hasSize(500);
    }

    @Test
    void joinsTheMostFrequentPairAndTheGreatestOfEquals() {
        ByteLevelVocabulary learned =
                new BpeTrainer(List.of()).add("ab ab cd cd abab").train(259);
        // "ab" stands there four times, all other pairs fewer.
        assertThat(learned.merges()).startsWith("a b").hasSize(3);
        assertThat(new BpeTrainer(List.of()).add("xy zw").train(257).merges()).containsExactly("z w");
    }

    @Test
    void specialTokensBelongToNoWord() {
        ByteLevelVocabulary learned = new BpeTrainer(List.of(END))
                .add("a" + END + "a" + END + "aa aa")
                .train(300);
        assertThat(learned.merges()).containsExactly("a a", "\u0120 aa");
        PretrainedTokenizer tokenizer = learned.tokenizer();
        assertThat(tokenizer.encode("aa aa" + END)).containsExactly(257, 258, 0);
        assertThat(tokenizer.decode(tokenizer.encode("é\uD83D\uDE00" + END + " 東")))
                .isEqualTo("é\uD83D\uDE00 東");
        assertThatThrownBy(() -> new BpeTrainer(List.of(END)).train(256))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("no room");
    }

    @Test
    @Tag("fixture")
    void savesWhatIsRead() throws IOException {
        String text = Files.readString(data("text/tinyshakespeare.txt"));
        ByteLevelVocabulary learned = new BpeTrainer(List.of(END)).add(text).train(1000);
        learned.save(dir);
        Tokenizer read = Tokenizers.load(dir);
        int[] ids = learned.tokenizer().encode(text);
        assertThat(read.encode(text)).isEqualTo(ids);
        assertThat(read.decode(ids)).isEqualTo(text);
        assertThat(read.eosTokenId()).hasValue(0);
        assertThat(ids.length).isLessThan(text.length() * 45 / 100);
    }
}
