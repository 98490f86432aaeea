package dev.isthmus.rl.eval;

import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Verdict;
import java.util.List;

/**
 * What a model made of one problem.
 *
 * @param problem the problem
 * @param greedy the verdict on its greedy completion
 * @param samples the verdicts on its sampled completions; may be empty
 */
public record Attempts(Problem problem, Verdict greedy, List<Verdict> samples) {
    public Attempts {
        samples = List.copyOf(samples);
    }
}
