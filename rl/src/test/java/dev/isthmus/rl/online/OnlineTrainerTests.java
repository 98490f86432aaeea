package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.loop.TrainingMethod;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** What must hold of every trainer that learns from what the model writes. */
class OnlineTrainerTests {
    /** The reward must tell completions of a random model apart, or there is nothing to learn. */
    static final RewardFunction DIGITS = RewardFunction.of(
            "digits",
            (_, completions, _) -> completions.stream()
                    .mapToDouble(c -> c.chars().filter(Character::isDigit).count() / 5.0)
                    .toArray());

    @TempDir
    private Path root;

    private static Map<String, Object> with(Object... pairs) {
        var settings = new LinkedHashMap<String, Object>();
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put((String) pairs[i], pairs[i + 1]);
        }
        return settings;
    }

    /** Settings of a run whose completions {@link #DIGITS} judges. */
    private static Map<String, Object> judged(Object... pairs) {
        Map<String, Object> settings = with(pairs);
        settings.put("reward_funcs", List.of("digits"));
        return settings;
    }

    private static Arguments trainer(OnlineTrainer<?> trainer, Map<String, Object> settings) {
        return Arguments.argumentSet(trainer.key() + settings.getOrDefault("adv_estimator", ""), trainer, settings);
    }

    /** One that needs no critic, in two updates of each batch of completions. */
    private static Arguments estimator(String name, Object... more) {
        Map<String, Object> settings = judged(
                "adv_estimator",
                name,
                "num_generations",
                2,
                "max_completion_length",
                5,
                "steps_per_generation",
                2,
                "beta",
                0.04);
        settings.putAll(with(more));
        return trainer(OnlineTrainer.GRPO.withRewards(DIGITS), settings);
    }

    /** Each with settings under which the checkpoint falls into the middle of a batch of completions, where it has several steps. */
    static Stream<Arguments> trainers() {
        return Stream.of(
                trainer(
                        OnlineTrainer.GRPO.withRewards(DIGITS),
                        judged(
                                "num_generations",
                                4,
                                "max_completion_length",
                                5,
                                "num_iterations",
                                2,
                                "steps_per_generation",
                                2,
                                "beta",
                                0.04,
                                "dynamic_sampling",
                                true,
                                "max_num_gen_batches",
                                2,
                                "use_adaptive_entropy",
                                true,
                                "entropy_target",
                                4,
                                "sync_ref_model",
                                true,
                                "ref_model_sync_steps",
                                2)),
                estimator("rloo", "loss_type", "dr_grpo"),
                estimator("remax", "num_generations", 1),
                estimator("reinforce_plus_plus", "num_generations", 1),
                estimator("reinforce_plus_plus_baseline", "dynamic_sampling", true, "max_num_gen_batches", 2),
                trainer(
                        OnlineTrainer.RLOO.withRewards(DIGITS),
                        judged(
                                "max_completion_length",
                                5,
                                "num_iterations",
                                2,
                                "gradient_accumulation_steps",
                                2,
                                "per_device_train_batch_size",
                                4,
                                "normalize_advantages",
                                true,
                                "reward_clip_range",
                                List.of(-1, 1))),
                trainer(
                        OnlineTrainer.PPO.withRewards(DIGITS),
                        judged(
                                "response_length",
                                5,
                                "num_mini_batches",
                                2,
                                "num_ppo_epochs",
                                2,
                                "missing_eos_penalty",
                                1,
                                "adap_kl_ctrl",
                                true,
                                "horizon",
                                50,
                                "whiten_rewards",
                                true)),
                trainer(
                        OnlineTrainer.GKD,
                        with("teacher_model_name_or_path", "@teacher", "max_new_tokens", 5, "lmbda", 0.6)),
                trainer(
                        OnlineTrainer.MINILLM.withRewards(DIGITS),
                        judged(
                                "teacher_model_name_or_path",
                                "@teacher",
                                "num_generations",
                                4,
                                "max_completion_length",
                                5,
                                "num_iterations",
                                2,
                                "gamma",
                                0.5)),
                trainer(
                        OnlineTrainer.ONLINE_DPO.withRewards(DIGITS),
                        judged("max_new_tokens", 5, "missing_eos_penalty", 1)),
                trainer(
                        OnlineTrainer.XPO.withRewards(DIGITS),
                        judged("max_new_tokens", 5, "loss_type", "ipo", "alpha", 0.01)),
                trainer(
                        OnlineTrainer.NASH_MD.withRewards(DIGITS),
                        judged("max_new_tokens", 5, "missing_eos_penalty", 1)));
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
    void threadsAndGradientCheckpointingDoNotChangeABit(TrainingMethod<?> method, Map<String, ?> settings)
            throws IOException {
        TinyOnlineRun.world(root);
        int threads = Machine.threads();
        try {
            Machine.setThreads(1);
            TinyOnlineRun one = TinyOnlineRun.of(method, root, "one", settings);
            Machine.setThreads(2);
            TinyOnlineRun two = TinyOnlineRun.of(method, root, "two", settings);
            Map<String, Object> checkpointing = new LinkedHashMap<>(settings);
            checkpointing.put("gradient_checkpointing", true);
            TinyOnlineRun again = TinyOnlineRun.of(method, root, "again", checkpointing);
            for (TinyOnlineRun run : List.of(two, again)) {
                assertThat(run.text("metrics.jsonl")).isEqualTo(one.text("metrics.jsonl"));
                assertThat(run.weights()).isEqualTo(one.weights());
            }
        } finally {
            Machine.setThreads(threads);
        }
    }

    /** Of what the policy wrote, training computes the log-probabilities that writing found, whatever is learned in between. */
    @ParameterizedTest
    @MethodSource("trainers")
    void whatIsWrittenHasTheLogProbabilitiesThatAreTrained(TrainingMethod<?> method, Map<String, ?> settings)
            throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(method, root, "run", settings);
        double[] differences = run.metric("sampling/sampling_logp_difference/max");
        if (method != OnlineTrainer.GKD) {
            assertThat(differences).isNotEmpty();
        }
        assertThat(differences).containsOnly(method == OnlineTrainer.GKD ? new double[0] : new double[] {0});
    }

    @Test
    void theFirstStepIsOnPolicyToTheLastBit() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.GRPO.withRewards(DIGITS),
                root,
                "run",
                judged("num_generations", 4, "max_completion_length", 5, "beta", 0.1));
        assertThat(run.metric("sampling/sampling_logp_difference/max"))
                .hasSize(6)
                .containsOnly(0);
        assertThat(run.metric("clip_ratio/region_mean")).containsOnly(0);
        assertThat(run.metric("kl")[0]).as("KL of a model with itself").isZero();
        assertThat(run.metric("kl")[5]).isPositive();
    }

    @Test
    void theRatioOfPpoIsOneBeforeItsFirstUpdateAndItsCriticFindsNothingWorthAnything() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.PPO.withRewards(DIGITS), root, "run", judged("response_length", 5, "num_ppo_epochs", 2));
        assertThat(run.metric("val/ratio")[0]).isEqualTo(1);
        assertThat(run.metric("val/ratio")[1]).isNotEqualTo(1);
        assertThat(run.metric("policy/approxkl_avg")[0]).isZero();
        assertThat(run.metric("objective/kl")[0]).isZero();
        assertThat(run.metric("sampling/sampling_logp_difference/max"))
                .hasSize(3)
                .containsOnly(0);
    }

    @Test
    void onlineDpoBeginsWithTheLossOfACoin() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.ONLINE_DPO.withRewards(DIGITS),
                root,
                "run",
                judged("max_new_tokens", 5, "learning_rate", 0.1));
        assertThat(run.metric("loss")[0]).isCloseTo(Math.log(2), within(1e-6));
        assertThat(run.metric("rewards/margins")[0]).isZero();
        assertThat(run.metric("objective/kl")[0]).isZero();
    }

    /** Where policy, reference and the policy that wrote are the same, most losses are known; minus 1 where the rewards decide. */
    @ParameterizedTest
    @CsvSource({
        "sigmoid, 0.693147",
        "ipo, 25",
        "inpo, 0.25",
        "dno, 0.693147",
        "copg, 0",
        "p3o, 0",
        "sppo, -1",
        "spo, -1",
        "rebel, -1"
    })
    void everyLossOfTwoCompletionsBeginsWhereItMustAndLearnsWhatIsRewarded(String lossType, double first)
            throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.ONLINE_DPO.withRewards(DIGITS),
                root,
                lossType,
                judged(
                        "loss_type",
                        lossType,
                        "beta",
                        lossType.equals("spo") ? 0 : 0.1,
                        "max_new_tokens",
                        5,
                        "per_device_train_batch_size",
                        16,
                        "learning_rate",
                        0.02,
                        "max_steps",
                        16));
        if (first >= 0) {
            assertThat(run.metric("loss")[0]).isCloseTo(first, within(1e-5));
        }
        double[] scores = run.metric("objective/scores");
        assertThat(Arrays.stream(scores, 12, 16).average().orElseThrow())
                .isGreaterThan(0.1 + Arrays.stream(scores, 0, 3).average().orElseThrow());
    }

    @Test
    void aStudentThatIsItsTeacherHasNothingToLearn() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.GKD,
                root,
                "run",
                with(
                        "teacher_model_name_or_path",
                        "@tiny",
                        "max_new_tokens",
                        5,
                        "lmbda",
                        1,
                        "beta",
                        1,
                        "max_steps",
                        1));
        assertThat(run.metric("loss")[0]).isZero();
        assertThat(run.metric("grad_norm")[0]).isLessThan(1e-6);
        run = TinyOnlineRun.of(
                OnlineTrainer.GKD,
                root,
                "other",
                with(
                        "teacher_model_name_or_path", "@teacher",
                        "max_new_tokens", 5,
                        "lmbda", 0,
                        "max_steps", 60,
                        "learning_rate", 0.03));
        assertThat(run.metric("loss")[59]).isLessThan(0.2 * run.metric("loss")[0]);
    }

    /** A step of all rows, before which nothing is learned, sees what evaluation sees. */
    @Test
    void theHeldOutLossOfGkdIsTheDivergenceOfTheGivenCompletions() throws IOException {
        TinyOnlineRun.world(root);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.GKD,
                root,
                "run",
                with(
                        "teacher_model_name_or_path",
                        "@teacher",
                        "eval_data",
                        "@prompts.jsonl",
                        "per_device_train_batch_size",
                        20,
                        "per_device_eval_batch_size",
                        3,
                        "max_new_tokens",
                        5,
                        "lmbda",
                        0));
        assertThat(run.metric("eval_loss")[0]).isCloseTo(run.metric("loss")[0], within(1e-6));
        assertThat(run.metric("eval_loss")[1]).isLessThan(run.metric("eval_loss")[0]);
    }

    /** By plain gradient descent, so that the weights after a step show its gradient. */
    @ParameterizedTest
    @MethodSource("trainers")
    void aStepDoesNotDependOnHowItIsDivided(TrainingMethod<?> method, Map<String, ?> settings) throws IOException {
        TinyOnlineRun.world(root);
        Map<String, Object> one = new LinkedHashMap<>(settings);
        one.putAll(with("max_steps", 1, "per_device_train_batch_size", 8, "gradient_accumulation_steps", 1));
        one.putAll(with("optim", "sgd", "learning_rate", 0.1, "max_grad_norm", 0));
        one.remove("steps_per_generation");
        Map<String, Object> eight = new LinkedHashMap<>(one);
        eight.putAll(with("per_device_train_batch_size", 1, "gradient_accumulation_steps", 8));
        TinyOnlineRun whole = TinyOnlineRun.of(method, root, "whole", one);
        TinyOnlineRun divided = TinyOnlineRun.of(method, root, "divided", eight);
        assertThat(divided.metric("loss")[0]).isCloseTo(whole.metric("loss")[0], within(1e-6));
        double norm = whole.metric("grad_norm")[0];
        assertThat(divided.metric("grad_norm")[0]).isCloseTo(norm, within(1e-5 * norm + 1e-9));
        try (Scope scope = Scope.open()) {
            List<Tensor> before = Pretrained.load(root.resolve("tiny")).trained();
            List<Tensor> expected = Pretrained.load(root.resolve("whole/model")).trained();
            List<Tensor> found = Pretrained.load(root.resolve("divided/model")).trained();
            double largest = 0;
            double apart = 0;
            for (int i = 0; i < before.size(); i++) {
                largest = Math.max(largest, difference(expected.get(i), before.get(i)));
                apart = Math.max(apart, difference(expected.get(i), found.get(i)));
            }
            assertThat(largest).isPositive();
            assertThat(apart).isLessThan(1e-4 * largest + 1e-7);
        }
    }

    private static double difference(Tensor a, Tensor b) {
        return a.detach().sub(b.detach()).abs().max().item();
    }

    static Stream<Arguments> rewarded() {
        // Where rewards are compared within a group none is worth anything beside an infinite one; where pairs are
        // ranked it wins.
        return trainers().filter(arguments -> {
            Map<?, ?> settings = (Map<?, ?>) arguments.get()[1];
            String key = ((TrainingMethod<?>) arguments.get()[0]).key();
            return settings.containsKey("adv_estimator") || key.equals("rloo") || key.equals("ppo");
        });
    }

    /** A judge that says infinity twice: the run stops and keeps what it has, or goes on, and learns again when the judge is well. */
    @ParameterizedTest
    @MethodSource("rewarded")
    void aLossThatIsNotANumberStopsTheRunOrIsSkippedAndDamagesNothing(OnlineTrainer<?> trainer, Map<String, ?> given)
            throws IOException {
        TinyOnlineRun.world(root);
        AtomicInteger calls = new AtomicInteger();
        var method = trainer.withRewards(RewardFunction.of("digits", (prompts, completions, columns) -> {
            double[] rewards = DIGITS.score(prompts, completions, columns);
            int call = calls.getAndIncrement();
            return call == 2 || call == 3
                    ? Arrays.stream(rewards).map(r -> Double.POSITIVE_INFINITY).toArray()
                    : rewards;
        }));
        Map<String, Object> settings = new LinkedHashMap<>(given);
        settings.put("max_steps", 24);
        // These would make a number of it.
        settings.remove("reward_clip_range");
        settings.remove("normalize_advantages");
        assertThatThrownBy(() -> TinyOnlineRun.of(method, root, "stopped", settings))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("First not finite: the loss");
        assertThat(root.resolve("stopped/nonfinite.json")).content().contains("\"first\" : \"the loss\"");
        calls.set(0);
        settings.put("nonfinite_loss", "skip");
        TinyOnlineRun skipped = TinyOnlineRun.of(method, root, "skipped", settings);
        List<JsonNode> metrics = skipped.metrics();
        assertThat(metrics.getLast().has("grad_norm")).isTrue();
        assertThat(skipped.metric("grad_norm")).hasSizeBetween(8, 23);
        try (Scope scope = Scope.open()) {
            List<Path> models = new ArrayList<>(List.of(root.resolve("skipped/model")));
            try (Stream<Path> checkpoints = Files.list(root.resolve("stopped/checkpoints"))) {
                checkpoints.forEach(models::add);
            }
            for (Path model : models) {
                assertThat(Pretrained.load(model).trained())
                        .allSatisfy(t -> assertThat(Arrays.stream(t.toDoubles()).allMatch(Double::isFinite))
                                .isTrue());
            }
        }
    }

    /** Skipping a step does not mend weights: a model that can write nothing ends the run, under either option. */
    @ParameterizedTest
    @ValueSource(strings = {"stop", "skip"})
    void aModelThatCanWriteNothingIsNamedAndTheLastCheckpointIsGood(String option) throws IOException {
        TinyOnlineRun.world(root);
        AtomicInteger calls = new AtomicInteger();
        var method = OnlineTrainer.GRPO.withRewards(RewardFunction.of(
                "digits",
                (prompts, completions, columns) -> calls.getAndIncrement() < 3
                        ? new double[prompts.size()]
                        : DIGITS.score(prompts, completions, columns)));
        // Nothing is learned in three steps; the fourth moves every weight by 1e18.
        Map<String, Object> settings = judged(
                "num_generations",
                2,
                "max_completion_length",
                5,
                "learning_rate",
                1e18,
                "lr_scheduler_type",
                "constant",
                "nonfinite_loss",
                option);
        assertThatThrownBy(() -> TinyOnlineRun.of(method, root, "run", settings))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("The logits are NaN")
                .hasMessageContaining("First not finite: the output of model.layers.0")
                .hasMessageContaining("the last checkpoint is 0001-step-3");
        Path run = root.resolve("run");
        assertThat(run.resolve("nonfinite.json")).content().contains("\"step\" : 5", "the output of model.layers.0");
        assertThat(run.resolve("checkpoints/0001-step-3/model.safetensors"))
                .hasSameBinaryContentAs(root.resolve("tiny/model.safetensors"));
        assertThat(new TinyOnlineRun(run).metrics()).hasSize(4);

        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(root.resolve("tiny"));
            model.parameters().getLast().value().fill(Double.NaN);
            Pretrained.save(model, root.resolve("tiny"));
            assertThatThrownBy(() -> TinyOnlineRun.of(method, root, "damaged", settings))
                    .hasMessageContaining(
                            "First not finite: " + model.parameters().getLast().name())
                    .hasMessageContaining("no checkpoint had been saved yet");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aTeacherThatSaysNothingTeachesNothing(boolean miniLlm) throws IOException {
        TinyOnlineRun.world(root);
        OnlineTrainer<?> method = miniLlm ? OnlineTrainer.MINILLM.withRewards(DIGITS) : OnlineTrainer.GKD;
        try (Scope scope = Scope.open()) {
            Decoder teacher = Pretrained.load(root.resolve("teacher"));
            teacher.trained().forEach(t -> t.fill(Double.NaN));
            Pretrained.save(teacher, root.resolve("teacher"));
        }
        Map<String, Object> settings =
                with("teacher_model_name_or_path", "@teacher", miniLlm ? "max_completion_length" : "max_new_tokens", 5);
        if (miniLlm) {
            settings.putAll(judged("num_generations", 2));
        }
        assertThatThrownBy(() -> TinyOnlineRun.of(method, root, "stopped", settings))
                .hasMessageContaining("First not finite: the loss");
        settings.put("nonfinite_loss", "skip");
        TinyOnlineRun skipped = TinyOnlineRun.of(method, root, "skipped", settings);
        assertThat(skipped.weights()).isEqualTo(Files.readAllBytes(root.resolve("tiny/model.safetensors")));
    }
}
