package dev.isthmus.rl.online;

import dev.isthmus.model.generate.Completion;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.train.loop.StepLog;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/** What a batch of judged answers says, under TRL's keys. */
public final class RolloutMetrics {
    private RolloutMetrics() {}

    /** Of answers with one reward each, 1 or 0. */
    public static Map<String, Double> of(List<Completion> completions, double[] correct, int numGenerations) {
        double[][] rows = Arrays.stream(correct).mapToObj(r -> new double[] {r}).toArray(double[][]::new);
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("reward", mean(correct));
        if (numGenerations > 1) {
            metrics.putAll(ofGroups(Advantages.groupRelative(
                    rows,
                    new double[] {1},
                    numGenerations,
                    ScaleRewards.GROUP,
                    MultiObjectiveAggregation.SUM_THEN_NORMALIZE)));
        }
        function(metrics, "accuracy_reward", correct);
        answers(metrics, completions);
        return metrics;
    }

    /**
     * Of answers that several functions rewarded.
     *
     * @param rewards {@code [answer][function]}
     * @param sums the weighted sum of each answer's rewards; NaN for one that no function could score
     */
    public static Map<String, Double> of(
            List<Completion> completions, List<RewardFunction> functions, double[][] rewards, double[] sums) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        if (!functions.isEmpty()) {
            metrics.put("reward", mean(sums));
        }
        for (int f = 0; f < functions.size(); f++) {
            int column = f;
            function(
                    metrics,
                    functions.get(f).name(),
                    Arrays.stream(rewards).mapToDouble(row -> row[column]).toArray());
        }
        answers(metrics, completions);
        return metrics;
    }

    /** How much the rewards of the answers to one prompt differ. */
    public static Map<String, Double> ofGroups(Advantages advantages) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("reward_std", mean(advantages.std()));
        metrics.put("frac_reward_zero_std", advantages.fracRewardZeroStd());
        return metrics;
    }

    /**
     * What PPO and its kin maximize: scores less a KL penalty.
     *
     * @param klCoef the weight of the penalty
     * @return the mean over completions of the divergence from the reference
     */
    static double objective(
            List<Rollout> rollouts, double missingEosPenalty, double klCoef, KlEstimator estimator, StepLog log) {
        StepLog sums = new StepLog(_ -> {});
        for (Rollout rollout : rollouts) {
            double[] logps = rollout.sampledLogps();
            double[] refLogps = rollout.referenceLogps();
            double kl = IntStream.range(0, logps.length)
                    .mapToDouble(t -> estimator.estimate(logps[t], refLogps[t]))
                    .sum();
            double score = rollout.score(missingEosPenalty);
            sums.put("objective/kl", kl);
            sums.put("objective/entropy", -Arrays.stream(logps).sum());
            sums.put("objective/non_score_reward", -klCoef * kl);
            sums.put("objective/rlhf_reward", score - klCoef * kl);
            sums.put("objective/scores", score);
        }
        log.putAll(sums.means());
        return sums.means().getOrDefault("objective/kl", 0.0);
    }

    /** The mean of what is a number; 0 if nothing is. */
    private static double mean(double[] values) {
        return Arrays.stream(values).filter(v -> !Double.isNaN(v)).average().orElse(0);
    }

    private static void function(Map<String, Double> metrics, String name, double[] rewards) {
        double[] scored = Arrays.stream(rewards).filter(r -> !Double.isNaN(r)).toArray();
        double mean = Arrays.stream(scored).average().orElse(0);
        metrics.put("rewards/" + name + "/mean", mean);
        metrics.put("rewards/" + name + "/std", deviation(scored, mean));
    }

    private static void answers(Map<String, Double> metrics, List<Completion> completions) {
        lengths(metrics, "length", completions, _ -> true);
        lengths(metrics, "terminated_length", completions, Completion::finished);
        metrics.put(
                "completions/clipped_ratio",
                completions.stream().filter(c -> !c.finished()).count() / (double) completions.size());
        // The negative log-probability of what was sampled is an unbiased estimate of the entropy.
        double surprise = 0;
        long tokens = 0;
        for (Completion completion : completions) {
            for (float logProb : completion.logProbs()) {
                surprise -= logProb;
                tokens++;
            }
        }
        metrics.put("entropy", surprise / Math.max(1, tokens));
    }

    private static void lengths(
            Map<String, Double> metrics, String name, List<Completion> completions, Predicate<Completion> counted) {
        var lengths = completions.stream()
                .filter(counted)
                .mapToInt(c -> c.tokens().length)
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
