package dev.isthmus.rl.improve;

import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Task;
import dev.isthmus.rl.task.Verdict;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Example;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model that answers the problems of a task.
 *
 * @param model what writes
 * @param tokenizer its tokens
 * @param task what it is asked
 */
record Policy(Ensemble model, Tokenizer tokenizer, Task task) {
    /** One answer, judged. */
    record Rollout(Problem problem, int[] prompt, Completion completion, String text, Verdict verdict) {
        /** The answer as something to learn. */
        Example example() {
            return Example.of(prompt, completion.tokens());
        }
    }

    /** The longest answer that is waited for: the task's, and the token that ends it. */
    int maxNewTokens() {
        return task.maxCompletionLength() + 1;
    }

    /** {@code count} answers to each problem, those of the first problem first. */
    List<Rollout> answer(
            List<Problem> problems,
            int count,
            SamplingParams sampling,
            Rng rng,
            Generator.@Nullable Progress progress) {
        List<int[]> prompts =
                problems.stream().map(p -> tokenizer.encode(p.prompt())).toList();
        List<Integer> eos = tokenizer.eosTokenId().stream().boxed().toList();
        GenerationConfig config = new GenerationConfig(sampling, maxNewTokens(), eos, count);
        List<Rollout> rollouts = new ArrayList<>();
        for (Completion completion : Generator.generate(model, prompts, config, rng, progress)) {
            Problem problem = problems.get(completion.prompt());
            String text = tokenizer.decode(completion.tokens());
            Verdict verdict = completion.finished()
                    ? task.verify(problem, text)
                    : Verdict.malformed("it does not come to an end");
            rollouts.add(new Rollout(problem, prompts.get(completion.prompt()), completion, text, verdict));
        }
        return rollouts;
    }

    /** A problem with its reference solution, as something to learn. */
    Example demonstration(Problem problem) {
        int[] text = tokenizer.encode(problem.demonstration());
        int[] completion = Arrays.copyOf(text, text.length + 1);
        completion[text.length] = tokenizer.eosTokenId().orElseThrow();
        return Example.of(tokenizer.encode(problem.prompt()), completion);
    }
}
