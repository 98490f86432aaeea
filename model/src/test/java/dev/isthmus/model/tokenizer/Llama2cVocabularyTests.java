package dev.isthmus.model.tokenizer;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.io.Exporter;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class Llama2cVocabularyTests {
    @TempDir
    Path dir;

    static Stream<JsonNode> runs() {
        return Json.read(fixture("models/stories260K/reference.json"))
                .get("runs")
                .valueStream();
    }

    @ParameterizedTest
    @MethodSource("runs")
    @Tag("fixture")
    void encodesAndDecodesAsLlama2c(JsonNode run) {
        Tokenizer tokenizer = Tokenizers.load(data("models/stories260K"));
        int[] seen = run.get("input_ids_seen")
                .valueStream()
                .mapToInt(JsonNode::asInt)
                .toArray();
        int[] prompt = tokenizer.encode(run.get("prompt").stringValue());
        assertThat(IntStream.concat(IntStream.of(1), IntStream.of(prompt)))
                .containsExactlyElementsOf(
                        IntStream.of(seen).limit(prompt.length + 1).boxed().toList());

        // run.c does not print the bytes of characters beyond ASCII, nor the last token before it stops.
        String text = tokenizer.decode(seen).replaceAll("[ë東京]", "");
        assertThat(run.get("greedy_text_utf8").stringValue()).startsWith(text);
        assertThat(tokenizer.decode(prompt)).isEqualTo(run.get("prompt").stringValue());
    }

    @Test
    @Tag("fixture")
    void joinsTheBestPairFirst() throws IOException {
        // The definition, in quadratic time: scan all neighbors, join the first best pair, begin again.
        PretrainedTokenizer tokenizer = (PretrainedTokenizer) Tokenizers.load(data("models/stories260K"));
        StringBuilder known = new StringBuilder();
        Files.readString(data("text/tinyshakespeare.txt"))
                .codePoints()
                .filter(c -> tokenizer.model().vocabulary().id(Character.toString(c)) >= 0)
                .limit(3000)
                .forEach(known::appendCodePoint);
        String text = known.toString();
        assertThat(tokenizer.encode(text)).isEqualTo(joined(tokenizer, " " + text));
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
    }

    @Test
    @Tag("fixture")
    void encodesALongTextQuickly() throws IOException {
        Tokenizer tokenizer = Tokenizers.load(data("models/stories260K"));
        String text = Files.readString(data("text/tinyshakespeare.txt"));
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
        String same = "a".repeat(300_000);
        assertThat(tokenizer.decode(tokenizer.encode(same))).isEqualTo(same);
    }

    @Test
    @Tag("fixture")
    void goesIntoGguf() throws IOException {
        Path file = dir.resolve("stories.gguf");
        Exporter.export(data("models/stories260K"), null, file, Exporter.Format.GGUF, "f32");
        Tokenizer tokenizer = Tokenizers.load(data("models/stories260K"));
        Tokenizer carried = Tokenizers.load(file);
        String text = Files.readString(data("text/tinyshakespeare.txt")).substring(0, 20_000) + "  é \n東京\t";
        int[] ids = tokenizer.encode(text, true);
        assertThat(carried.encode(text, true)).isEqualTo(ids);
        assertThat(carried.decode(ids)).isEqualTo(tokenizer.decode(ids)).isEqualTo(text);
        assertThat(carried.bosTokenId()).hasValue(1);
        assertThat(carried.eosTokenId()).hasValue(2);
        Path again = dir.resolve("again.gguf");
        Exporter.export(file, null, again, Exporter.Format.GGUF, "f32");
        assertThat(Files.mismatch(file, again)).isEqualTo(-1);
        Map<String, Object> larger = GgufMetadata.of(data("models/stories260K"), 514);
        assertThat((List<?>) larger.get("tokenizer.ggml.tokens"))
                .hasSize(514)
                .last()
                .isEqualTo("[PAD513]");
        assertThat((List<?>) larger.get("tokenizer.ggml.scores")).hasSize(514);
        assertThatThrownBy(() -> GgufMetadata.of(data("models/stories260K"), 511))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("has the id 511, the model 511 rows for tokens");
    }

    @Test
    void smallVocabulary() {
        List<String> pieces =
                List.of("<unk>", "\n<s>\n", "\n</s>\n", "<0xC3>", "<0xA9>", " ", "a", "b", "ab", " a", "bb");
        PretrainedTokenizer tokenizer = Llama2cVocabulary.tokenizer(
                Llama2cVocabulary.pieces(dir, pieces, new float[] {0, 0, 0, 0, 0, -9, -8, -7, -2, -3, -2}));
        assertThat(tokenizer.encode("")).isEmpty();
        assertThat(tokenizer.encode("a")).containsExactly(9);
        assertThat(tokenizer.encode("abb")).containsExactly(5, 8, 7); // " a b b": "ab" and "bb" tie, the left one wins
        assertThat(tokenizer.encode("é")).containsExactly(5, 3, 4);
        assertThat(tokenizer.encode("z")).containsExactly(5, 0);
        assertThat(tokenizer.decode(new int[] {1, 5, 3, 4, 8, 2})).isEqualTo("éab");
        assertThat(tokenizer.decode(new int[] {6, 11, 7})).isEqualTo("ab");
    }

    @Test
    void saysWhatIsWrongWithAFile() throws IOException {
        byte[] good = file("<unk>", "<s>", "</s>", " ", "ab");
        assertThat(read(good).vocabSize()).isEqualTo(5);
        assertThatThrownBy(() -> read(Arrays.copyOf(good, good.length - 1)))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("truncated: the piece of the token 4");
        byte[] endless = good.clone();
        endless[8] = 100;
        assertThatThrownBy(() -> read(endless)).hasMessageContaining("the piece of the token 0 has the score 0.0");
        byte[] notText = good.clone();
        notText[12] = (byte) 0xff;
        assertThatThrownBy(() -> read(notText)).hasMessageContaining("not valid UTF-8");
    }

    @Test
    void survivesDamage() {
        byte[] good = file("<unk>", "<s>", "</s>", "<0x61>", " ", "a", "b", " a", " ab", "ab");
        Mutations.assertSurvives("tokenizer.bin", good, good.length, bytes -> {
            Tokenizer tokenizer =
                    Llama2cVocabulary.tokenizer(Llama2cVocabulary.pieces(Path.of("tokenizer.bin"), bytes));
            tokenizer.decode(tokenizer.encode("abba é"));
        });
    }

    private Tokenizer read(byte[] bytes) throws IOException {
        Files.write(dir.resolve("tokenizer.bin"), bytes);
        return Tokenizers.load(dir);
    }

    private static byte[] file(String... pieces) {
        ByteBuffer bytes = ByteBuffer.allocate(1000).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(6);
        for (int i = 0; i < pieces.length; i++) {
            byte[] piece = pieces[i].getBytes(StandardCharsets.UTF_8);
            bytes.putFloat(-i).putInt(piece.length).put(piece);
        }
        return Arrays.copyOf(bytes.array(), bytes.position());
    }

    private static int[] joined(PretrainedTokenizer tokenizer, String text) {
        ScoredBpe model = (ScoredBpe) tokenizer.model();
        List<String> symbols =
                new ArrayList<>(text.codePoints().mapToObj(Character::toString).toList());
        while (true) {
            int best = -1;
            float bestScore = Float.NEGATIVE_INFINITY;
            for (int i = 0; i + 1 < symbols.size(); i++) {
                int id = model.vocabulary().id(symbols.get(i) + symbols.get(i + 1));
                if (id >= 0 && model.score(id) > bestScore) {
                    bestScore = model.score(id);
                    best = i;
                }
            }
            if (best < 0) {
                return symbols.stream().mapToInt(model.vocabulary()::id).toArray();
            }
            symbols.set(best, symbols.get(best) + symbols.remove(best + 1));
        }
    }
}
