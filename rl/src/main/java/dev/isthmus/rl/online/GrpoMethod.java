package dev.isthmus.rl.online;

import dev.isthmus.rl.objective.AdaptiveEntropy;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** GRPO: completions are worth what their rewards are above those of the same prompt. */
class GrpoMethod implements OnlineMethod {
    private final OnlineSettings settings;
    private final GrpoLoss loss;
    private final double routerAuxLossCoef;
    private final ScaleRewards scaling;
    private final MultiObjectiveAggregation aggregation;
    private @Nullable AdaptiveEntropy adaptive;

    GrpoMethod(MethodConfig<GrpoConfig> config) {
        this(config, config.own());
    }

    GrpoMethod(MethodConfig<?> config, GrpoConfig own) {
        settings = own.group().settings(config.base(), own.dynamicSampling() ? own.maxNumGenBatches() : 0);
        loss = own.loss();
        routerAuxLossCoef = own.group().routerAuxLossCoef();
        scaling = own.scaling();
        aggregation = own.aggregation();
        adaptive = own.adaptiveEntropy();
    }

    @Override
    public OnlineSettings settings() {
        return settings;
    }

    @Override
    public double routerAuxLossCoef() {
        return routerAuxLossCoef;
    }

    @Override
    public boolean usesReference() {
        return loss.beta() != 0;
    }

    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        Advantages advantages = Advantages.groupRelative(
                rollouts.stream().map(Rollout::rewards).toArray(double[][]::new),
                settings.rewards().weights(),
                settings.numGenerations(),
                scaling,
                aggregation);
        if (!settings.rewards().rewardFuncs().isEmpty()) {
            log.putAll(RolloutMetrics.ofGroups(advantages));
        }
        return Rollout.withAdvantages(rollouts, advantages.values());
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        return (adaptive == null ? loss : loss.withEntropyCoef(adaptive.applied()))
                .compute(new GrpoLoss.Inputs(
                        batch.logps(),
                        batch.oldLogps(),
                        usesReference() ? batch.refLogps() : null,
                        batch.advantages(),
                        batch.entropies(),
                        batch.normalization()));
    }

    @Override
    public void stepped(Map<String, Double> metrics) {
        Double entropy = metrics.get("entropy");
        if (adaptive != null && entropy != null) {
            adaptive = adaptive.after(entropy);
        }
    }

    @Override
    public void state(ObjectNode state) {
        if (adaptive != null) {
            state.put("entropy_coef", adaptive.coef()).put("entropy", adaptive.lastEntropy());
        }
    }

    @Override
    public void restore(JsonNode state) {
        if (adaptive != null && state.has("entropy_coef")) {
            adaptive = new AdaptiveEntropy(
                    state.path("entropy_coef").asDouble(),
                    state.path("entropy").asDouble(),
                    adaptive.target(),
                    adaptive.delta(),
                    adaptive.min(),
                    adaptive.max());
        }
    }
}
