package dev.isthmus.rl.improve;

import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.online.RolloutMetrics;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Epochs;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Expert iteration: sample answers, keep the right ones, fine-tune on them (STaR, Zelikman et al. 2022; ReST-EM, Singh et al.
 * 2023; RFT, Yuan et al. 2023).
 */
record ExpertIteration(Recipe.ExpertIteration settings) implements Method {
    @Override
    public int stepsPerRound() {
        return settings.maxSteps();
    }

    @Override
    public void round(Learner learner, int round) {
        Rng rng = learner.rng().split("round", round);
        List<Rollout> rollouts =
                learner.answers(settings.problems(), settings.numGenerations(), settings.sampling(), rng);
        double[] correct = rollouts.stream()
                .mapToDouble(r -> r.verdict().correct() ? 1 : 0)
                .toArray();
        List<Rollout> selected = select(rollouts, correct, learner.control(), rng);
        learner.log().samples(rollouts, correct);
        Map<String, Double> metrics = RolloutMetrics.of(
                rollouts.stream().map(Rollout::completion).toList(), correct, settings.numGenerations());
        metrics.put("selected", (double) selected.size());
        train(learner, selected.stream().map(Rollout::example).toList(), metrics, rng);
    }

    private List<Rollout> select(List<Rollout> rollouts, double[] correct, Control control, Rng rng) {
        return switch (control) {
            case NONE -> kept(rollouts, correct);
            case SHUFFLED_REWARDS -> {
                Double[] dealt = control.apply(Arrays.stream(correct).boxed().toArray(Double[]::new), rng);
                yield kept(rollouts, Arrays.stream(dealt).mapToDouble(r -> r).toArray());
            }
            case RANDOM_FILTER -> {
                int[] order = IntStream.range(0, rollouts.size()).toArray();
                rng.split(control.key()).shuffle(order);
                yield IntStream.range(0, kept(rollouts, correct).size())
                        .mapToObj(i -> rollouts.get(order[i]))
                        .toList();
            }
        };
    }

    /** The different rewarded answers to each problem, up to the limit. */
    private List<Rollout> kept(List<Rollout> rollouts, double[] rewards) {
        Map<String, Set<String>> seen = new HashMap<>();
        List<Rollout> kept = new ArrayList<>();
        for (int i = 0; i < rollouts.size(); i++) {
            Rollout rollout = rollouts.get(i);
            Set<String> answers = seen.computeIfAbsent(rollout.problem().prompt(), _ -> new HashSet<>());
            if (rewards[i] > 0 && answers.size() < settings.maxSelected() && answers.add(rollout.text())) {
                kept.add(rollout);
            }
        }
        return kept;
    }

    private void train(Learner learner, List<Example> examples, Map<String, Double> rollouts, Rng rng) {
        Epochs epochs = new Epochs(examples.size(), rng.split("order"));
        for (int step = 0; step < settings.maxSteps() && !examples.isEmpty(); step++) {
            List<Example> batch = epochs.batch(step, settings.batchSize())
                    .mapToObj(examples::get)
                    .toList();
            int tokens = CompletionLoss.tokens(batch);
            Trainer.Step done = learner.trainer()
                    .step(List.of(() -> CompletionLoss.mean(learner.trainer().model(), batch, tokens)));
            Map<String, Double> metrics = done.metrics();
            if (step + 1 == settings.maxSteps()) {
                metrics.putAll(rollouts);
            }
            learner.log().step(batch, metrics);
        }
    }
}
