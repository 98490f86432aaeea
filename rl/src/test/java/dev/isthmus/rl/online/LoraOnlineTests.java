package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.reward.RewardFunction;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A policy that is an adapter: its reference is the model without it. */
class LoraOnlineTests {
    @TempDir
    private Path root;

    @ParameterizedTest
    @ValueSource(strings = {"float32", "bfloat16"})
    void grpoTrainsAnAdapterWhoseReferenceIsItsModel(String dtype) throws IOException {
        TinyOnlineRun.world(root);
        Map<String, Object> settings = Map.of(
                "peft",
                "lora",
                "dtype",
                dtype,
                "lora_target_modules",
                List.of("all-linear"),
                "num_generations",
                4,
                "max_completion_length",
                5,
                "reward_funcs",
                List.of("soft_overlong_punishment_reward"), // no answer is right yet
                "beta",
                0.1);
        TinyOnlineRun whole = TinyOnlineRun.of(OnlineTrainer.GRPO, root, "whole", settings);
        assertThat(whole.metric("sampling/sampling_logp_difference/max"))
                .hasSize(6)
                .containsOnly(0);
        assertThat(whole.metric("kl")[0]).as("KL of a model with itself").isZero();
        assertThat(whole.metric("kl")[5]).as(whole.text("metrics.jsonl")).isPositive();
        TinyOnlineRun resumed =
                TinyOnlineRun.of(OnlineTrainer.GRPO, root, "resumed", settings).resumed(OnlineTrainer.GRPO);
        assertThat(resumed.text("metrics.jsonl")).isEqualTo(whole.text("metrics.jsonl"));
        assertThat(adapter(resumed)).isEqualTo(adapter(whole));
        assertThat(whole.directory().resolve("model/model.safetensors")).doesNotExist();
    }

    /** Nothing is rewarded, so that the entropy bonus is all there is to learn from. */
    @ParameterizedTest
    @CsvSource({",0.5", "lora,0.5", ",-0.5"})
    void anEntropyBonusRaisesTheEntropy(String peft, double entropyCoef) throws IOException {
        TinyOnlineRun.world(root);
        Map<String, Object> settings = new LinkedHashMap<>(Map.of(
                "num_generations",
                4,
                "max_completion_length",
                5,
                "max_steps",
                20,
                "temperature",
                0.5,
                "reward_funcs",
                List.of("nothing"),
                "lora_target_modules",
                List.of("all-linear"),
                "beta",
                1e-3,
                "entropy_coef",
                entropyCoef));
        settings.put("peft", peft);
        RewardFunction nothing = RewardFunction.of("nothing", (_, completions, _) -> new double[completions.size()]);
        TinyOnlineRun run = TinyOnlineRun.of(OnlineTrainer.GRPO.withRewards(nothing), root, "run", settings);
        double[] entropy = run.metric("entropy");
        assertThat(run.metric("kl")[1]).as("one step moves the policy").isPositive();
        assertThat((entropy[19] - entropy[0]) * entropyCoef)
                .as(Arrays.toString(entropy))
                .isPositive();
    }

    private static byte[] adapter(TinyOnlineRun run) throws IOException {
        return Files.readAllBytes(run.directory().resolve("model/adapter_model.safetensors"));
    }
}
