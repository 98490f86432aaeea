package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What {@code adv_estimator} makes of the same four completions of two prompts, worked out by hand. */
class AdvantageEstimatorTests {
    private static final double[] REWARDS = {1, 0, 3, 1};

    @TempDir
    private Path root;

    private static GrpoMethod method(String estimator, double beta, int group) {
        Map<String, Object> settings = new LinkedHashMap<>(Map.of("model", "m", "data", "d", "beta", beta));
        settings.put("adv_estimator", estimator);
        settings.put("num_generations", group);
        settings.put("per_device_train_batch_size", 4);
        settings.put("mask_truncated_completions", true);
        settings.put("reward_funcs", List.of("think_format_reward"));
        MethodConfig<GrpoConfig> config = OnlineTrainer.GRPO.configure(null, settings);
        return new GrpoMethod(config);
    }

    /** Of one, two, one and two tokens; a token costs log 2 more than the reference finds. The greedy ones got 0.5 and 2. */
    private static List<Rollout> rollouts() {
        return IntStream.range(0, 4)
                .mapToObj(i -> Rollout.of(
                                new int[] {1},
                                i % 2 == 0 ? new int[] {2} : new int[] {3, 4},
                                i % 2 == 0 ? new float[] {-1} : new float[] {-1, -2},
                                true)
                        .withRewards(new double[] {REWARDS[i]}, REWARDS[i])
                        .withBaseline(i < 2 ? 0.5 : 2)
                        .withReference(i % 2 == 0 ? new float[] {-3} : new float[] {-3, -4}))
                .toList();
    }

    private static double[] worth(GrpoMethod method) {
        return method.credit(rollouts(), new StepLog(_ -> {})).stream()
                .flatMapToDouble(r -> Arrays.stream(r.advantages()))
                .toArray();
    }

    private static void close(double[] found, double... expected) {
        assertThat(found).containsExactly(expected, within(1e-7));
    }

    private static double[] whitened(double... x) {
        double mean = Arrays.stream(x).average().orElseThrow();
        double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / (x.length - 1);
        return Arrays.stream(x)
                .map(v -> (v - mean) / Math.sqrt(variance + 1e-8))
                .toArray();
    }

    /** With beta 0.1 the completions cost 0.2 and 0.4: each token is e^2 times as likely as the reference finds it. */
    @Test
    void theAdvantagesAreThoseOfThePapers() {
        double half = 0.5 / (Math.sqrt(0.5) + 1e-4);
        double one = 1 / (Math.sqrt(2) + 1e-4);
        close(worth(method("grpo", 0.1, 2)), half, -half, one, -one);
        close(worth(method("rloo", 0, 2)), 1, -1, 2, -2);
        close(worth(method("rloo", 0.1, 2)), 1.2, -1.2, 2.2, -2.2);
        close(worth(method("remax", 0, 2)), 0.5, -0.5, 1, -1);
        close(worth(method("remax", 0.1, 2)), 0.3, -0.9, 0.8, -1.4);
        close(worth(method("reinforce_plus_plus", 0, 2)), whitened(1, 0, 0, 3, 1, 1));
        close(worth(method("reinforce_plus_plus", 0.1, 1)), whitened(0.8, -0.4, -0.2, 2.8, 0.6, 0.8));
        close(worth(method("reinforce_plus_plus_baseline", 0.1, 2)), whitened(1, -1, -1, 2, -2, -2));
    }

    /** The KL penalty is counted once: in the rewards or in the loss, there by k2 for REINFORCE++-baseline. */
    @ParameterizedTest
    @CsvSource({
        "grpo, 0.1, K3",
        "rloo, 0, K3",
        "remax, 0, K3",
        "reinforce_plus_plus, 0, K3",
        "reinforce_plus_plus_baseline, 0.1, K2"
    })
    void theKlPenaltyIsCountedOnce(String estimator, double betaOfLoss, String kl) {
        GrpoMethod method = method(estimator, 0.1, 2);
        assertThat(method.usesReference()).isTrue();
        MethodConfig<GrpoConfig> config = OnlineTrainer.GRPO.configure(
                null, Map.of("model", "m", "data", "d", "beta", 0.1, "adv_estimator", estimator));
        assertThat(config.own().loss().beta()).isEqualTo(betaOfLoss);
        assertThat(config.own().loss().klEstimator()).hasToString(kl);
    }

    @Test
    void whatDoesNotFitIsSaid() {
        assertThatThrownBy(() -> method("gae", 0, 2))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("adv_estimator 'gae' is unknown; there are grpo, rloo, remax");
        assertThatThrownBy(() -> method("rloo", 0, 1)).hasMessageContaining("num_generations must be at least 2");
        assertThat(method("remax", 0, 1).settings().numGenerations()).isEqualTo(1);
    }

    private TinyOnlineRun remax(RewardFunction function, int numGenerations, int steps) {
        TinyOnlineRun.world(root);
        return TinyOnlineRun.of(
                OnlineTrainer.GRPO.withRewards(function),
                root,
                "run",
                Map.of(
                        "adv_estimator",
                        "remax",
                        "num_generations",
                        numGenerations,
                        "reward_funcs",
                        List.of(function.name()),
                        "max_completion_length",
                        5,
                        "max_steps",
                        steps,
                        "learning_rate",
                        0.02,
                        "log_completions",
                        true));
    }

    /** The likeliest completions are asked for with the same weights, and are the same for all completions of a prompt. */
    @Test
    void remaxAsksForTheLikeliestCompletionOfEachPrompt() throws Exception {
        TinyOnlineRun run = remax(OnlineTrainerTests.DIGITS, 1, 40);
        double[] reward = run.metric("reward");
        double[] greedy = run.metric("reward_greedy");
        assertThat(run.metric("sampling/sampling_logp_difference/max")).containsOnly(0);
        assertThat(Arrays.stream(reward, 30, 40).average().orElseThrow())
                .isGreaterThan(0.1 + Arrays.stream(reward, 0, 3).average().orElseThrow());
        assertThat(greedy).hasSize(40);
        double advantage = run.text("samples.jsonl")
                .lines()
                .limit(8)
                .map(JsonMapper.shared()::readTree)
                .mapToDouble(line -> line.get("advantage").asDouble())
                .average()
                .orElseThrow();
        assertThat(advantage).isCloseTo(reward[0] - greedy[0], within(1e-9));
    }

    /** Where a reward is the prompt's alone, no completion is better than the likeliest of the same prompt. */
    @Test
    void theLikeliestCompletionIsThatOfTheSamePrompt() throws Exception {
        RewardFunction length = RewardFunction.of(
                "length",
                (prompts, _, _) -> prompts.stream().mapToDouble(String::length).toArray());
        TinyOnlineRun run = remax(length, 2, 6);
        List<JsonNode> samples = run.text("samples.jsonl")
                .lines()
                .map(JsonMapper.shared()::readTree)
                .filter(line -> line.has("advantage"))
                .toList();
        assertThat(samples.stream().map(line -> line.get("reward").asDouble()).distinct())
                .hasSizeGreaterThan(2);
        assertThat(samples.stream().map(line -> line.get("advantage").asDouble()))
                .containsOnly(0.0);
    }
}
