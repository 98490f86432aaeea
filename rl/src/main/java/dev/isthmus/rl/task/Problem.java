package dev.isthmus.rl.task;

import java.util.HashMap;
import java.util.Map;

/**
 * One question with its truth.
 *
 * @param key the canonical form: problems with equal keys are the same question and share a split
 * @param prompt what the model reads
 * @param answer the true final answer
 * @param demonstration a right completion to learn from: the answer, with its working where the task asks for one
 * @param columns what else is known, by TRL's name for it: the further columns of the data set
 */
public record Problem(String key, String prompt, String answer, String demonstration, Map<String, Object> columns) {
    public Problem {
        columns = Map.copyOf(columns);
    }

    /** A problem whose prompt is its key and whose answer is its demonstration. */
    public static Problem of(String prompt, String answer) {
        return new Problem(prompt, prompt, answer, answer, Map.of());
    }

    /** This problem with one more column. */
    public Problem with(String column, Object value) {
        var more = new HashMap<>(columns);
        more.put(column, value);
        return new Problem(key, prompt, answer, demonstration, more);
    }
}
