package dev.isthmus.train.supervised;

import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Mutations;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.loop.MethodConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DamagedRowsTests {
    @TempDir
    Path dir;

    @Test
    void rowsOfADatasetSurviveDamage() {
        String rows = "{\"prompt\": \"2 + 3 =\", \"completion\": \" 5\"}\n{\"text\": \"one\\ntwo\", \"n\": [1, 2]}\n"
                + "{\"prompt\": \"\", \"completion\": \"x\"}\n";
        byte[] good = rows.getBytes(StandardCharsets.UTF_8);
        CharTokenizer tokenizer = new CharTokenizer(rows + " \n", true);
        Mutations.assertSurvives("JSON Lines of a dataset", good, good.length, bytes -> {
            Path file = Files.write(dir.resolve("data.jsonl"), bytes);
            MethodConfig<SftConfig> config = new Sft().configure(null, Map.of("data", file, "model", "none"));
            new SftRows(config.base(), config.data(), config.own(), new RowEncoder(tokenizer, null), 64, Rng.of(1));
        });
    }
}
