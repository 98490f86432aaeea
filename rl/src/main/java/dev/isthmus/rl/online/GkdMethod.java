package dev.isthmus.rl.online;

import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.online.PromptedModel.Answer;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * GKD: the student learns the teacher's distribution of each token, of completions that it wrote itself or that were given (Agarwal et
 * al. 2024, arXiv 2306.13649, algorithm 1).
 *
 * <p>As in TRL the temperature is that of sampling; the distributions are compared at 1. The divergence is a mean over the tokens of the
 * whole optimizer step.
 */
final class GkdMethod implements OnlineMethod {
    private final GkdConfig own;
    private final OnlineSettings settings;
    private final DistillationLoss loss;
    private final int evalBatchSize;
    private @Nullable FrozenModel teacher;

    GkdMethod(MethodConfig<GkdConfig> config) {
        own = config.own();
        settings = new OnlineSettings(
                own.sampling(), RewardFuncsConfig.none(own.logCompletions()), own.maxNewTokens(), 1, 1);
        evalBatchSize = config.base().perDeviceEvalBatchSize();
        loss = new DistillationLoss(own.beta(), 1);
        FrozenModel.requireTeacher(own.teacherModelNameOrPath());
    }

    @Override
    public OnlineSettings settings() {
        return settings;
    }

    @Override
    public boolean usesReference() {
        return false;
    }

    @Override
    public List<String> models() {
        return List.of(FrozenModel.requireTeacher(own.teacherModelNameOrPath()));
    }

    @Override
    public void load(PromptedModel policy, Start start) {
        teacher = FrozenModel.teacher(own.teacherModelNameOrPath(), policy);
        if (own.lmbda() < 1 && !own.seqKd()) {
            policy.requireCompletions();
        }
    }

    @Override
    public List<Answer> answer(PromptedModel policy, @Nullable FrozenModel reference, List<Prompt> rows, Rng rng) {
        if (rng.split("lmbda").nextDouble() < own.lmbda()) {
            return policy.answer(rows, 1, rng);
        }
        return own.seqKd()
                ? policy.answer(Ensemble.of(teacher().model()), rows, 1, rng)
                : IntStream.range(0, rows.size())
                        .mapToObj(i -> given(i, rows.get(i)))
                        .toList();
    }

    private static Answer given(int prompt, Prompt row) {
        float[] none = new float[0];
        return new Answer(
                row,
                new Completion(prompt, row.completion(), none, none, true),
                row.problem().demonstration(),
                false);
    }

    private FrozenModel teacher() {
        return Objects.requireNonNull(teacher);
    }

    /** The mean divergence of the tokens of the completions that are given. */
    @Override
    public void evaluate(PromptedModel policy, List<Prompt> heldOut, StepLog log) {
        List<Rollout> given = heldOut.stream()
                .filter(row -> row.completion().length > 0)
                .map(row -> Rollout.of(row.tokens(), row.completion(), new float[0], true))
                .toList();
        for (int i = 0; i < given.size(); i += evalBatchSize) {
            List<Rollout> some = given.subList(i, Math.min(given.size(), i + evalBatchSize));
            int tokens = some.stream().mapToInt(r -> r.completion().length).sum();
            try (Scope scope = Scope.open()) {
                RolloutBatch batch = new RolloutBatch(policy.model(), settings, some, tokens, 1, null);
                log.put("loss", Autograd.noGrad(() -> loss(batch).loss().item()), tokens);
            }
        }
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        return new LossResult(teacher().divergences(loss, batch).sum().div(batch.numItemsInBatch()), Map.of());
    }
}
