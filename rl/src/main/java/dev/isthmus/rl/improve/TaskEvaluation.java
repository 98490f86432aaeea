package dev.isthmus.rl.improve;

import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.rl.eval.Attempts;
import dev.isthmus.rl.eval.Evaluation;
import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Task;
import dev.isthmus.tensor.Rng;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Measures a model on a task outside of a run. */
public final class TaskEvaluation {
    private TaskEvaluation() {}

    /**
     * How many of the first {@code n} problems of the test split a model solves: the greedy answer, and if {@code samples} is above 0
     * that many answers at temperature 1, too, for pass@1, pass@k and maj@k.
     *
     * @throws dev.isthmus.tensor.IsthmusException if there are fewer problems, or the model's tokenizer lacks a character of a prompt
     */
    public static Evaluation of(
            LanguageModel model, Task task, int n, int samples, Rng rng, Generator.@Nullable Progress progress) {
        Policy policy = new Policy(model.policy(), model.tokenizer(), task);
        List<Problem> problems = task.heldOut(n);
        List<Rollout> greedy = policy.answer(problems, 1, SamplingParams.greedy(), rng, progress);
        List<Rollout> sampled = samples == 0
                ? List.of()
                : policy.answer(problems, samples, SamplingParams.temperature(1), rng.split("samples"), progress);
        List<Attempts> attempts = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            attempts.add(new Attempts(
                    problems.get(i),
                    greedy.get(i).verdict(),
                    sampled.subList(i * samples, (i + 1) * samples).stream()
                            .map(Rollout::verdict)
                            .toList()));
        }
        return Evaluation.of(
                attempts,
                Stream.of(1, samples)
                        .distinct()
                        .filter(k -> k > 0 && k <= samples)
                        .toList(),
                rng.split("bootstrap"));
    }
}
