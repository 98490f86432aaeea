package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.RecordedRun;
import dev.isthmus.rl.objective.LossFixture;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/** Short runs of TRL's GRPO on fixed completions, step for step. */
@Tag("fixture")
class GrpoRunTests {
    static List<String> names() {
        return RecordedRun.names("grpo");
    }

    private static MethodConfig<GrpoConfig> config(RecordedRun run, int completions) {
        Map<String, Object> settings = run.settings();
        settings.put("model", "given");
        settings.put("data", "given");
        settings.put("per_device_train_batch_size", completions);
        settings.put("epsilon", settings.remove("epsilon_low"));
        assertThat(settings.remove("num_items_in_batch")).isEqualTo("sum of completion_mask of the batch");
        return OnlineTrainer.GRPO.configure(null, settings);
    }

    private static List<Rollout> rollouts(JsonNode batch) {
        double[] rewards = LossFixture.doubles(batch.get("rewards"));
        List<Rollout> rollouts = new ArrayList<>();
        for (int i = 0; i < rewards.length; i++) {
            Rollout written = Rollout.of(
                    row(batch, "prompt", i, rewards.length),
                    row(batch, "completion", i, rewards.length),
                    new float[0],
                    true);
            rollouts.add(written.withRewards(new double[] {rewards[i]}, rewards[i]));
        }
        return rollouts;
    }

    private static int[] row(JsonNode batch, String part, int row, int rows) {
        double[] ids = LossFixture.doubles(batch.get(part + "_ids"));
        double[] mask = LossFixture.doubles(batch.get(part + "_mask"));
        int columns = ids.length / rows;
        return IntStream.range(row * columns, (row + 1) * columns)
                .filter(i -> mask[i] == 1)
                .map(i -> (int) ids[i])
                .toArray();
    }

    private static List<Rollout> asSampledBy(
            Decoder policy, FrozenModel reference, double temperature, List<Rollout> rollouts) {
        List<Example> examples = rollouts.stream().map(Rollout::example).toList();
        List<float[]> logps = FrozenModel.logps(policy, examples, temperature, examples.size());
        List<float[]> refLogps = reference.logps(examples, temperature, examples.size());
        List<Rollout> sampled = new ArrayList<>();
        for (int i = 0; i < rollouts.size(); i++) {
            Rollout r = rollouts.get(i);
            sampled.add(Rollout.of(r.prompt(), r.completion(), logps.get(i), true)
                    .withRewards(r.rewards(), r.reward())
                    .withReference(refLogps.get(i)));
        }
        return sampled;
    }

    @ParameterizedTest
    @MethodSource("names")
    void everyStepIsThatOfTrl(String name) {
        RecordedRun run = RecordedRun.read(name);
        try (Scope scope = Scope.open()) {
            MethodConfig<GrpoConfig> config =
                    config(run, rollouts(run.batches().getFirst()).size());
            GrpoMethod method = new GrpoMethod(config);
            Decoder policy = Pretrained.load(run.model());
            FrozenModel reference = FrozenModel.load(run.model());
            Trainer trainer = new Trainer(policy, run.arguments());
            double temperature = method.settings().sampling().temperature();
            List<Rollout> learned = List.of();
            for (int step = 0; step < run.steps().size(); step++) {
                if (step % method.settings().iterations() == 0) {
                    JsonNode batch = run.batches()
                            .get(run.steps().get(step).get("rollout_batch").asInt());
                    learned = method.credit(
                            asSampledBy(policy, reference, temperature, rollouts(batch)), new StepLog(_ -> {}));
                    assertThat(learned.stream()
                                    .mapToDouble(r -> r.advantages()[0])
                                    .toArray())
                            .as("advantages")
                            .containsExactly(LossFixture.doubles(batch.get("advantages")), within(1e-9));
                }
                double items =
                        learned.stream().mapToInt(r -> r.completion().length).sum();
                List<Rollout> rollouts = learned;
                Map<String, Double> metrics = new LinkedHashMap<>();
                Trainer.Step done = trainer.step(List.of(() -> {
                    LossResult result =
                            method.loss(new RolloutBatch(policy, method.settings(), rollouts, items, 1, null));
                    metrics.putAll(result.metrics());
                    return result.loss();
                }));
                run.assertStep(step, done, metrics);
            }
            run.assertWeights(policy);
        }
    }
}
