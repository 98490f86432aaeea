package dev.isthmus.rl.improve;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Split;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Trainer;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What a method of improvement works with.
 *
 * @param policy the model that is improved
 * @param trainer the same model with its optimizer
 * @param reference the base model, which stays as it was
 * @param control what decides which answers are rewarded
 * @param rng a stream of this run's; methods split it by round and step
 * @param log takes the metrics of a step
 */
record Learner(Policy policy, Trainer trainer, Decoder reference, Control control, Rng rng, Log log) {
    /** Takes metrics and progress. */
    interface Log {
        /** The metrics of one optimizer step, by TRL's keys; {@code tokens} were processed since the last call. */
        void step(long tokens, Map<String, Double> metrics);

        /** An answer worth keeping. */
        void sample(Policy.Rollout rollout, double reward);
    }

    /** New problems of the training split; their labels are not looked at. */
    List<Problem> problems(int count, Rng stream) {
        return IntStream.range(0, count)
                .mapToObj(i -> policy.task().sample(Split.TRAIN, stream.split("problem", i)))
                .toList();
    }
}
