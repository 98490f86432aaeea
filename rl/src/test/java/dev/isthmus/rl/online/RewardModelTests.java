package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.rl.offline.Reward;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.rl.reward.RewardModel;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.loop.TrainingLoop;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Models that {@code reward} trained, as judges of what other models write. */
class RewardModelTests {
    private static final int PAIRS = 12;

    @TempDir
    private Path root;

    @BeforeEach
    void world() throws IOException {
        TinyOnlineRun.world(root);
        List<String> rows = new ArrayList<>();
        for (int i = 0; i < PAIRS; i++) {
            rows.add("{\"prompt\":\"" + prompt(i) + "\",\"chosen\":\"" + 2 * i + "\",\"rejected\":\"" + i + "+=\"}");
        }
        Files.write(root.resolve("pairs.jsonl"), rows, StandardCharsets.UTF_8);
    }

    private static String prompt(int i) {
        return i + "+" + i + "=";
    }

    /** Trains a judge, and gives what it says of its last step's held-out rows. */
    private JsonNode judge(String peft) throws IOException {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("model", root.resolve("tiny").toString());
        settings.put("data", root.resolve("pairs.jsonl").toString());
        settings.put("eval_data", root.resolve("pairs.jsonl").toString());
        settings.put("learning_rate", 1e-2);
        settings.put("max_steps", 10);
        settings.put("peft", peft);
        Reward reward = new Reward();
        TinyOnlineRun.quietly(
                () -> TrainingLoop.begin(reward, reward.configure(null, settings), root.resolve("judge"), _ -> {}));
        return new TinyOnlineRun(root.resolve("judge")).metrics().getLast();
    }

    @ParameterizedTest
    @CsvSource({",1", ",5", "lora,5"})
    void itsRewardsAreThoseThatItsTrainerSaw(String peft, int batchSize) throws IOException {
        JsonNode seen = judge(peft);
        try (Scope scope = Scope.open()) {
            RewardModel model = RewardModel.load(root.resolve("judge/model"), batchSize);
            assertThat(model.name()).isEqualTo("model");
            List<String> prompts = new ArrayList<>();
            List<String> completions = new ArrayList<>();
            for (int i = 0; i < PAIRS; i++) {
                prompts.addAll(List.of(prompt(i), prompt(i)));
                completions.addAll(List.of("" + 2 * i, i + "+="));
            }
            double[] rewards = model.score(prompts, completions, Map.of());
            double better = 0;
            double margin = 0;
            for (int i = 0; i < rewards.length; i += 2) {
                better += rewards[i] > rewards[i + 1] ? 1.0 / PAIRS : 0;
                margin += (rewards[i] - rewards[i + 1]) / PAIRS;
            }
            assertThat(better).isCloseTo(seen.get("eval_accuracy").asDouble(), within(1e-9));
            assertThat(margin).isCloseTo(seen.get("eval_margin").asDouble(), within(1e-6));
            assertThat(Arrays.stream(rewards).average().orElseThrow())
                    .isCloseTo(seen.get("eval_mean_reward").asDouble(), within(1e-6));
        }
    }

    @ParameterizedTest
    @CsvSource({"grpo,", "rloo,", "ppo,lora", "online-dpo,", "nash-md,", "xpo,lora"})
    void everyTrainerLearnsFromItsRewards(String trainer, String peft) throws IOException {
        judge(peft);
        String judge = root.resolve("judge/model").toString();
        boolean ppo = trainer.equals("ppo");
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put(ppo ? "reward_model_path" : "reward_funcs", ppo ? judge : List.of(judge));
        settings.put("log_completions", true);
        settings.put("max_steps", 2);
        if (ppo) {
            settings.put("num_ppo_epochs", 1);
        }
        OnlineTrainer<?> method = switch (trainer) {
            case "grpo" -> OnlineTrainer.GRPO;
            case "rloo" -> OnlineTrainer.RLOO;
            case "ppo" -> OnlineTrainer.PPO;
            case "online-dpo" -> OnlineTrainer.ONLINE_DPO;
            case "nash-md" -> OnlineTrainer.NASH_MD;
            default -> OnlineTrainer.XPO;
        };
        boolean group = trainer.equals("grpo") || trainer.equals("rloo");
        settings.put(group ? "max_completion_length" : ppo ? "response_length" : "max_new_tokens", 5);
        TinyOnlineRun run = TinyOnlineRun.of(method, root, "run", settings);
        List<JsonNode> samples = run.text("samples.jsonl")
                .lines()
                .map(JsonMapper.shared()::readTree)
                .filter(line -> line.has("reward"))
                .toList();
        try (Scope scope = Scope.open()) {
            double[] rewards = RewardModel.load(root.resolve("judge/model"), 3)
                    .score(
                            samples.stream()
                                    .map(s -> s.get("prompt").asString())
                                    .toList(),
                            samples.stream()
                                    .map(s -> s.get("completion").asString())
                                    .toList(),
                            Map.of());
            for (int i = 0; i < rewards.length; i++) {
                assertThat(rewards[i]).isEqualTo(samples.get(i).get("reward").asDouble());
            }
            assertThat(Arrays.stream(rewards).distinct().count()).isGreaterThan(4);
            assertThat(run.metric("rewards/model/mean")).hasSize(2);
            assertThat(Arrays.stream(run.metric("rewards/model/mean")).average().orElseThrow())
                    .isCloseTo(Arrays.stream(rewards).average().orElseThrow(), within(1e-6));
        }
    }

    @Test
    void conversationsAreWrittenWithItsOwnTemplate() throws IOException {
        judge(null);
        Path model = root.resolve("judge/model");
        Files.writeString(
                model.resolve("tokenizer_config.json"),
                "{\"chat_template\": \"{% for m in messages %}{{ m.content }}{% if m.role == 'user' %}={% endif %}{% endfor %}\"}");
        try (Scope scope = Scope.open()) {
            RewardModel judge = RewardModel.load(model, 2);
            List<Map<String, Object>> messages = List.of(Map.of("role", "user", "content", "1+2"));
            double[] asConversation =
                    judge.score(List.of("<user>1+2"), List.of("34"), Map.of("prompt", List.of(messages)));
            int[] tokens = Tokenizers.load(model).encode("1+2=34");
            assertThat(Classifier.load(model, 1, false).last(List.of(tokens)).toDoubles())
                    .containsExactly(asConversation);
        }
    }

    @Test
    void whatIsNoRewardModelIsSaid() {
        Map<String, Object> settings =
                Map.of("reward_funcs", List.of(root.resolve("tiny").toString()));
        assertThatThrownBy(() -> TinyOnlineRun.of(OnlineTrainer.RLOO, root, "run", settings))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("tiny has no score.weight");
        assertThatThrownBy(() -> TinyOnlineRun.of(
                        OnlineTrainer.RLOO, root, "run", Map.of("reward_funcs", List.of("nowhere/model"))))
                .hasMessageContaining("reward_funcs 'nowhere/model' is unknown")
                .hasMessageContaining("directories of reward models");
        assertThat(root.resolve("run")).doesNotExist();
    }

    /** A head of numbers is nothing that writes. */
    @Test
    void anAdapterWithAHeadIsNoLanguageModel() throws IOException {
        judge("lora");
        try (Scope scope = Scope.open()) {
            assertThatThrownBy(() -> Peft.load(root.resolve("judge/model"), Pretrained.load(root.resolve("tiny"))))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("modules_to_save")
                    .hasMessageContaining("score");
        }
    }
}
