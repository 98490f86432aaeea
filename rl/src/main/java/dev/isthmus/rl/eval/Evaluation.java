package dev.isthmus.rl.eval;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;

/**
 * How good a model is on a set of problems; every figure with its 95 % interval.
 *
 * @param n how many problems were asked
 * @param accuracy the share solved by the greedy completion
 * @param formatted the share of greedy completions of the asked form
 * @param passAt pass@k by k; pass@1 is the accuracy of a sample
 * @param majAt maj@k by k
 */
public record Evaluation(
        int n,
        Interval accuracy,
        Interval formatted,
        SortedMap<Integer, Interval> passAt,
        SortedMap<Integer, Interval> majAt) {
    /**
     * The figures of these attempts; of the given {@code ks}, those for which there are samples enough.
     *
     * @throws IsthmusException if there are no attempts
     */
    public static Evaluation of(List<Attempts> attempts, List<Integer> ks, Rng rng) {
        int samples = attempts.stream().mapToInt(a -> a.samples().size()).min().orElse(0);
        var passAt = new TreeMap<Integer, Interval>();
        var majAt = new TreeMap<Integer, Interval>();
        for (int k : ks) {
            if (k <= samples) {
                passAt.put(k, interval(attempts, a -> Metrics.passAtK(a.samples(), k), rng.split("pass", k)));
                majAt.put(k, interval(attempts, a -> Metrics.majAtK(a.samples(), k), rng.split("maj", k)));
            }
        }
        return new Evaluation(
                attempts.size(),
                interval(attempts, a -> a.greedy().correct() ? 1 : 0, rng.split("accuracy")),
                interval(attempts, a -> a.greedy().formatted() ? 1 : 0, rng.split("formatted")),
                passAt,
                majAt);
    }

    /**
     * The change of greedy accuracy on the same problems, pair by pair.
     *
     * @throws IsthmusException if they are not the same problems in the same order
     */
    public static Interval gain(List<Attempts> before, List<Attempts> after, Rng rng) {
        if (!keys(before).equals(keys(after))) {
            throw new IsthmusException("A gain is measured on the same problems before and after; these are not.");
        }
        return Bootstrap.difference(greedy(before), greedy(after), rng);
    }

    private static List<String> keys(List<Attempts> attempts) {
        return attempts.stream().map(a -> a.problem().key()).toList();
    }

    private static double[] greedy(List<Attempts> attempts) {
        return attempts.stream().mapToDouble(a -> a.greedy().correct() ? 1 : 0).toArray();
    }

    private static Interval interval(List<Attempts> attempts, ToDoubleFunction<Attempts> value, Rng rng) {
        return Bootstrap.mean(attempts.stream().mapToDouble(value).toArray(), rng);
    }
}
