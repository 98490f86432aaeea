package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.DpoLoss;
import dev.isthmus.rl.objective.preference.DpoLossType;
import dev.isthmus.rl.objective.preference.ExplorationLoss;
import dev.isthmus.rl.objective.preference.IpoLoss;
import dev.isthmus.rl.objective.preference.NashMdLoss;
import dev.isthmus.rl.objective.preference.PairLoss;
import dev.isthmus.rl.online.PromptedModel.Answer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Methods that compare two completions of each prompt, of which the policy writes the first. They differ in who writes the second,
 * and in what is minimized.
 */
final class PairMethod implements OnlineMethod {
    private final PairConfig config;
    private final OnlineSettings settings;
    private final @Nullable Opponent opponent;
    private final boolean learnsSecond;
    private final Objective objective;

    /** Who writes the second completion. */
    @FunctionalInterface
    private interface Opponent {
        Ensemble of(Decoder policy, Decoder reference);
    }

    /** What is minimized: a mean over prompts. */
    @FunctionalInterface
    private interface Objective {
        LossResult loss(ComparedBatch compared);
    }

    private PairMethod(PairConfig config, @Nullable Opponent opponent, boolean learnsSecond, Objective objective) {
        this.config = config;
        this.opponent = opponent;
        this.learnsSecond = learnsSecond;
        this.objective = objective;
        int learned = learnsSecond ? 2 : 1;
        settings = new OnlineSettings(config.sampling(), config.rewards(), config.maxNewTokens(), learned, learned);
    }

    /** The policy writes both, and learns from which is better. */
    static PairMethod onlineDpo(MethodConfig<OnlineDpoConfig> config) {
        OnlineDpoConfig own = config.own();
        PairConfig pairs = own.pairs();
        return new PairMethod(pairs, null, true, compared -> own.lossType().loss(compared, pairs.beta(), own.eta()));
    }

    /** The reference writes the second, which the policy learns to leave (XPO, Xie et al. 2024, arXiv 2405.21046, algorithm 1). */
    static PairMethod xpo(MethodConfig<XpoConfig> config) {
        PairConfig pairs = config.own().pairs();
        ExplorationLoss loss = ExplorationLoss.xpo(
                loss(config.own().lossType(), pairs.beta()), config.own().alpha());
        return new PairMethod(
                pairs,
                (_, reference) -> Ensemble.of(reference),
                true,
                compared -> loss.compute(compared.pairs(compared.all()), compared.written(ComparedBatch.SECOND)));
    }

    /** The geometric mixture of policy and reference writes the second (Nash-MD, Munos et al. 2023, arXiv 2312.00886, section 7). */
    static PairMethod nashMd(MethodConfig<NashMdConfig> config) {
        double mixture = config.own().mixtureCoef();
        NashMdLoss loss = new NashMdLoss(config.own().pairs().beta());
        return new PairMethod(
                config.own().pairs(),
                (policy, reference) ->
                        new Ensemble(List.of(policy, reference), Ensemble.productOfExperts(1 - mixture, mixture)),
                false,
                compared ->
                        loss.compute(compared.all().withScores(compared.batch().advantages())));
    }

    private static PairLoss loss(String lossType, double beta) {
        return switch (lossType) {
            case "sigmoid" -> DpoLoss.of(DpoLossType.SIGMOID, beta);
            case "ipo" -> new IpoLoss(beta);
            default -> throw new IsthmusException("loss_type '" + lossType + "' is unknown; there are sigmoid, ipo");
        };
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
    public List<Answer> answer(PromptedModel policy, @Nullable FrozenModel reference, List<Prompt> rows, Rng rng) {
        if (opponent == null) {
            return policy.answer(rows, 2, rng);
        }
        List<Answer> own = policy.answer(rows, 1, rng.split("policy"));
        Ensemble second =
                opponent.of(policy.model(), Objects.requireNonNull(reference).model());
        List<Answer> others = policy.answer(second, rows, 1, rng.split("opponent"));
        List<Answer> both = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            both.add(own.get(i));
            both.add(others.get(i));
        }
        return both;
    }

    /** Where only the first completion is learned from, its advantage is the probability that it is the better one. */
    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        List<Rollout> own = opponent == null ? rollouts : part(rollouts, ComparedBatch.FIRST);
        RolloutMetrics.objective(own, config.penalty(), config.beta(), KlEstimator.K1, log);
        log.put("beta", config.beta());
        log.put(opponent == null ? "val/contain_eos_token" : "val/model_contain_eos_token", finished(own));
        if (opponent != null) {
            log.put("val/ref_contain_eos_token", finished(part(rollouts, ComparedBatch.SECOND)));
        }
        List<Rollout> probable = new ArrayList<>();
        for (int i = 0; i < rollouts.size(); i += 2) {
            double first = rollouts.get(i).score(config.penalty());
            double second = rollouts.get(i + 1).score(config.penalty());
            log.put("objective/scores_margin", Math.abs(first - second));
            if (opponent != null) {
                log.put("objective/model_scores", first);
                log.put("objective/ref_scores", second);
            }
            probable.add(rollouts.get(i).withAdvantages(ComparedBatch.probability(first, second)));
        }
        return learnsSecond ? rollouts : List.copyOf(probable);
    }

    private static List<Rollout> part(List<Rollout> rollouts, int which) {
        return IntStream.range(0, rollouts.size() / 2)
                .mapToObj(i -> rollouts.get(2 * i + which))
                .toList();
    }

    private static double finished(List<Rollout> rollouts) {
        return rollouts.stream().filter(Rollout::finished).count() / (double) rollouts.size();
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        LossResult result = objective.loss(new ComparedBatch(batch, config.penalty()));
        return new LossResult(result.loss().div(batch.gradientAccumulationSteps()), result.metrics());
    }
}
