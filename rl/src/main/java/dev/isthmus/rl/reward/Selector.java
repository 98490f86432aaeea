package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.Arrays;
import java.util.Comparator;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Which completions are learned from.
 *
 * <p>Completions of one prompt stand together, as in {@link Advantages}; NaN is the reward of one that no function could score.
 */
@FunctionalInterface
public interface Selector {
    /** Whether each completion stays. */
    boolean[] keep(double[] rewards, int numGenerations);

    /**
     * Completions with {@code r >= threshold}: filtered fine-tuning on what is correct (STaR, Zelikman et al. 2022; RFT, Yuan et al.
     * 2023), or on what is above a threshold that rises (ReST, Gulcehre et al. 2023, arXiv 2308.08998).
     */
    static Selector atLeast(double threshold) {
        return (rewards, _) -> {
            var kept = new boolean[rewards.length];
            for (int i = 0; i < kept.length; i++) {
                kept[i] = rewards[i] >= threshold;
            }
            return kept;
        };
    }

    /**
     * The best of each group, the first of several, none where none has a reward (RAFT, Dong et al. 2023, arXiv 2304.06767).
     *
     * <p>Imitated, with {@code r = lp_base}, it is SFT-sharpening (Huang et al. 2024, arXiv 2412.01951, section 3); with {@code r = v .
     * r(y)} for a direction {@code v} that stands in the prompt, directional preference alignment (Wang et al. 2024, arXiv 2402.18571).
     */
    static Selector best() {
        return (rewards, numGenerations) -> {
            var kept = new boolean[rewards.length];
            for (int start = 0; start < rewards.length; start += numGenerations) {
                int best = bestFirst(rewards, start, numGenerations)[0];
                kept[best] = !Double.isNaN(rewards[best]);
            }
            return kept;
        };
    }

    /** Groups that are not all alike, which have no gradient: DAPO's dynamic sampling (arXiv 2503.14476, eq. 11). */
    static Selector informative() {
        return groups(group -> Arrays.stream(group).max().orElse(0)
                > Arrays.stream(group).min().orElse(0));
    }

    /** Groups whose mean reward is in {@code [low, high]}; PRIME (arXiv 2502.01456) keeps prompts of accuracy 0.2 to 0.8. */
    static Selector meanWithin(double low, double high) {
        return groups(group -> {
            double mean = Arrays.stream(group).average().orElse(Double.NaN);
            return mean >= low && mean <= high;
        });
    }

    /** The best and the worst of each group, where a reward model errs least (Shen et al. 2024, PF-PPO, arXiv 2409.06957, BW). */
    static Selector bestAndWorst(int best, int worst) {
        return (rewards, numGenerations) -> {
            requireEnough(best + worst, numGenerations);
            var kept = new boolean[rewards.length];
            for (int start = 0; start < rewards.length; start += numGenerations) {
                int[] order = bestFirst(rewards, start, numGenerations);
                for (int i = 0; i < order.length; i++) {
                    kept[order[i]] = i < best || i >= order.length - worst;
                }
            }
            return kept;
        };
    }

    /** The best of each group, and others by chance (PF-PPO, BR). The stream is read on. */
    static Selector bestAndRandom(int best, int others, Rng rng) {
        return (rewards, numGenerations) -> {
            requireEnough(best + others, numGenerations);
            var kept = new boolean[rewards.length];
            for (int start = 0; start < rewards.length; start += numGenerations) {
                int[] order = bestFirst(rewards, start, numGenerations);
                for (int i = 0; i < best + others; i++) {
                    int pick = i < best ? i : i + rng.nextInt(order.length - i);
                    kept[order[pick]] = true;
                    order[pick] = order[i];
                }
            }
            return kept;
        };
    }

    private static Selector groups(Predicate<double[]> keep) {
        return (rewards, numGenerations) -> {
            var kept = new boolean[rewards.length];
            for (int start = 0; start < rewards.length; start += numGenerations) {
                double[] scored = Arrays.stream(rewards, start, start + numGenerations)
                        .filter(reward -> !Double.isNaN(reward))
                        .toArray();
                Arrays.fill(kept, start, start + numGenerations, keep.test(scored));
            }
            return kept;
        };
    }

    private static void requireEnough(int kept, int numGenerations) {
        if (kept > numGenerations) {
            throw new IsthmusException("Cannot keep " + kept + " of " + numGenerations
                    + " completions of a prompt: keep fewer or raise num_generations.");
        }
    }

    /** The places of a group's completions, those without a reward last. */
    private static int[] bestFirst(double[] rewards, int start, int count) {
        return IntStream.range(start, start + count)
                .boxed()
                .sorted(Comparator.comparingDouble(
                        (Integer i) -> Double.isNaN(rewards[i]) ? Double.POSITIVE_INFINITY : -rewards[i]))
                .mapToInt(i -> i)
                .toArray();
    }
}
