package dev.isthmus.rl.improve;

import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.rl.reward.RewardFunction;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** What a batch of judged answers says, under TRL's keys. */
final class RolloutMetrics {
    private RolloutMetrics() {}

    /** Of answers with one reward each, 1 or 0. */
    static Map<String, Double> of(List<Rollout> rollouts, double[] correct, int numGenerations) {
        double[][] rows = Arrays.stream(correct).mapToObj(r -> new double[] {r}).toArray(double[][]::new);
        Map<String, Double> metrics = new LinkedHashMap<>();
        if (numGenerations > 1) {
            groups(
                    metrics,
                    Advantages.groupRelative(
                            rows,
                            new double[] {1},
                            numGenerations,
                            ScaleRewards.GROUP,
                            MultiObjectiveAggregation.SUM_THEN_NORMALIZE));
        } else {
            metrics.put("reward", Arrays.stream(correct).average().orElse(0));
        }
        function(metrics, "accuracy_reward", correct);
        answers(metrics, rollouts);
        return metrics;
    }

    /** Of answers that several functions rewarded: {@code rewards[answer][function]}. */
    static Map<String, Double> of(
            List<Rollout> rollouts, List<RewardFunction> functions, double[][] rewards, Advantages advantages) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        groups(metrics, advantages);
        for (int f = 0; f < functions.size(); f++) {
            int column = f;
            function(
                    metrics,
                    functions.get(f).name(),
                    Arrays.stream(rewards).mapToDouble(row -> row[column]).toArray());
        }
        answers(metrics, rollouts);
        return metrics;
    }

    private static void groups(Map<String, Double> metrics, Advantages advantages) {
        metrics.put("reward", Arrays.stream(advantages.rewards()).average().orElse(0));
        metrics.put("reward_std", Arrays.stream(advantages.std()).average().orElse(0));
        metrics.put("frac_reward_zero_std", advantages.fracRewardZeroStd());
    }

    private static void function(Map<String, Double> metrics, String name, double[] rewards) {
        double[] scored = Arrays.stream(rewards).filter(r -> !Double.isNaN(r)).toArray();
        double mean = Arrays.stream(scored).average().orElse(0);
        metrics.put("rewards/" + name + "/mean", mean);
        metrics.put("rewards/" + name + "/std", deviation(scored, mean));
    }

    private static void answers(Map<String, Double> metrics, List<Rollout> rollouts) {
        lengths(metrics, "length", rollouts, _ -> true);
        lengths(metrics, "terminated_length", rollouts, r -> r.completion().finished());
        metrics.put(
                "completions/clipped_ratio",
                rollouts.stream().filter(r -> !r.completion().finished()).count() / (double) rollouts.size());
        // The negative log-probability of what was sampled is an unbiased estimate of the entropy.
        double surprise = 0;
        long tokens = 0;
        for (Rollout rollout : rollouts) {
            for (float logProb : rollout.completion().logProbs()) {
                surprise -= logProb;
                tokens++;
            }
        }
        metrics.put("entropy", surprise / Math.max(1, tokens));
    }

    private static void lengths(
            Map<String, Double> metrics, String name, List<Rollout> rollouts, Predicate<Rollout> counted) {
        var lengths = rollouts.stream()
                .filter(counted)
                .mapToInt(r -> r.completion().tokens().length)
                .summaryStatistics();
        boolean any = lengths.getCount() > 0;
        metrics.put("completions/mean_" + name, lengths.getAverage());
        metrics.put("completions/min_" + name, any ? lengths.getMin() : 0.0);
        metrics.put("completions/max_" + name, any ? lengths.getMax() : 0.0);
    }

    private static double deviation(double[] values, double mean) {
        double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
        return values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
    }
}
