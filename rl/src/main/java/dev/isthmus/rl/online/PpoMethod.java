package dev.isthmus.rl.online;

import dev.isthmus.model.Parameter;
import dev.isthmus.rl.objective.KlController;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.PpoLoss;
import dev.isthmus.rl.reward.GeneralizedAdvantages;
import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.rl.reward.Whitening;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * PPO: tokens are worth what generalized advantage estimation makes of a critic and of rewards of tokens, which are the KL penalty
 * and, at the last, the score.
 *
 * <p>Means are over the tokens of the whole optimizer step, so that they do not depend on its micro-batches. TRL gives the score to the
 * state after the last token where the longest completion of the batch leaves room for one; here it is always the last token's.
 */
final class PpoMethod implements OnlineMethod {
    private final PpoConfig own;
    private final MethodConfig<PpoConfig> config;
    private final OnlineSettings settings;
    private final PpoLoss loss;
    private final KlEstimator estimator;
    private KlController controller;
    private @Nullable Critic critic;
    private long episode;

    PpoMethod(MethodConfig<PpoConfig> config) {
        this.config = config;
        own = config.own();
        settings = own.settings();
        loss = own.loss();
        estimator = own.estimator();
        controller = own.controller();
    }

    @Override
    public OnlineSettings settings() {
        return settings;
    }

    @Override
    public boolean usesReference() {
        return true;
    }

    @Override
    public void load(PromptedModel policy, Start start) {
        Path begun = Path.of(own.valueModel() == null ? config.model() : own.valueModel());
        critic = Critic.load(begun, start.directory());
        policy.requireVocabulary("value_model", critic.model());
    }

    private Critic critic() {
        return Objects.requireNonNull(critic);
    }

    @Override
    public List<Parameter> parameters() {
        return critic().parameters();
    }

    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        int n = rollouts.size();
        double penalty = own.missingEosPenalty() == null ? 0 : own.missingEosPenalty();
        double[][] values = critic().values(rollouts, config.base().perDeviceTrainBatchSize());
        double[][] rewards = new double[n][];
        boolean[][] counted = new boolean[n][];
        for (int i = 0; i < n; i++) {
            Rollout rollout = rollouts.get(i);
            counted[i] = new boolean[rollout.completion().length];
            Arrays.fill(counted[i], true);
            rewards[i] = TokenRewards.klPenalized(
                    rollout.sampledLogps(),
                    rollout.referenceLogps(),
                    rollout.score(penalty),
                    controller.value(),
                    estimator,
                    counted[i].length);
        }
        GeneralizedAdvantages estimated = GeneralizedAdvantages.of(
                own.whitenRewards() ? Whitening.whiten(rewards, counted, false) : rewards,
                values,
                null,
                own.gamma(),
                own.lam());
        double[][] advantages = Whitening.whiten(estimated.advantages(), counted, true);
        report(rollouts, penalty, log);
        List<Rollout> worth = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            worth.add(rollouts.get(i)
                    .withCritic(advantages[i], values[i], estimated.returns()[i]));
        }
        return List.copyOf(worth);
    }

    private void report(List<Rollout> rollouts, double penalty, StepLog log) {
        double kl = RolloutMetrics.objective(rollouts, penalty, controller.value(), estimator, log);
        log.put("objective/kl_coef", controller.value());
        log.put(
                "val/num_eos_tokens",
                rollouts.stream().filter(Rollout::finished).count());
        controller = controller.after(kl, rollouts.size());
        episode += rollouts.size();
        log.put("episode", episode);
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        Tensor mask = batch.mask();
        PpoLoss.Result result = loss.compute(new PpoLoss.Inputs(
                batch.logps(),
                batch.oldLogps(),
                batch.padDoubles(Rollout::advantages),
                mask,
                critic().values(batch),
                batch.padDoubles(Rollout::values),
                batch.padDoubles(Rollout::returns),
                mask));
        Map<String, Double> metrics = new LinkedHashMap<>(result.metrics());
        double share = mask.sum().item() / batch.numItemsInBatch();
        return new LossResult(result.loss().mul(share), metrics);
    }

    @Override
    public void state(ObjectNode state) {
        state.put("kl_coef", controller.value()).put("episode", episode);
    }

    @Override
    public void restore(JsonNode state) {
        if (state.has("kl_coef") && controller instanceof KlController.Adaptive) {
            controller = new KlController.Adaptive(state.path("kl_coef").asDouble(), own.target(), own.horizon());
        }
        episode = state.path("episode").asLong(0);
    }

    @Override
    public void save(Path checkpoint) {
        critic().save(checkpoint);
    }
}
