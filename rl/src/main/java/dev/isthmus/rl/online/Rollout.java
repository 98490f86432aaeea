package dev.isthmus.rl.online;

import dev.isthmus.train.Example;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/**
 * A completion, and what updates need to know of it: plain numbers, so that a checkpoint can hold them.
 *
 * @param completion the end-of-text token included if it was reached
 * @param logps of each token of the completion, by the policy that wrote it; empty if that was someone else
 * @param finished whether it came to an end before the limit
 * @param rewards of each reward function; NaN where one had nothing to say
 * @param reward their weighted sum; NaN if none of them had anything to say
 * @param baseline the reward of the prompt's greedy completion; NaN where there is none
 * @param refLogps of each token by the reference; empty without one
 * @param advantages one for the completion, or one for each token
 * @param values of a critic, one for each token; empty without one
 * @param returns what the critic learns, one for each token; empty without one
 */
record Rollout(
        int[] prompt,
        int[] completion,
        float[] logps,
        boolean finished,
        double[] rewards,
        double reward,
        double baseline,
        float[] refLogps,
        double[] advantages,
        double[] values,
        double[] returns) {
    private static final String FILE = "rollouts.json";

    /** Not judged yet. */
    static Rollout of(int[] prompt, int[] completion, float[] logps, boolean finished) {
        double[] none = new double[0];
        return new Rollout(
                prompt, completion, logps, finished, none, Double.NaN, Double.NaN, new float[0], none, none, none);
    }

    Rollout withRewards(double[] rewards, double reward) {
        return new Rollout(
                prompt, completion, logps, finished, rewards, reward, baseline, refLogps, advantages, values, returns);
    }

    Rollout withBaseline(double baseline) {
        return new Rollout(
                prompt, completion, logps, finished, rewards, reward, baseline, refLogps, advantages, values, returns);
    }

    Rollout withReference(float[] refLogps) {
        return new Rollout(
                prompt, completion, logps, finished, rewards, reward, baseline, refLogps, advantages, values, returns);
    }

    Rollout withAdvantages(double... advantages) {
        return withCritic(advantages, values, returns);
    }

    /** Rollouts with one advantage each. */
    static List<Rollout> withAdvantages(List<Rollout> rollouts, double[] advantages) {
        return IntStream.range(0, advantages.length)
                .mapToObj(i -> rollouts.get(i).withAdvantages(advantages[i]))
                .toList();
    }

    Rollout withCritic(double[] advantages, double[] values, double[] returns) {
        return new Rollout(
                prompt, completion, logps, finished, rewards, reward, baseline, refLogps, advantages, values, returns);
    }

    /** The reward, 0 if no function had anything to say, less what it costs not to come to an end. */
    double score(double missingEosPenalty) {
        return (Double.isNaN(reward) ? 0 : reward) - (finished ? 0 : missingEosPenalty);
    }

    double[] sampledLogps() {
        return doubles(logps);
    }

    double[] referenceLogps() {
        return doubles(refLogps);
    }

    private static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }

    /** As something to learn. */
    Example example() {
        return Example.of(prompt, completion);
    }

    /** Whether the policy wrote it. */
    boolean byPolicy() {
        return logps.length > 0;
    }

    /** Whether its tokens count. */
    boolean counts(OnlineSettings settings) {
        return finished || !settings.maskTruncatedCompletions();
    }

    /** Writes what is still to be learned from into a checkpoint. */
    static void save(List<Rollout> rollouts, Path directory) {
        JsonMapper.shared().writeValue(directory.resolve(FILE), rollouts.toArray(Rollout[]::new));
    }

    /** What {@link #save} wrote; nothing if it was not called. */
    static List<Rollout> load(Path directory) {
        Path file = directory.resolve(FILE);
        return Files.exists(file)
                ? Stream.of(JsonMapper.shared().readValue(file, Rollout[].class))
                        .toList()
                : List.of();
    }
}
