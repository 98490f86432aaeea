package dev.isthmus.train.supervised;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Mutations;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.loop.MethodConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DamagedRowsTests {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"prompt\": \"2 + 3 =\", \"completion\": \" 5\"}\n{\"prompt\": \"x\", \"n\": [1, 2], \"completion\": \"\\n\"}\n",
                "{\"text\": \"one\\ntwo\", \"n\": [1, 2]}\n{\"text\": \"2\"}\n",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"one\"}, {\"role\": \"assistant\", \"content\": \"two\"}]}\n"
            })
    void rowsOfADatasetSurviveDamage(String rows) {
        byte[] good = rows.getBytes(StandardCharsets.UTF_8);
        // Every character of ASCII, so that most of the damage is no unknown character.
        String alphabet =
                IntStream.range(32, 127).mapToObj(Character::toString).collect(Collectors.joining("", "\n", ""));
        RowEncoder encoder = new RowEncoder(
                new CharTokenizer(alphabet, true),
                ChatTemplate.of("{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}", Map.of()));
        int[] loaded = {0};
        Mutations.assertSurvives("JSON Lines of a dataset", good, good.length, bytes -> {
            Path file = Files.write(dir.resolve("data.jsonl"), bytes);
            MethodConfig<SftConfig> config =
                    new Sft().configure(null, Map.of("data", file.toString(), "model", "none"));
            new SftRows(config.base(), config.data(), config.own(), encoder, 64, Rng.of(1));
            loaded[0]++;
        });
        assertThat(loaded[0]).as("mutations that load").isPositive();
    }
}
