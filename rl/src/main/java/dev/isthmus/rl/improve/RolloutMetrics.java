package dev.isthmus.rl.improve;

import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** What a batch of judged answers says, under TRL's keys. */
final class RolloutMetrics {
    private RolloutMetrics() {}

    static Map<String, Double> of(List<Rollout> rollouts, double[] rewards, int numGenerations) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        double mean = Arrays.stream(rewards).average().orElse(0);
        metrics.put("reward", mean);
        if (numGenerations > 1) {
            double[][] rows = Arrays.stream(rewards).mapToObj(r -> new double[] {r}).toArray(double[][]::new);
            Advantages groups = Advantages.groupRelative(
                    rows, new double[] {1}, numGenerations, ScaleRewards.GROUP, MultiObjectiveAggregation.SUM_THEN_NORMALIZE);
            metrics.put("reward_std", Arrays.stream(groups.std()).average().orElse(0));
            metrics.put("frac_reward_zero_std", groups.fracRewardZeroStd());
        }
        metrics.put("rewards/accuracy_reward/mean", mean);
        metrics.put("rewards/accuracy_reward/std", deviation(rewards, mean));
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
        return metrics;
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
