package dev.isthmus.rl.reward;

import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Verdict;
import dev.isthmus.rl.task.Verifier;
import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** The built-in reward functions, by TRL's names. */
public final class Rewards {
    private Rewards() {}

    /**
     * The reward function of a name, with TRL's defaults.
     *
     * @param maxLength the limit of generation in tokens, for those that look at lengths
     * @throws IsthmusException listing the names if there is none
     */
    public static RewardFunction named(String name, Verifier verifier, int maxLength) {
        return switch (name) {
            case "accuracy_reward" -> accuracy(verifier);
            case "format_reward" -> format(verifier);
            case "think_format_reward" -> thinkFormat();
            case "soft_overlong_punishment_reward" -> softOverlongPunishment(maxLength, Math.max(1, maxLength / 5));
            case "repetition_penalty_reward" -> repetitionPenalty(3, -1);
            case "cosine_scaled_reward" -> cosineScaled(verifier, maxLength);
            default ->
                throw new IsthmusException("reward_funcs '" + name
                        + "' is unknown; there are accuracy_reward, format_reward, think_format_reward,"
                        + " soft_overlong_punishment_reward, repetition_penalty_reward, cosine_scaled_reward");
        };
    }

    /** {@code accuracy_reward}: 1 for a correct completion, else 0, by the verifier. */
    public static RewardFunction accuracy(Verifier verifier) {
        return judged("accuracy_reward", verifier, verdict -> verdict.correct() ? 1 : 0);
    }

    /** {@code format_reward}: 1 for a completion of the asked form, right or wrong, else 0. */
    public static RewardFunction format(Verifier verifier) {
        return judged("format_reward", verifier, verdict -> verdict.formatted() ? 1 : 0);
    }

    private static RewardFunction judged(String name, Verifier verifier, ToDoubleFunction<Verdict> reward) {
        return RewardFunction.of(name, (prompts, completions, columns) -> {
            List<?> problems = column(columns, "problem", name);
            var rewards = new double[completions.size()];
            Arrays.setAll(
                    rewards, i -> reward.applyAsDouble(verifier.verify((Problem) problems.get(i), completions.get(i))));
            return rewards;
        });
    }

    /**
     * {@code think_format_reward}: 1 for a completion that begins with {@code <think>}, closes it with {@code </think>}
     * and opens it only once, else 0.
     */
    public static RewardFunction thinkFormat() {
        String open = "<think>";
        return RewardFunction.of(
                "think_format_reward",
                (prompts, completions, columns) -> completions.stream()
                        .mapToDouble(c -> c.startsWith(open)
                                        && c.indexOf(open, open.length()) < 0
                                        && c.indexOf("</think>", open.length()) >= 0
                                ? 1
                                : 0)
                        .toArray());
    }

    /**
     * {@code get_soft_overlong_punishment}: 0 up to {@code max - cache} tokens, then falling to -1 at {@code max},
     * and -1 beyond (DAPO, arXiv 2503.14476, equation 13).
     */
    public static RewardFunction softOverlongPunishment(int maxCompletionLength, int softPunishCache) {
        int free = maxCompletionLength - softPunishCache;
        return byTokens("soft_overlong_punishment_reward", ids -> {
            if (ids.length <= free) {
                return 0;
            }
            return ids.length <= maxCompletionLength ? (double) (free - ids.length) / softPunishCache : -1;
        });
    }

    /**
     * {@code get_repetition_penalty_reward}: {@code maxPenalty} times the share of token n-grams that repeat another
     * one (arXiv 2502.03373, appendix C.2). TRL's defaults are 3 and -1.
     */
    public static RewardFunction repetitionPenalty(int ngramSize, double maxPenalty) {
        if (ngramSize < 1 || maxPenalty > 0) {
            throw new IsthmusException("The repetition penalty takes an n-gram size of at least 1 and a penalty of at"
                    + " most 0, but got " + ngramSize + " and " + maxPenalty + ".");
        }
        return byTokens("repetition_penalty_reward", ids -> {
            int total = ids.length - ngramSize + 1;
            if (total <= 0) {
                return 0;
            }
            var unique = new HashSet<List<Integer>>();
            List<Integer> tokens = Arrays.stream(ids).boxed().toList();
            for (int i = 0; i < total; i++) {
                unique.add(tokens.subList(i, i + ngramSize));
            }
            double repeated = 1 - (double) unique.size() / total;
            return repeated == 0 ? 0 : repeated * maxPenalty;
        });
    }

    /** {@link #cosineScaled(Verifier, int, double, double, double, double)} with TRL's defaults -1, -0.5, 0.5 and 1. */
    public static RewardFunction cosineScaled(Verifier verifier, int maxLength) {
        return cosineScaled(verifier, maxLength, -1, -0.5, 0.5, 1);
    }

    /**
     * {@code get_cosine_scaled_reward}: correctness scaled by the length in tokens along half a cosine, so that short
     * is better when correct, {@code maxValueCorrect} falling to {@code minValueCorrect} at {@code maxLength}, and
     * longer is better when wrong, {@code minValueWrong} rising to {@code maxValueWrong} (arXiv 2502.03373, appendix
     * C.1).
     */
    public static RewardFunction cosineScaled(
            Verifier verifier,
            int maxLength,
            double minValueWrong,
            double maxValueWrong,
            double minValueCorrect,
            double maxValueCorrect) {
        String name = "cosine_scaled_reward";
        RewardFunction accuracy = accuracy(verifier);
        return RewardFunction.of(name, (prompts, completions, columns) -> {
            List<?> ids = column(columns, "completion_ids", name);
            double[] rewards = accuracy.score(prompts, completions, columns);
            for (int i = 0; i < rewards.length; i++) {
                boolean correct = rewards[i] == 1;
                double empty = correct ? maxValueCorrect : minValueWrong;
                double full = correct ? minValueCorrect : maxValueWrong;
                // A cosine would climb again beyond the maximal length.
                double progress = Math.min((double) ((int[]) ids.get(i)).length / maxLength, 1);
                rewards[i] = full + 0.5 * (empty - full) * (1 + StrictMath.cos(progress * Math.PI));
            }
            return rewards;
        });
    }

    /**
     * The weighted sum of several reward functions as one; a function's NaN counts as 0, and only where all are NaN
     * is the sum NaN, as in TRL.
     */
    public static RewardFunction weighted(String name, List<RewardFunction> functions, double... weights) {
        Advantages.requireWeights(weights, functions.size());
        return RewardFunction.of(
                name,
                (prompts, completions, columns) -> Advantages.weightedSums(
                        RewardFunction.scoreAll(functions, prompts, completions, columns), weights));
    }

    private static RewardFunction byTokens(String name, ToDoubleFunction<int[]> reward) {
        return RewardFunction.of(
                name,
                (prompts, completions, columns) -> column(columns, "completion_ids", name).stream()
                        .mapToDouble(ids -> reward.applyAsDouble((int[]) ids))
                        .toArray());
    }

    private static List<?> column(Map<String, List<?>> columns, String column, String function) {
        List<?> values = columns.get(column);
        if (values == null) {
            throw new IsthmusException("The reward function " + function + " needs the column '" + column
                    + "', but there are only " + columns.keySet() + ".");
        }
        return values;
    }
}
