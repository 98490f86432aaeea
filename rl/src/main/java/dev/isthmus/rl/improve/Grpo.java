package dev.isthmus.rl.improve;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Normalizer;
import dev.isthmus.rl.online.CompletionBatch;
import dev.isthmus.rl.online.RolloutMetrics;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Group relative policy optimization (Shao et al. 2024). */
final class Grpo implements Method {
    private final Recipe.Grpo settings;
    private final GrpoLoss objective;

    Grpo(Recipe.Grpo settings) {
        this.settings = settings;
        objective = settings.loss();
    }

    @Override
    public int stepsPerRound() {
        return settings.stepsPerRound() * settings.numIterations();
    }

    @Override
    public void round(Learner learner, int round) {
        for (int step = 0; step < settings.stepsPerRound(); step++) {
            step(learner, learner.rng().split("step", round, step), step == 0);
        }
    }

    private void step(Learner learner, Rng rng, boolean keepSamples) {
        List<Rollout> rollouts =
                learner.answers(settings.problems(), settings.numGenerations(), settings.sampling(), rng);
        List<RewardFunction> functions = settings.rewards(learner.policy().task());
        double[][] judged = RewardFunction.scoreAll(
                functions,
                rollouts.stream().map(r -> r.problem().prompt()).toList(),
                rollouts.stream().map(Rollout::text).toList(),
                RewardFunction.columns(
                        rollouts.stream().map(Rollout::problem).toList(),
                        rollouts.stream().map(r -> r.completion().tokens()).toList()));
        double[] weights = settings.rewardWeights().stream().mapToDouble(w -> w).toArray();
        Advantages advantages = Advantages.groupRelative(
                learner.control().apply(judged, rng),
                weights,
                settings.numGenerations(),
                settings.scale(),
                MultiObjectiveAggregation.SUM_THEN_NORMALIZE);
        if (keepSamples) {
            learner.log().samples(rollouts, advantages.rewards());
        }
        Map<String, Double> batch = RolloutMetrics.of(
                rollouts.stream().map(Rollout::completion).toList(), functions, judged, advantages.rewards());
        batch.putAll(RolloutMetrics.ofGroups(advantages));
        List<Example> examples = rollouts.stream().map(Rollout::example).toList();
        for (int i = 0; i < settings.numIterations(); i++) {
            Map<String, Double> metrics = new LinkedHashMap<>();
            Trainer.Step done = learner.trainer()
                    .step(List.of(() -> loss(learner, rollouts, examples, advantages.values(), metrics)));
            Map<String, Double> line = done.metrics();
            line.putAll(batch);
            line.putAll(metrics);
            learner.log().step(examples, line);
        }
    }

    private Tensor loss(
            Learner learner,
            List<Rollout> rollouts,
            List<Example> examples,
            double[] advantages,
            Map<String, Double> metrics) {
        Decoder model = learner.trainer().model();
        CompletionBatch completions = new CompletionBatch(examples);
        CompletionBatch.Scores policy = completions.scores(model, settings.temperature(), true);
        Tensor logps = policy.logps();
        Tensor sampled = completions.pad(
                rollouts.stream().map(r -> r.completion().logProbs()).toList());
        boolean[] counted = new boolean[rollouts.size()];
        for (int i = 0; i < counted.length; i++) {
            counted[i] = !settings.maskTruncatedCompletions()
                    || rollouts.get(i).completion().finished();
        }
        Tensor mask = completions.mask(counted);
        LossResult result = objective.compute(new GrpoLoss.Inputs(
                logps,
                sampled,
                reference(learner, completions),
                Tensor.of(advantages, advantages.length).to(logps.dtype()),
                null,
                new Normalizer.Batch(mask, mask.sum().item(), learner.policy().maxNewTokens(), 1)));
        metrics.putAll(result.metrics());
        Autograd.noGrad(() -> {
            double tokens = Math.max(1, mask.sum().item());
            Tensor entropy = Objects.requireNonNull(policy.entropy());
            metrics.put("entropy", entropy.mul(mask).sum().item() / tokens);
            Tensor difference = logps.detach().sub(sampled).abs().mul(mask);
            metrics.put(
                    "sampling/sampling_logp_difference/mean", difference.sum().item() / tokens);
            metrics.put(
                    "sampling/sampling_logp_difference/max",
                    Arrays.stream(difference.toDoubles()).max().orElse(0));
        });
        return result.loss();
    }

    private @Nullable Tensor reference(Learner learner, CompletionBatch completions) {
        return settings.beta() == 0
                ? null
                : Autograd.noGrad(() -> completions
                        .scores(learner.reference(), settings.temperature(), false)
                        .logps());
    }
}
