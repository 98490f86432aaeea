package dev.isthmus.rl.reward;

import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Scores completions: TRL's reward function contract in Java.
 *
 * <p>It gets the prompts, the completions and every other column of the data set by name, all of the same length, and
 * returns one number for each completion; {@link Double#NaN} where TRL has {@code None}, for a completion that this
 * function has nothing to say about. The trainer gives the columns {@code solution} (the true answers),
 * {@code completion_ids} (an {@code int[]} each), {@code problem} (the {@link Problem}s) and those of the problems; of prompts that are
 * conversations {@code prompt} holds the messages.
 */
public interface RewardFunction {
    /** The name in the metrics {@code rewards/NAME/mean} and {@code rewards/NAME/std}. */
    String name();

    /** One reward for each completion. */
    double[] score(List<String> prompts, List<String> completions, Map<String, List<?>> columns);

    /** The scoring part of a reward function, to be written as a lambda. */
    @FunctionalInterface
    interface Scorer {
        /** One reward for each completion. */
        double[] score(List<String> prompts, List<String> completions, Map<String, List<?>> columns);
    }

    /** A reward function from its name and a lambda. */
    static RewardFunction of(String name, Scorer scorer) {
        return new RewardFunction() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public double[] score(List<String> prompts, List<String> completions, Map<String, List<?>> columns) {
                return scorer.score(prompts, completions, columns);
            }
        };
    }

    /**
     * The control that must not teach anything: this function's rewards, dealt out anew among all the completions of
     * the batch. The stream is read on; give each training step one of its own ({@code rng.split("shuffle", step)}).
     */
    default RewardFunction shuffled(Rng rng) {
        return of("shuffled_" + name(), (prompts, completions, columns) -> {
            double[] rewards = score(prompts, completions, columns);
            for (int i = rewards.length - 1; i > 0; i--) {
                int j = rng.nextInt(i + 1);
                double t = rewards[i];
                rewards[i] = rewards[j];
                rewards[j] = t;
            }
            return rewards;
        });
    }

    /**
     * The columns of a batch: those of its problems, with {@code problem}, {@code solution} and {@code
     * completion_ids}.
     */
    static Map<String, List<?>> columns(List<Problem> problems, List<int[]> completionIds) {
        var columns = new LinkedHashMap<String, List<?>>();
        for (Problem problem : problems) {
            for (String name : problem.columns().keySet()) {
                columns.computeIfAbsent(name, n -> {
                    var values = new ArrayList<Object>();
                    problems.forEach(p -> values.add(p.columns().get(n)));
                    return values;
                });
            }
        }
        columns.put("problem", problems);
        columns.put("solution", problems.stream().map(Problem::answer).toList());
        columns.put("completion_ids", completionIds);
        return columns;
    }

    /**
     * Scores a batch by several functions: {@code [completion][function]}, as {@link Advantages} takes it.
     *
     * @throws IsthmusException if a function does not return one number for each completion
     */
    static double[][] scoreAll(
            List<RewardFunction> functions,
            List<String> prompts,
            List<String> completions,
            Map<String, List<?>> columns) {
        var rewards = new double[completions.size()][functions.size()];
        for (int f = 0; f < functions.size(); f++) {
            double[] scores = functions.get(f).score(prompts, completions, columns);
            if (scores.length != completions.size()) {
                throw new IsthmusException(
                        "The reward function " + functions.get(f).name() + " returned " + scores.length
                                + " rewards for " + completions.size() + " completions.");
            }
            for (int i = 0; i < scores.length; i++) {
                rewards[i][f] = scores[i];
            }
        }
        return rewards;
    }
}
