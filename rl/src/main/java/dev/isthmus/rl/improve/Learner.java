package dev.isthmus.rl.improve;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Split;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Example;
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
        /** Answers of a batch that are kept. */
        int SAMPLES = 8;

        /** The metrics of one optimizer step on {@code examples}, by TRL's keys. */
        void step(List<Example> examples, Map<String, Double> metrics);

        /** An answer worth keeping. */
        void sample(Rollout rollout, double reward);

        /** Every so many of all answers, {@value #SAMPLES} or a few more. */
        default void samples(List<Rollout> rollouts, double[] rewards) {
            for (int i = 0; i < rollouts.size(); i += Math.max(1, rollouts.size() / SAMPLES)) {
                sample(rollouts.get(i), rewards[i]);
            }
        }
    }

    /** Answers to new problems of the training split, those of a problem together; the labels are not looked at. */
    List<Rollout> answers(int problems, int numGenerations, SamplingParams sampling, Rng rng) {
        Rng stream = rng.split("problems");
        List<Problem> asked = IntStream.range(0, problems)
                .mapToObj(i -> policy.task().sample(Split.TRAIN, stream.split("problem", i)))
                .toList();
        return policy.answer(asked, numGenerations, sampling, rng.split("answers"), null);
    }
}
