package dev.isthmus.train.supervised;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Example;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExampleSourceTests {
    private static final String LETTERS = "abcdefghijklmnopqrstuvwxyz";

    private final Tokenizer plain = new CharTokenizer(LETTERS, false);
    private final Tokenizer ending = new CharTokenizer(LETTERS, true);

    /** Joins "bc" into one token, and begins texts with a token of its own. */
    private final Tokenizer joining = new Tokenizer() {
        @Override
        public int[] encode(String text) {
            return text.replace("bc", "C")
                    .chars()
                    .map(c -> c == 'C' ? 27 : c - 'a' + 1)
                    .toArray();
        }

        @Override
        public String decode(int[] ids, boolean skipSpecialTokens) {
            throw new UnsupportedOperationException();
        }

        @Override
        public int vocabSize() {
            return 28;
        }

        @Override
        public OptionalInt bosTokenId() {
            return OptionalInt.of(0);
        }

        @Override
        public OptionalInt eosTokenId() {
            return OptionalInt.empty();
        }
    };

    private static DataFile file(String text) {
        return new DataFile("data.jsonl", text, "");
    }

    private static DatasetRows rows(Tokenizer tokenizer, int length, String... rows) {
        return new DatasetRows(file(String.join("\n", rows)), null, tokenizer, length, Rng.of(1));
    }

    private static Example only(Tokenizer tokenizer, String row) {
        return rows(tokenizer, 100, row).example(0);
    }

    @Test
    void onlyCompletionAndEndOfTextAreLearnedAfterAPrompt() {
        Example example = only(ending, "{\"prompt\":\"abc\",\"completion\":\"de\"}");
        assertThat(example.tokens()).containsExactly(1, 2, 3, 4, 5, 0);
        assertThat(example.promptLength()).isEqualTo(3);
        assertThat(only(plain, "{\"prompt\":\"abc\",\"completion\":\"de\"}").tokens())
                .containsExactly(0, 1, 2, 3, 4);
    }

    @Test
    void ofATextAllIsLearnedThatSomethingStandsBefore() {
        assertThat(only(ending, "{\"text\":\"abc\"}").promptLength()).isEqualTo(1);
        assertThat(only(ending, "{\"text\":\"abc\"}").tokens()).containsExactly(1, 2, 3, 0);
        assertThat(only(joining, "{\"text\":\"xy\"}").tokens()).containsExactly(0, 24, 25);
        assertThat(only(ending, "{\"prompt\":\"\",\"completion\":\"ab\"}").promptLength())
                .isEqualTo(1);
    }

    @Test
    void aTokenAcrossTheBoundaryIsLearned() {
        Example example = only(joining, "{\"prompt\":\"ab\",\"completion\":\"cd\"}");
        assertThat(example.tokens()).containsExactly(0, 1, 27, 4);
        assertThat(example.promptLength()).isEqualTo(2);
    }

    @Test
    void longRowsLoseTheirEndAndThoseWithoutACompletionAreLeftOut() {
        DatasetRows rows = rows(
                ending,
                5,
                "{\"prompt\":\"abc\",\"completion\":\"defg\"}",
                "{\"prompt\":\"abcdef\",\"completion\":\"g\"}",
                "{\"prompt\":\"ab\",\"completion\":\"cd\"}");
        assertThat(rows.epoch()).isEqualTo(2);
        assertThat(List.of(rows.example(0).tokens(), rows.example(1).tokens()))
                .containsExactlyInAnyOrder(new int[] {1, 2, 3, 4, 5}, new int[] {1, 2, 3, 4, 0});
        assertThat(rows.description())
                .isEqualTo("2 rows to learn from, 1 cut to 5 tokens; 1 left out, with nothing to learn");
        assertThatThrownBy(() -> rows(ending, 2, "{\"prompt\":\"abc\",\"completion\":\"d\"}"))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("data.jsonl has nothing to learn: no completion begins within max_length 2");
    }

    @Test
    void everyEpochHasEveryRowOnceInAnotherOrder() {
        DatasetRows rows = rows(
                plain,
                9,
                LETTERS.chars()
                        .mapToObj(c -> "{\"text\":\"a" + (char) c + "\"}")
                        .toArray(String[]::new));
        List<Integer> first = LongStream.range(0, 26)
                .mapToObj(i -> rows.example(i).tokens()[1])
                .toList();
        List<Integer> second = LongStream.range(26, 52)
                .mapToObj(i -> rows.example(i).tokens()[1])
                .toList();
        assertThat(first)
                .doesNotHaveDuplicates()
                .isNotEqualTo(second)
                .isNotEqualTo(first.stream().sorted().toList());
        assertThat(second).containsExactlyInAnyOrderElementsOf(first);
        assertThat(rows.example(3).tokens()[1]).as("an earlier place again").isEqualTo(first.get(3));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "{\"prompt\":\"a\" | is not JSON: Unexpected end-of-input",
                "[1] | is not a JSON object",
                "{\"prompt\":\"a\"} | has no \"completion\"",
                "{\"completion\":\"a\"} | has no \"prompt\"",
                "{\"prompt\":\"a\",\"completion\":7} | \"completion\" must be a string, found 7",
                "{\"text\":null} | \"text\" must be a string, found null",
                "{\"prompt\":[{\"role\":\"user\"}],\"completion\":[]} | \"prompt\" must be a string, found [{\"role\":\"user\"}] (conv",
                "{\"prompt\":\"a\",\"completion\":\"B\"} | \"completion\": the character 'B' at position 0 is not in the",
                "{\"question\":\"a\"} | has neither \"prompt\" and \"completion\" nor \"text\"; it has question",
                "{} | has neither \"prompt\" and \"completion\" nor \"text\"; it has nothing",
            })
    void wrongRowsAreNamedByFileLineAndField(String row, String problem) {
        assertThatThrownBy(() -> rows(plain, 9, "{\"text\":\"ab\"}", "", row))
                .isInstanceOf(IsthmusException.class)
                .hasMessageStartingWith("data.jsonl, line 3: " + problem);
    }

    @Test
    void windowsComeFromTheFirstNineTenthsAndValidationFromTheRest() {
        // Token i of the text is i: places can be read off.
        String text = IntStream.range(0, 1000)
                .mapToObj(i -> Character.toString('\u4e00' + i))
                .reduce("", String::concat);
        Tokenizer places = new CharTokenizer(text, false);
        TextWindows windows = new TextWindows(file(text), null, places, 16, Rng.of(3));
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

        TextWindows given = new TextWindows(file(text), file(text.substring(7, 17)), places, 16, Rng.of(3));
        assertThat(given.validation())
                .singleElement()
                .satisfies(e -> assertThat(e.tokens()).startsWith(7).hasSize(10));
        assertThatThrownBy(() -> new TextWindows(file(text), null, places, 900, Rng.of(3)))
                .hasMessageStartingWith(
                        "data.jsonl has 900 tokens to learn from; a window of max_length 900 needs 901");
    }
}
