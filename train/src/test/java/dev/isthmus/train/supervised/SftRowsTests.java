package dev.isthmus.train.supervised;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.loop.MethodConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SftRowsTests {
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

    @TempDir
    private Path directory;

    private SftRows rows(Tokenizer tokenizer, Map<String, ?> settings, String... rows) {
        return rows(tokenizer, null, settings, rows);
    }

    private SftRows rows(
            Tokenizer tokenizer, @Nullable ChatTemplate template, Map<String, ?> settings, String... rows) {
        Map<String, Object> all = new LinkedHashMap<>(settings);
        try {
            all.put(
                    "data",
                    Files.write(directory.resolve("data.jsonl"), List.of(rows)).toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        all.put("model", "tiny");
        MethodConfig<SftConfig> config = new Sft().configure(null, all);
        RowEncoder encoder = new RowEncoder(tokenizer, template);
        return new SftRows(
                config.base(),
                config.data(),
                config.own(),
                encoder,
                config.own().maxLength(),
                Rng.of(1));
    }

    private Sequence only(Tokenizer tokenizer, String row) {
        return rows(tokenizer, Map.of(), row).row(0).getFirst();
    }

    @Test
    void onlyCompletionAndEndOfTextAreLearnedAfterAPrompt() {
        Sequence sequence = only(ending, "{\"prompt\":\"abc\",\"completion\":\"de\"}");
        assertThat(sequence.tokens()).containsExactly(1, 2, 3, 4, 5, 0);
        assertThat(sequence.learned()).containsExactly(3, 4, 5);
        assertThat(sequence.weight()).isEqualTo(1);
        assertThat(only(plain, "{\"prompt\":\"abc\",\"completion\":\"de\",\"weight\":0.5}")
                        .weight())
                .isEqualTo(0.5);
        Map<String, ?> all = Map.of("completion_only_loss", false);
        assertThat(rows(ending, all, "{\"prompt\":\"abc\",\"completion\":\"de\"}")
                        .row(0)
                        .getFirst()
                        .learned())
                .containsExactly(1, 2, 3, 4, 5);
    }

    @Test
    void ofATextAllIsLearnedThatSomethingStandsBefore() {
        assertThat(only(ending, "{\"text\":\"abc\"}").learned()).containsExactly(1, 2, 3);
        assertThat(only(ending, "{\"text\":\"abc\"}").tokens()).containsExactly(1, 2, 3, 0);
        assertThat(only(joining, "{\"text\":\"xy\"}").tokens()).containsExactly(0, 24, 25);
        assertThat(only(ending, "{\"prompt\":\"\",\"completion\":\"ab\"}").learned())
                .containsExactly(1, 2);
    }

    @Test
    void aTokenAcrossTheBoundaryIsLearned() {
        Sequence sequence = only(joining, "{\"prompt\":\"ab\",\"completion\":\"cd\"}");
        assertThat(sequence.tokens()).containsExactly(0, 1, 27, 4);
        assertThat(sequence.learned()).containsExactly(2, 3);
    }

    @Test
    void aConversationIsWhatTheTemplateWritesAndTheAssistantCanBeLearnedAlone() {
        ChatTemplate template = ChatTemplate.of(
                "{% for m in messages %}{% if m.role == 'user' %}x{{ m.content }}{% else %}y{% generation %}"
                        + "{{ m.content }}z{% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}y{% endif %}",
                Map.of());
        String messages = "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"bd\"},"
                + "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"e\"}]";
        String row = "{\"messages\":" + messages + "}";
        Sequence all = rows(plain, template, Map.of(), row).row(0).getFirst();
        assertThat(plain.decode(all.tokens())).isEqualTo("xaybdzxcyez");
        assertThat(all.learned()).hasSize(10);
        Sequence assistant = rows(plain, template, Map.of("assistant_only_loss", true), row)
                .row(0)
                .getFirst();
        assertThat(assistant.learned()).containsExactly(3, 4, 5, 9, 10);
        Sequence last = rows(
                        plain,
                        template,
                        Map.of(),
                        "{\"prompt\":[{\"role\":\"user\",\"content\":\"a\"}],\"completion\":[{\"role\":\"assistant\","
                                + "\"content\":\"bd\"}]}")
                .row(0)
                .getFirst();
        assertThat(plain.decode(last.tokens())).isEqualTo("xaybdz");
        assertThat(last.learned()).containsExactly(3, 4, 5);
        ChatTemplate silent = ChatTemplate.of("{% for m in messages %}{{ m.content }}{% endfor %}", Map.of());
        assertThatThrownBy(() -> rows(plain, silent, Map.of("assistant_only_loss", true), row))
                .hasMessageContaining("data.jsonl, line 1: assistant_only_loss needs a chat template that marks");
        assertThatThrownBy(() -> rows(plain, Map.of(), row)).hasMessageContaining("the model has no chat template");
    }

    @Test
    void longRowsLoseOneEndAndThoseWithoutACompletionAreLeftOut() {
        String[] lines = {
            "{\"prompt\":\"abc\",\"completion\":\"defg\"}",
            "{\"prompt\":\"abcdef\",\"completion\":\"g\"}",
            "{\"prompt\":\"ab\",\"completion\":\"cd\"}"
        };
        SftRows rows = rows(ending, Map.of("max_length", 5), lines);
        assertThat(rows.epoch()).isEqualTo(2);
        assertThat(List.of(
                        rows.row(0).getFirst().tokens(), rows.row(1).getFirst().tokens()))
                .containsExactlyInAnyOrder(new int[] {1, 2, 3, 4, 5}, new int[] {1, 2, 3, 4, 0});
        assertThat(rows.description()).isEqualTo("2 examples; 1 row left out as too long");
        SftRows ends = rows(ending, Map.of("max_length", 5, "truncation_mode", "keep_end"), lines);
        assertThat(ends.epoch()).isEqualTo(3);
        assertThat(IntStream.range(0, 3).mapToObj(i -> ends.row(i).getFirst().tokens()))
                .contains(new int[] {4, 5, 6, 7, 0}, new int[] {4, 5, 6, 7, 0}, new int[] {1, 2, 3, 4, 0});
        assertThatThrownBy(() -> rows(ending, Map.of("max_length", 2), "{\"prompt\":\"abc\",\"completion\":\"d\"}"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageEndingWith(
                        "data.jsonl has nothing to learn: all rows are too long for the model or for max_length");
    }

    @Test
    void packedRowsHoldEveryExampleOnceOrEveryTokenOnce() {
        String[] lines = {"{\"text\":\"abcdefgh\"}", "{\"text\":\"ij\"}", "{\"text\":\"klm\"}", "{\"text\":\"no\"}"};
        SftRows best = rows(plain, Map.of("packing", true, "max_length", 5), lines);
        assertThat(texts(best)).containsExactlyInAnyOrder(List.of("abcde"), List.of("klm", "ij"), List.of("no"));
        SftRows split = rows(plain, Map.of("packing", true, "packing_strategy", "bfd_split", "max_length", 5), lines);
        assertThat(texts(split))
                .containsExactlyInAnyOrder(List.of("abcde"), List.of("klm", "ij"), List.of("fgh", "no"));
        SftRows wrapped = rows(plain, Map.of("packing", true, "packing_strategy", "wrapped", "max_length", 5), lines);
        assertThat(texts(wrapped)).containsExactlyInAnyOrder(List.of("abcde"), List.of("fghij"), List.of("klmno"));
        assertThat(best.description()).isEqualTo("4 examples in 3 rows of 5 tokens, 80.0% full");
    }

    private List<List<String>> texts(SftRows rows) {
        return LongStream.range(0, rows.epoch())
                .mapToObj(i ->
                        rows.row(i).stream().map(s -> plain.decode(s.tokens())).toList())
                .toList();
    }

    @Test
    void everyEpochHasEveryRowOnceInAnotherOrder() {
        SftRows rows = rows(
                plain,
                Map.of(),
                LETTERS.chars()
                        .mapToObj(c -> "{\"text\":\"a" + (char) c + "\"}")
                        .toArray(String[]::new));
        List<Integer> first = LongStream.range(0, 26)
                .mapToObj(i -> rows.row(i).getFirst().tokens()[1])
                .toList();
        List<Integer> second = LongStream.range(26, 52)
                .mapToObj(i -> rows.row(i).getFirst().tokens()[1])
                .toList();
        assertThat(first)
                .doesNotHaveDuplicates()
                .isNotEqualTo(second)
                .isNotEqualTo(first.stream().sorted().toList());
        assertThat(second).containsExactlyInAnyOrderElementsOf(first);
        assertThat(rows.row(3).getFirst().tokens()[1])
                .as("an earlier place again")
                .isEqualTo(first.get(3));
        SftRows sequential =
                rows(plain, Map.of("train_sampling_strategy", "sequential"), "{\"text\":\"ab\"}", "{\"text\":\"ac\"}");
        assertThat(LongStream.range(0, 4)
                        .mapToObj(i -> sequential.row(i).getFirst().tokens()[1]))
                .containsExactly(1, 2, 1, 2);
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
                "{\"prompt\":\"a\",\"completion\":7} | \"completion\" must be a string or a conversation, found 7",
                "{\"text\":null} | \"text\" must be a string, found null",
                "{\"prompt\":[{\"role\":\"user\"}],\"completion\":\"a\"} | \"prompt\" and \"completion\" must both be strings or",
                "{\"prompt\":[{\"role\":\"user\"}],\"completion\":[]} | \"completion\" is a conversation without messages",
                "{\"messages\":[{\"content\":\"a\"}]} | \"messages[0]\" has no \"role\"",
                "{\"messages\":\"a\"} | \"messages\" must be a list, found \"a\"",
                "{\"text\":\"a\",\"weight\":\"b\"} | \"weight\" must be a number, found \"b\"",
                "{\"prompt\":\"a\",\"completion\":\"B\"} | \"completion\": the character 'B' at position 0 is not in the",
                "{\"question\":\"a\"} | has neither \"prompt\" and \"completion\" nor \"messages\" nor \"text\"; it has question",
                "{} | has neither \"prompt\" and \"completion\" nor \"messages\" nor \"text\"; it has nothing",
            })
    void wrongRowsAreNamedByFileLineAndField(String row, String problem) {
        assertThatThrownBy(() -> rows(plain, Map.of(), "{\"text\":\"ab\"}", "", row))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("data.jsonl, line 3: " + problem)
                .hasMessageNotContaining("Source");
    }

    @Test
    void otherFormatsOfDatasetsAreToldByHowTheyBegin() {
        assertThatThrownBy(() -> rows(plain, Map.of(), "[", "{\"text\":\"ab\"}", "]"))
                .hasMessageContaining("data.jsonl, line 1: begins a JSON array");
        assertThatThrownBy(() -> rows(plain, Map.of(), "PAR1\u0015"))
                .hasMessageContaining("data.jsonl, line 1: is of a Parquet file");
        String row = "{\"text\":\"ab\"}";
        assertThat(rows(plain, Map.of(), "\uFEFF" + row).row(0).getFirst().tokens())
                .as("after a byte order mark")
                .isEqualTo(rows(plain, Map.of(), row).row(0).getFirst().tokens());
    }
}
