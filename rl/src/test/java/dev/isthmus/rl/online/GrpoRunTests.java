package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.rl.Fixtures;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.schedule.LrSchedule;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Short runs of TRL's GRPO on fixed completions, step for step. */
@Tag("fixture")
class GrpoRunTests {
    private static MethodConfig<GrpoConfig> settings(JsonNode config, int completions) {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("model", "given");
        settings.put("data", "given");
        settings.put("per_device_train_batch_size", completions);
        settings.put("loss_type", config.get("loss_type").asString());
        settings.put("beta", config.get("beta").asDouble());
        settings.put("epsilon", config.get("epsilon_low").asDouble());
        settings.put("epsilon_high", config.get("epsilon_high").asDouble());
        settings.put(
                "max_completion_length", config.get("max_completion_length").asInt());
        settings.put("num_generations", config.get("num_generations").asInt());
        settings.put("num_iterations", config.get("num_iterations").asInt());
        return OnlineTrainer.GRPO.configure(null, settings);
    }

    private static List<Rollout> rollouts(JsonNode batch) {
        double[] rewards = Fixtures.doubles(batch.get("rewards"));
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
        double[] ids = Fixtures.doubles(batch.get(part + "_ids"));
        double[] mask = Fixtures.doubles(batch.get(part + "_mask"));
        int columns = ids.length / rows;
        return IntStream.range(row * columns, (row + 1) * columns)
                .filter(i -> mask[i] == 1)
                .map(i -> (int) ids[i])
                .toArray();
    }

    private static List<Rollout> asSampledBy(Decoder policy, FrozenModel reference, List<Rollout> rollouts) {
        List<Example> examples = rollouts.stream().map(Rollout::example).toList();
        List<float[]> logps = FrozenModel.logps(policy, examples, 1, examples.size());
        List<float[]> refLogps = reference.logps(examples, 1, examples.size());
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
    @ValueSource(strings = {"grpo_grpo", "grpo_dapo", "grpo_dr_grpo"})
    void everyStepIsThatOfTrl(String name) throws IOException {
        JsonNode run = Fixtures.json("train/" + name + ".json");
        Path begun = Fixtures.path(run.get("model").asString());
        List<JsonNode> batches = run.get("batches").valueStream().toList();
        JsonNode optimizer = run.get("optimizer");
        try (Scope scope = Scope.open()) {
            MethodConfig<GrpoConfig> config =
                    settings(run.get("config"), rollouts(batches.getFirst()).size());
            GrpoMethod method = new GrpoMethod(config);
            Decoder policy = Pretrained.load(begun);
            FrozenModel reference = FrozenModel.load(begun);
            Trainer trainer = new Trainer(
                    policy,
                    new TrainingArguments(
                            optimizer.get("lr").asDouble(),
                            new LrSchedule.Constant(),
                            OptimizerConfig.adamW(
                                    optimizer.get("betas").get(0).asDouble(),
                                    optimizer.get("betas").get(1).asDouble(),
                                    optimizer.get("eps").asDouble()),
                            optimizer.get("weight_decay").asDouble(),
                            optimizer.get("clip_grad_norm").asDouble(),
                            true));
            List<Rollout> learned = List.of();
            int step = 0;
            for (JsonNode expected : run.get("steps")) {
                if (step++ % method.settings().iterations() == 0) {
                    List<Rollout> written =
                            rollouts(batches.get(expected.get("rollout_batch").asInt()));
                    learned = method.credit(asSampledBy(policy, reference, written), new StepLog(_ -> {}));
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
                double loss = expected.get("loss").asDouble();
                double norm = expected.get("grad_norm_before_clip").asDouble();
                assertThat(done.loss())
                        .as("loss of step %d", step)
                        .isCloseTo(loss, within(1e-4 * (1 + Math.abs(loss))));
                assertThat(done.gradNorm()).as("gradient norm of step %d", step).isCloseTo(norm, within(1e-3 * norm));
                expected.get("metrics")
                        .properties()
                        .forEach(metric -> assertThat(metrics.get(metric.getKey()))
                                .as(metric.getKey())
                                .isCloseTo(metric.getValue().asDouble(), within(2e-4)));
            }
            assertWeights(policy, Fixtures.path("train/" + name + ".final.safetensors"));
        }
    }

    private static void assertWeights(Decoder policy, Path expected) {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors weights = SafeTensors.open(expected, arena);
            for (Parameter parameter : policy.parameters()) {
                float[] found =
                        Autograd.noGrad(() -> parameter.value().contiguous().toFloats());
                assertThat(found)
                        .as(parameter.name())
                        .containsExactly(weights.get(parameter.name()).toFloats(), within(1e-4f));
            }
        }
    }
}
