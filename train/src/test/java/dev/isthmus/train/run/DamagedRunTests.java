package dev.isthmus.train.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** What a run left on disk, damaged. */
class DamagedRunTests {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(strings = {"manifest.json", "state.json", "model.safetensors"})
    void aDamagedCheckpointIsNeverTakenForAWholeOne(String name) throws IOException {
        JsonNode state = JsonNodeFactory.instance.objectNode().put("step", 12).put("loss", 0.25);
        Path checkpoint = checkpoints()
                .save("step-12", state, at -> Files.write(at.resolve("model.safetensors"), new byte[] {1, 2, 3, 4, 5}))
                .directory();
        Path file = checkpoint.resolve(name);
        byte[] good = Files.readAllBytes(file);
        Mutations.assertSurvives("checkpoint: " + name, good, good.length, bytes -> {
            Files.write(file, bytes);
            Checkpoint read = checkpoints().latest().orElseThrow();
            assertThat(read.state()).isEqualTo(state);
            assertThat(read.directory().resolve("model.safetensors")).hasBinaryContent(new byte[] {1, 2, 3, 4, 5});
        });
    }

    private Checkpoints checkpoints() {
        return new Checkpoints(dir, 2, _ -> {});
    }

    record Settings(String model, int steps, double learningRate, List<String> tags) {}

    @Test
    void settingsSurviveDamage() {
        byte[] good =
                "model: base\nsteps: 100\nlearning_rate: 1e-3\ntags: [a, \"b c\"]\n".getBytes(StandardCharsets.UTF_8);
        Mutations.assertSurvives("config.yaml", good, good.length, bytes -> {
            Path file = Files.write(dir.resolve("config.yaml"), bytes);
            YamlSettings.bind(YamlSettings.read(file, "recipe"), Settings.class, "the recipe");
        });
    }

    @Test
    void aLogIsReadUpToWhereItIsDamaged() throws IOException {
        Path file = dir.resolve("metrics.jsonl");
        try (JsonLines log = new JsonLines(file)) {
            for (int i = 0; i < 8; i++) {
                log.append(Map.of("step", i, "text", "\u00e9\uD83D\uDE00", "loss", Double.NaN));
            }
        }
        byte[] good = Files.readAllBytes(file);
        Mutations.assertSurvives("log of a run", good, good.length, bytes -> {
            Files.write(file, bytes);
            List<JsonNode> objects = JsonLines.read(file);
            if (objects.size() < 8) {
                throw new IsthmusException("cut to " + objects.size());
            }
        });
        for (int length = good.length / 8 * 7 + 1; length < good.length - 1; length++) {
            Files.write(file, java.util.Arrays.copyOf(good, length));
            assertThat(JsonLines.read(file)).as("%d bytes", length).hasSize(7);
        }
    }
}
