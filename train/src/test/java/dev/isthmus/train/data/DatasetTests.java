package dev.isthmus.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.data.Packing.Piece;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DatasetTests {
    @TempDir
    private Path directory;

    private final RowEncoder encoder = new RowEncoder(
            new CharTokenizer("abcdefgh xyz", false),
            ChatTemplate.of(
                    "{% for m in messages %}{{ 'x' if m.role == 'user' else 'y' }}{{ m.content }}{% endfor %}"
                            + "{% if add_generation_prompt %}y{% endif %}",
                    Map.of()));

    private String file(String name, String text) throws IOException {
        return Files.writeString(directory.resolve(name), text).toString();
    }

    private static List<Integer> number(Row row) {
        return row.has("n") ? List.of(row.field("n").intValue()) : List.of();
    }

    @Test
    void linesOfAFileAreFoundWhereverTheyLieAlsoCompressed() throws IOException {
        String text = "\n{\"n\":0}\r\n \t\n" + "{\"n\":1,\"s\":\"\u00e4" + "z".repeat(200_000) + "\"}\n{\"n\":2}";
        String plain = file("a.jsonl", text);
        Path packed = directory.resolve("a.jsonl.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(packed))) {
            out.write(Files.readAllBytes(Path.of(plain)));
        }
        for (String name : List.of(plain, packed.toString())) {
            JsonLinesFile lines = new JsonLinesFile(name);
            assertThat(lines.rows()).isEqualTo(3);
            assertThat(List.of(
                            lines.row(2).line(),
                            lines.row(0).line(),
                            lines.row(1).line()))
                    .containsExactly(5, 2, 4);
            assertThat(lines.row(1).string("s")).hasSize(200_001).startsWith("\u00e4z");
            assertThat(lines.crc32c()).isEqualTo(new JsonLinesFile(plain).crc32c());
        }
        assertThatThrownBy(() -> new JsonLinesFile(file("b.gz", "{}")))
                .isInstanceOf(IsthmusException.class)
                .hasMessageEndingWith("it is not compressed by gzip, as its name says");
        assertThatThrownBy(() -> new JsonLinesFile(file("b.jsonl", " \n"))).hasMessageEndingWith("b.jsonl is empty");
        assertThatThrownBy(() -> new JsonLinesFile("none.jsonl")).hasMessageEndingWith("there is no such file");
    }

    @Test
    void rowsThatDoNotFitIntoMemoryAreReadAgain() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 5000; i++) {
            text.append(i % 3 == 2 ? "{}\n" : "{\"n\":" + i + "}\n");
        }
        String name = file("a.jsonl", text.toString()) + "," + file("b.jsonl", "{\"n\":-1}");
        Dataset<Integer> kept = Dataset.read(name, DatasetTests::number, n -> 1, 10_000);
        Dataset<Integer> again = Dataset.read(name, DatasetTests::number, n -> 1, 100);
        assertThat(again.size()).isEqualTo(3335);
        assertThat(again.sizes()).containsExactly(3334, 1);
        assertThat(again.description()).startsWith("3,335 examples; 1,666 rows left out");
        assertThat(IntStream.range(0, again.size()).map(again::get))
                .containsExactlyElementsOf(
                        IntStream.range(0, kept.size()).map(kept::get).boxed().toList())
                .startsWith(0, 1, 3)
                .endsWith(4999, -1);
    }

    @ParameterizedTest
    @EnumSource(Packing.class)
    void everyTokenIsInOneRowAndNoRowIsTooLong(Packing packing) {
        int[] lengths =
                Rng.of(3).ints(400, 1, packing == Packing.WRAPPED ? 300 : 65).toArray();
        List<List<Piece>> rows = packing.pack(lengths, 64);
        int[] seen = new int[lengths.length];
        for (List<Piece> row : rows) {
            assertThat(row.stream().mapToInt(Piece::length).sum()).isLessThanOrEqualTo(64);
            row.forEach(piece -> seen[piece.example()] += piece.length());
        }
        assertThat(seen).isEqualTo(lengths);
        double full = (double) Arrays.stream(lengths).sum() / (64.0 * rows.size());
        assertThat(full).isGreaterThan(0.95);
        assertThat(packing.pack(lengths, 64)).isEqualTo(rows);
    }

    @Test
    void bestFitTakesTheRowWithTheLeastRoom() {
        List<List<Piece>> rows = Packing.BFD.pack(new int[] {3, 7, 6, 4}, 10);
        assertThat(rows.stream().map(row -> row.stream().map(Piece::example).toList()))
                .containsExactly(List.of(1, 0), List.of(2, 3));
    }

    @Test
    void filesAreMixedByTheirSharesAndEachIsReadInItsOwnOrder() {
        DataOrder order = new MixedOrder(new int[] {10, 1000}, List.of(3.0, 1.0), Rng.of(5));
        List<Integer> first = IntStream.range(0, 4096).mapToObj(order::at).toList();
        assertThat(first.stream().filter(i -> i < 10).count()).isEqualTo(3072);
        List<Integer> large = first.stream().filter(i -> i >= 10).toList();
        assertThat(large.subList(0, 1000)).doesNotHaveDuplicates();
        DataOrder again = new MixedOrder(new int[] {10, 1000}, List.of(3.0, 1.0), Rng.of(5));
        assertThat(again.at(4000)).as("any place, without those before it").isEqualTo(first.get(4000));
        assertThatThrownBy(() -> new MixedOrder(new int[] {1, 2}, List.of(1.0), Rng.of(5)))
                .hasMessage(
                        "data_probabilities must be one positive number for each of the 2 files of data, found [1.0]");
    }

    private List<String> pair(String row) throws IOException {
        PreferenceRows.Pair pair = PreferenceRows.read(new JsonLinesFile(file("p.jsonl", row)).row(0), encoder);
        List<String> texts = new ArrayList<>();
        for (RowEncoder.Prompted each : List.of(pair.chosen(), pair.rejected())) {
            texts.add(encoder.tokenizer().decode(Arrays.copyOf(each.tokens(), each.length())));
            texts.add(
                    encoder.tokenizer().decode(Arrays.copyOfRange(each.tokens(), each.length(), each.tokens().length)));
        }
        return texts;
    }

    @Test
    void thePromptOfAPairIsGivenOrItsCommonBeginning() throws IOException {
        assertThat(pair("{\"prompt\":\"ab\",\"chosen\":\"c\",\"rejected\":\"d\"}"))
                .containsExactly("ab", "c", "ab", "d");
        assertThat(pair("{\"chosen\":\"ab cd\",\"rejected\":\"ab ef\"}")).containsExactly("ab", " cd", "ab", " ef");
        assertThat(pair("{\"chosen\":\"abc\",\"rejected\":\"abcd\"}")).containsExactly("ab", "c", "ab", "cd");
        String user = "{\"role\":\"user\",\"content\":\"a\"}";
        String good = "[" + user + ",{\"role\":\"assistant\",\"content\":\"b\"}]";
        assertThat(pair("{\"chosen\":" + good + ",\"rejected\":" + good.replace("\"b\"", "\"c\"") + "}"))
                .containsExactly("xay", "b", "xay", "c");
        assertThatThrownBy(() -> pair("{\"chosen\":\"a\"}"))
                .hasMessageEndingWith("p.jsonl, line 1: has no \"rejected\"");
        assertThatThrownBy(() -> pair("{\"chosen\":\"a\",\"rejected\":[]}"))
                .hasMessageEndingWith("\"chosen\" and \"rejected\" must both be strings or both be conversations");
        assertThatThrownBy(() -> pair("{\"chosen\":\"\",\"rejected\":\"a\"}")).hasMessageContaining("is empty");
    }
}
