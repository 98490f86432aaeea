package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Machine;
import dev.isthmus.train.loop.TrainingMethod;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What must hold of every trainer that learns from what the model writes. */
class OnlineTrainerTests {
    @TempDir
    private Path root;

    private static Map<String, Object> with(Object... pairs) {
        var settings = new LinkedHashMap<String, Object>();
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put((String) pairs[i], pairs[i + 1]);
        }
        return settings;
    }

    /** Each with settings under which the checkpoint falls into the middle of a batch of completions. */
    static Stream<Arguments> trainers() {
        return Stream.of(Arguments.of(
                OnlineTrainer.GRPO,
                with(
                        "num_generations", 4,
                        "max_completion_length", 5,
                        "num_iterations", 2,
                        "steps_per_generation", 2,
                        "beta", 0.04,
                        "dynamic_sampling", true,
                        "max_num_gen_batches", 2,
                        "sync_ref_model", true,
                        "ref_model_sync_steps", 2)));
    }

    @ParameterizedTest
    @MethodSource("trainers")
    void aResumedRunEndsLikeOneThatWasNotInterrupted(TrainingMethod<?> method, Map<String, ?> settings)
            throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun whole = TinyOnlineRun.of(method, root, "whole", settings);
        TinyOnlineRun resumed =
                TinyOnlineRun.of(method, root, "resumed", settings).resumed(method);
        assertThat(resumed.text("metrics.jsonl")).isEqualTo(whole.text("metrics.jsonl"));
        assertThat(resumed.text("samples.jsonl")).isEqualTo(whole.text("samples.jsonl"));
        assertThat(resumed.weights()).isEqualTo(whole.weights());
    }

    @ParameterizedTest
    @MethodSource("trainers")
    void threadsDoNotChangeTheResult(TrainingMethod<?> method, Map<String, ?> settings) throws IOException {
        TinyOnlineRun.world(root);
        int threads = Machine.threads();
        try {
            Machine.setThreads(1);
            TinyOnlineRun one = TinyOnlineRun.of(method, root, "one", settings);
            Machine.setThreads(2);
            TinyOnlineRun two = TinyOnlineRun.of(method, root, "two", settings);
            assertThat(two.text("metrics.jsonl")).isEqualTo(one.text("metrics.jsonl"));
            assertThat(two.weights()).isEqualTo(one.weights());
        } finally {
            Machine.setThreads(threads);
        }
    }

    @Test
    void theFirstStepOfGrpoIsOnPolicyToTheLastBit() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.GRPO,
                root,
                "run",
                with(
                        "num_generations",
                        4,
                        "max_completion_length",
                        5,
                        "beta",
                        0.1,
                        "reward_funcs",
                        List.of("addition")));
        assertThat(run.metric("sampling/sampling_logp_difference/max"))
                .hasSize(6)
                .containsOnly(0);
        assertThat(run.metric("clip_ratio/region_mean")).containsOnly(0);
        assertThat(run.metric("kl")[0]).as("KL of a model with itself").isZero();
        assertThat(run.metric("kl")[1]).isNotNegative();
    }
}
