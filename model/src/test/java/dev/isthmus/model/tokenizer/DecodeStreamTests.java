package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DecodeStreamTests {
    private static final String TEXT = " Hello, wörld! 東京 \uD83D\uDE00\uD83D\uDC69\u200D\uD83D\uDCBB  x\n\ty";

    @Test
    void neverSplitsACharacter() {
        check(new BpeTrainer(List.of("<|endoftext|>")).train(257).tokenizer());
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "llama2", "llama3.2", "smollm2"})
    @Tag("fixture")
    void givesWhatDecodeGives(String name) {
        check(Tokenizers.load(data("tokenizers/" + name)));
    }

    private static void check(Tokenizer tokenizer) {
        DecodeStream stream = new DecodeStream(tokenizer, true);
        StringBuilder text = new StringBuilder();
        int[] ids = tokenizer.encode(TEXT);
        for (int id : ids) {
            String part = stream.step(id);
            assertThat(part).doesNotContain("\uFFFD");
            assertThat(part.isEmpty() || !Character.isHighSurrogate(part.charAt(part.length() - 1)))
                    .isTrue();
            text.append(part);
        }
        assertThat(text.append(stream.finish()).toString()).isEqualTo(tokenizer.decode(ids));
    }
}
