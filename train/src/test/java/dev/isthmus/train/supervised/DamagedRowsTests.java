package dev.isthmus.train.supervised;

import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Mutations;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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
            DataFile data = DataFile.read(file.toString());
            new DatasetRows(data, null, tokenizer, 64, Rng.of(1)).example(0);
        });
    }
}
