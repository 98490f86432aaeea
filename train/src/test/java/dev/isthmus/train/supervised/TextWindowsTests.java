package dev.isthmus.train.supervised;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.Rng;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TextWindowsTests {
    @Test
    void windowsComeFromTheFirstNineTenthsAndValidationFromTheRest() {
        // Token i of the text is i: places can be read off.
        String text = IntStream.range(0, 1000)
                .mapToObj(i -> Character.toString('\u4e00' + i))
                .reduce("", String::concat);
        Tokenizer places = new CharTokenizer(text, false);
        TextWindows windows = new TextWindows(new DataFile("data.txt", text, ""), null, places, 16, Rng.of(3));
        Set<Integer> starts = new HashSet<>();
        for (long place = 0; place < 5000; place++) {
            int[] tokens = windows.example(place).tokens();
            assertThat(tokens).hasSize(17);
            assertThat(tokens[16]).isEqualTo(tokens[0] + 16).isLessThan(900);
            starts.add(tokens[0]);
        }
        assertThat(starts).hasSizeGreaterThan(870).contains(0, 883);
        assertThat(windows.example(77).tokens()).isEqualTo(windows.example(77).tokens());
        assertThat(windows.example(0).promptLength()).isEqualTo(1);
        int[] held = windows.validation().stream()
                .flatMapToInt(e -> Arrays.stream(e.tokens()))
                .toArray();
        assertThat(held).doesNotHaveDuplicates().contains(900, 999).hasSize(5 * 17);
        assertThat(Arrays.stream(held).min()).hasValue(900);

        TextWindows given = new TextWindows(
                new DataFile("data.txt", text, ""),
                new DataFile("held.txt", text.substring(7, 17), ""),
                places,
                16,
                Rng.of(3));
        assertThat(given.validation())
                .singleElement()
                .satisfies(e -> assertThat(e.tokens()).startsWith(7).hasSize(10));
        assertThatThrownBy(() -> new TextWindows(new DataFile("data.txt", text, ""), null, places, 900, Rng.of(3)))
                .hasMessageStartingWith("data.txt has 900 tokens to learn from; a window of max_length 900 needs 901");
    }
}
