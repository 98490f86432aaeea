package dev.isthmus.rl.online;

import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.reward.RewardModel;
import dev.isthmus.rl.reward.Rewards;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Task;
import dev.isthmus.rl.task.Tasks;
import dev.isthmus.rl.task.Verdict;
import dev.isthmus.tensor.IsthmusException;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The reward functions that {@code reward_funcs} may name, for prompts from a file. */
final class RewardFunctions {
    private static final List<String> TASKS = List.of("addition", "list_sorting", "countdown", "game24");
    private static final Set<String> OF_SOLUTION =
            Set.of("accuracy_reward", "reasoning_accuracy_reward", "get_cosine_scaled_reward", "cosine_scaled_reward");
    private static final Pattern BOXED = Pattern.compile("\\\\boxed\\{([^{}]*)}");
    private static final String MARK = "####";
    private static final String THOUGHT = "</think>";

    private RewardFunctions() {}

    /**
     * Throws if there is no function of a name; what a directory holds is not looked at.
     *
     * @throws IsthmusException listing the names
     */
    static void requireKnown(String name, int maxLength) {
        if (!RewardModel.present(Path.of(name))) {
            written(name, maxLength);
        }
    }

    /** Whether the function of a name compares with the column {@code solution}. */
    static boolean usesSolution(String name) {
        return OF_SOLUTION.contains(name);
    }

    /**
     * The function of a name: one of TRL's, with its defaults, or a task's verifier; of a directory the reward model in it, which is
     * loaded into the current scope.
     *
     * @param maxLength the limit of generation in tokens
     * @param batchSize completions that a reward model reads at once
     * @throws IsthmusException listing the names if there is none
     */
    static RewardFunction named(String name, int maxLength, int batchSize) {
        Path directory = Path.of(name);
        return RewardModel.present(directory) ? RewardModel.load(directory, batchSize) : written(name, maxLength);
    }

    private static RewardFunction written(String name, int maxLength) {
        return switch (name) {
            case "accuracy_reward" -> accuracy(name, text -> text);
            case "reasoning_accuracy_reward" ->
                accuracy(
                        name,
                        text -> text.substring(
                                text.lastIndexOf(THOUGHT) < 0 ? text.length() : text.lastIndexOf(THOUGHT)));
            case "think_format_reward" -> Rewards.thinkFormat();
            case "get_soft_overlong_punishment", "soft_overlong_punishment_reward" ->
                Rewards.softOverlongPunishment(maxLength, Math.max(1, maxLength / 5));
            case "get_repetition_penalty_reward", "repetition_penalty_reward" -> Rewards.repetitionPenalty(3, -1);
            case "get_cosine_scaled_reward", "cosine_scaled_reward" ->
                Rewards.cosineScaled(RewardFunctions::verify, maxLength);
            default -> task(name);
        };
    }

    /** 1 for what the verifier of a task finds right. */
    private static RewardFunction task(String name) {
        if (!TASKS.contains(name)) {
            throw new IsthmusException("reward_funcs '" + name + "' is unknown; there are accuracy_reward,"
                    + " reasoning_accuracy_reward, think_format_reward, get_soft_overlong_punishment,"
                    + " get_repetition_penalty_reward, get_cosine_scaled_reward, the verifiers of "
                    + String.join(", ", TASKS) + ", and directories of reward models");
        }
        Task task = Tasks.of(name, Map.of());
        RewardFunction judged = Rewards.accuracy(task);
        return RewardFunction.of(name, judged::score);
    }

    /** What of a completion is judged. */
    private interface Part {
        String of(String completion);
    }

    /** 1 for a completion whose final answer is that of the column {@code solution}, else 0; nothing where there is no solution. */
    private static RewardFunction accuracy(String name, Part judged) {
        return RewardFunction.of(name, (_, completions, columns) -> {
            List<?> solutions = columns.get("solution");
            if (solutions == null) {
                throw new IsthmusException("The reward function " + name + " needs the column solution.");
            }
            double[] rewards = new double[completions.size()];
            for (int i = 0; i < rewards.length; i++) {
                String solution = String.valueOf(solutions.get(i));
                rewards[i] = solution.isEmpty() ? Double.NaN : same(judged.of(completions.get(i)), solution) ? 1 : 0;
            }
            return rewards;
        });
    }

    /** Whether a completion gives a problem's answer. */
    static Verdict verify(Problem problem, String completion) {
        String answer = finalAnswer(completion);
        return same(completion, problem.answer()) ? Verdict.right(answer) : Verdict.wrong(answer, "not the answer");
    }

    private static boolean same(String completion, String solution) {
        String found = finalAnswer(completion);
        String wanted = finalAnswer(solution);
        return found.equals(wanted)
                || plain(found).equals(plain(wanted)) && !plain(found).isEmpty();
    }

    /** What stands in the last box, or behind the last {@value #MARK}, or else the whole text. */
    private static String finalAnswer(String text) {
        Matcher boxes = BOXED.matcher(text);
        String last = null;
        while (boxes.find()) {
            last = boxes.group(1);
        }
        if (last == null) {
            int mark = text.lastIndexOf(MARK);
            last = mark < 0 ? text : text.substring(mark + MARK.length());
        }
        return last.strip();
    }

    /** A number without what does not change it. */
    private static String plain(String answer) {
        String digits = answer.replace(",", "").replace("$", "").strip();
        try {
            return new BigDecimal(digits).stripTrailingZeros().toPlainString();
        } catch (NumberFormatException _) {
            return "";
        }
    }
}
