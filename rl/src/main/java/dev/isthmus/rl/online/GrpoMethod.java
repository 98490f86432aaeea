package dev.isthmus.rl.online;

import dev.isthmus.rl.objective.AdaptiveEntropy;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.rl.reward.Whitening;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** GRPO and other methods that need no critic: what completions are worth says an {@link AdvantageEstimator}. */
class GrpoMethod implements OnlineMethod {
    private final OnlineSettings settings;
    private final GrpoLoss loss;
    private final double beta;
    private final AdvantageEstimator estimator;
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
        beta = own.group().beta();
        estimator = own.estimator();
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
        return beta != 0;
    }

    @Override
    public boolean usesGreedyBaseline() {
        return estimator == AdvantageEstimator.REMAX;
    }

    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        double[] rewards = rollouts.stream()
                .mapToDouble(rollout -> rollout.score(0) - penalty(rollout, log))
                .toArray();
        if (estimator == AdvantageEstimator.REINFORCE_PLUS_PLUS) {
            return whitened(rollouts, i -> returns(rollouts.get(i)));
        }
        int group = settings.numGenerations();
        Advantages advantages = switch (estimator) {
            case RLOO, REINFORCE_PLUS_PLUS_BASELINE -> Advantages.leaveOneOut(rewards, group, false);
            case REMAX -> Advantages.aboveGreedy(rewards, baselines(rollouts, log), group);
            default ->
                Advantages.groupRelative(
                        rollouts.stream().map(Rollout::rewards).toArray(double[][]::new),
                        settings.rewards().weights(),
                        group,
                        scaling,
                        aggregation);
        };
        if (!settings.rewards().rewardFuncs().isEmpty()) {
            log.putAll(RolloutMetrics.ofGroups(advantages));
        }
        if (estimator == AdvantageEstimator.REINFORCE_PLUS_PLUS_BASELINE) {
            return whitened(rollouts, i -> {
                double[] tokens = new double[rollouts.get(i).completion().length];
                Arrays.fill(tokens, advantages.values()[i]);
                return tokens;
            });
        }
        return Rollout.withAdvantages(rollouts, advantages.values());
    }

    /** {@code beta sum_t (log pi - log pi_ref)}, where that is taken off the reward. */
    private double penalty(Rollout rollout, StepLog log) {
        if (beta == 0 || !estimator.klInReward()) {
            return 0;
        }
        double kl = TokenRewards.klOfSequence(rollout.sampledLogps(), rollout.referenceLogps());
        log.put("kl", kl / rollout.completion().length, rollout.completion().length);
        return beta * kl;
    }

    /** What the greedy completions of the prompts are rewarded with, 0 where no function had anything to say. */
    private double[] baselines(List<Rollout> rollouts, StepLog log) {
        int group = settings.numGenerations();
        double[] baselines = IntStream.range(0, rollouts.size() / group)
                .mapToDouble(g -> rollouts.get(g * group).baseline())
                .map(b -> Double.isNaN(b) ? 0 : b)
                .toArray();
        log.put("reward_greedy", Arrays.stream(baselines).average().orElse(0));
        return baselines;
    }

    /** Of each token what is still to come of the reward and of the KL penalties of tokens. */
    private double[] returns(Rollout rollout) {
        double[] rewards = TokenRewards.klPenalized(
                rollout.sampledLogps(),
                beta == 0 ? rollout.sampledLogps() : rollout.referenceLogps(),
                rollout.score(0),
                beta,
                KlEstimator.K1,
                rollout.completion().length);
        return TokenRewards.returns(rewards, 1);
    }

    /** What tokens are worth, brought to mean 0 and deviation 1 over all that count. */
    private List<Rollout> whitened(List<Rollout> rollouts, IntFunction<double[]> worth) {
        double[][] tokens = new double[rollouts.size()][];
        boolean[][] counted = new boolean[tokens.length][];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = worth.apply(i);
            counted[i] = new boolean[tokens[i].length];
            Arrays.fill(counted[i], rollouts.get(i).counts(settings));
        }
        double[][] advantages = Whitening.whiten(tokens, counted, true);
        return IntStream.range(0, tokens.length)
                .mapToObj(i -> rollouts.get(i).withAdvantages(advantages[i]))
                .toList();
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        return (adaptive == null ? loss : loss.withEntropyCoef(adaptive.applied()))
                .compute(new GrpoLoss.Inputs(
                        batch.logps(),
                        batch.oldLogps(),
                        loss.beta() == 0 ? null : batch.refLogps(),
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
