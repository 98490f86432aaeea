package dev.isthmus.rl.improve;

import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.rl.eval.Attempts;
import dev.isthmus.rl.eval.Evaluation;
import dev.isthmus.rl.eval.Interval;
import dev.isthmus.rl.improve.Policy.Rollout;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Verdict;
import dev.isthmus.tensor.Rng;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How good a model was on the held-out problems: the figures, and enough of the answers to compare and to show.
 *
 * @param figures what {@code summary.json} says of it
 * @param solved for each problem {@code 1} or {@code 0}, whether the greedy answer was right
 * @param sampled likewise whether one of the samples was right
 * @param shown the greedy answers to the first problems
 */
record Measurement(ObjectNode figures, String solved, String sampled, List<String> shown) {
    private static final int SHOWN = 24;

    /** Measures a policy; the same problems and the same random streams each time. */
    static Measurement of(
            Policy policy, List<Problem> problems, int samples, Rng rng, Generator.@Nullable Progress progress) {
        List<Rollout> greedy = policy.answer(problems, 1, SamplingParams.greedy(), rng, progress);
        List<Rollout> sampled = samples == 0
                ? List.of()
                : policy.answer(problems, samples, SamplingParams.temperature(1), rng.split("samples"), progress);
        List<Attempts> attempts = new ArrayList<>();
        StringBuilder solved = new StringBuilder();
        StringBuilder any = new StringBuilder();
        for (int i = 0; i < problems.size(); i++) {
            List<Verdict> verdicts = sampled.subList(i * samples, (i + 1) * samples).stream()
                    .map(Rollout::verdict)
                    .toList();
            attempts.add(new Attempts(problems.get(i), greedy.get(i).verdict(), verdicts));
            solved.append(greedy.get(i).verdict().correct() ? '1' : '0');
            any.append(verdicts.stream().anyMatch(Verdict::correct) ? '1' : '0');
        }
        List<Integer> ks = Stream.of(1, 8, Math.max(1, samples)).distinct().toList();
        Evaluation evaluation = Evaluation.of(attempts, ks, rng.split("bootstrap"));
        ObjectNode figures = JsonNodeFactory.instance.objectNode();
        put(figures, "accuracy", evaluation.accuracy());
        evaluation.passAt().forEach((k, interval) -> put(figures, "pass_at_" + k, interval));
        evaluation.majAt().forEach((k, interval) -> put(figures, "maj_at_" + k, interval));
        put(figures, "formatted", evaluation.formatted());
        figures.put("mean_length", meanLength(greedy)).put("n", evaluation.n());
        List<String> shown = greedy.stream().limit(SHOWN).map(Rollout::text).toList();
        return new Measurement(figures, solved.toString(), any.toString(), shown);
    }

    static double meanLength(List<Rollout> rollouts) {
        return rollouts.stream()
                .mapToInt(r -> r.completion().tokens().length)
                .average()
                .orElse(0);
    }

    private static void put(ObjectNode figures, String name, Interval interval) {
        figures.put(name, interval.mean());
        figures.putArray(name + "_interval").add(interval.low()).add(interval.high());
    }

    double accuracy() {
        return figures.get("accuracy").asDouble();
    }

    /** A figure, or NaN where it was not measured. */
    double figure(String name) {
        return figures.path(name).asDouble(Double.NaN);
    }

    Interval interval(String name) {
        JsonNode ends = figures.get(name + "_interval");
        return new Interval(figure(name), ends.get(0).asDouble(), ends.get(1).asDouble());
    }

    boolean solved(int problem) {
        return solved.charAt(problem) == '1';
    }

    boolean sampled(int problem) {
        return sampled.charAt(problem) == '1';
    }

    ObjectNode toJson() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.set("figures", figures);
        json.put("solved", solved).put("sampled", sampled);
        shown.forEach(json.putArray("shown")::add);
        return json;
    }

    static Measurement fromJson(JsonNode json) {
        return new Measurement(
                (ObjectNode) json.get("figures"),
                json.get("solved").asString(),
                json.get("sampled").asString(),
                json.get("shown").valueStream().map(JsonNode::asString).toList());
    }
}
