package dev.isthmus.train.supervised;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.testing.Fixtures;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A training run on real text, step by step beside PyTorch in float64. */
class ShakespeareTests {
    @Tag("fixture")
    @Test
    void everyStepHasTheRecordedLoss() {
        Path directory = Fixtures.fixture("shakespeare");
        String text = Fixtures.data("text/tinyshakespeare.txt").toString();
        List<String> lines = new ArrayList<>();
        Replay.Result result = new Replay(directory.resolve("run.json"), text).run(directory, 10, lines::add);
        JsonNode run = JsonMapper.shared().readTree(directory.resolve("run.json"));
        int steps = run.get("steps").asInt();
        assertThat(result.steps()).hasSize(steps).allSatisfy(step -> {
            assertThat(step.loss()).as("loss of step " + step.step()).isCloseTo(step.recordedLoss(), within(1e-3));
            assertThat(step.gradNorm())
                    .as("gradient norm of step " + step.step())
                    .isCloseTo(step.recordedGradNorm(), within(1e-2));
        });
        assertThat(result.steps().getFirst().recordedLoss())
                .isEqualTo(run.at("/loss_f64/0").asDouble());
        assertThat(result.heldOut().loss()).isCloseTo(run.get("val_loss_f64").asDouble(), within(1e-3));
        assertThat(result.passed()).isTrue();
        int rows = steps / 10 + (steps % 10 == 0 ? 0 : 1);
        assertThat(lines).hasSize(2 + 1 + rows + 1 + 2).last().asString().startsWith("PASS");
    }
}
