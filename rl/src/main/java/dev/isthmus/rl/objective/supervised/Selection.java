package dev.isthmus.rl.objective.supervised;

import java.util.stream.IntStream;

/** Which completions are imitated: filtered fine-tuning. Completions that could not be scored, with a reward of NaN, never are. */
public final class Selection {
    private Selection() {}

    /**
     * The indices of all completions with {@code r >= threshold}: the correct ones (STaR, Zelikman et al. 2022; RFT, Yuan et al. 2023),
     * or those above a threshold that rises (ReST, Gulcehre et al. 2023, arXiv 2308.08998).
     */
    public static int[] atLeast(double[] rewards, double threshold) {
        return IntStream.range(0, rewards.length)
                .filter(i -> rewards[i] >= threshold)
                .toArray();
    }

    /**
     * The index of the best completion of each prompt, the first of several; none for a prompt without a score (RAFT, Dong et al. 2023,
     * arXiv 2304.06767).
     *
     * <p>With {@code r = lp_base} this is SFT-sharpening (Huang et al. 2024, arXiv 2412.01951, section 3); with {@code r = v . r(y)} for
     * a direction {@code v} that stands in the prompt, directional preference alignment (Wang et al. 2024, arXiv 2402.18571).
     *
     * @param rewards those of one prompt stand together
     */
    public static int[] best(double[] rewards, int numGenerations) {
        SampleWeights.requireGroups(rewards.length, numGenerations);
        return IntStream.range(0, rewards.length / numGenerations)
                .map(group -> best(rewards, group * numGenerations, (group + 1) * numGenerations))
                .filter(i -> i >= 0)
                .toArray();
    }

    private static int best(double[] rewards, int from, int to) {
        int best = -1;
        for (int i = from; i < to; i++) {
            if (!Double.isNaN(rewards[i]) && (best < 0 || rewards[i] > rewards[best])) {
                best = i;
            }
        }
        return best;
    }
}
