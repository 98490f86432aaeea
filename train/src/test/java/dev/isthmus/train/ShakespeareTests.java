package dev.isthmus.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.model.Pretrained;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.schedule.LrSchedule;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A training run on real text, step by step beside PyTorch in float64. */
class ShakespeareTests {
    @Tag("fixture")
    @Test
    void everyStepHasTheRecordedLoss() throws IOException {
        Path directory = Fixtures.fixture("shakespeare");
        String text = Files.readString(Fixtures.data("text/tinyshakespeare.txt"), StandardCharsets.UTF_8);
        JsonNode run = JsonMapper.shared().readTree(directory.resolve("run.json"));
        int[] tokens = text.chars().map(run.get("chars").asString()::indexOf).toArray();
        int length = run.get("T").asInt();
        JsonNode rates = run.get("lr_per_step");
        LrSchedule schedule = step -> rates.get((int) step).asDouble();
        TrainingArguments arguments = new TrainingArguments(1, schedule, 0.9, 0.95, 1e-8, 0.1, 1, true);
        try (Scope scope = Scope.open()) {
            Trainer trainer = new Trainer(Pretrained.load(directory), arguments);
            for (int step = 0; step < run.get("steps").asInt(); step++) {
                List<Example> batch = windows(tokens, length, run.get("batch_offsets").get(step), 0);
                Trainer.Step done = trainer.step(List.of(
                        () -> CompletionLoss.mean(trainer.model(), batch, CompletionLoss.tokens(batch))));
                assertThat(done.loss())
                        .as("loss of step " + step)
                        .isCloseTo(run.get("loss_f64").get(step).asDouble(), within(1e-3));
                assertThat(done.gradNorm())
                        .as("gradient norm of step " + step)
                        .isCloseTo(run.get("grad_norm_f64").get(step).asDouble(), within(1e-2));
            }
            Decoder model = trainer.model();
            List<Example> held =
                    windows(tokens, length, run.get("val_offsets_into_val_split"), run.get("train_chars").asInt());
            double loss = Autograd.noGrad(() -> CompletionLoss.mean(model, held, CompletionLoss.tokens(held)).item());
            assertThat(loss).isCloseTo(run.get("val_loss_f64").asDouble(), within(1e-3));
        }
    }

    private static List<Example> windows(int[] tokens, int length, JsonNode offsets, int start) {
        return offsets.valueStream()
                .map(o -> IntStream.rangeClosed(0, length).map(i -> tokens[start + o.asInt() + i]).toArray())
                .map(window -> new Example(window, 1))
                .toList();
    }
}
