package dev.isthmus.rl.reward;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * Advantages of tokens from outcomes and implicit token rewards together (Cui et al. 2025, PRIME): {@code A_t = [o - mean o'] + sum_{s
 * >= t} gamma^(s - t) (r_s - mean r')}, both means over the other completions of the prompt, {@code r'} the mean token reward of each.
 */
public final class PrimeAdvantages {
    private PrimeAdvantages() {}

    /**
     * The advantages {@code [completion][token]}.
     *
     * @param outcomes one for each completion; completions of a prompt stand together
     * @param tokenRewards {@code [completion][token]}, those of {@link TokenRewards#implicit}
     * @throws IsthmusException if there are not as many of both, or no groups of at least two
     */
    public static double[][] of(double[] outcomes, double[][] tokenRewards, int numGenerations, double gamma) {
        if (outcomes.length != tokenRewards.length) {
            throw new IsthmusException(
                    outcomes.length + " outcomes for the token rewards of " + tokenRewards.length + " completions");
        }
        double[] means = Arrays.stream(tokenRewards)
                .mapToDouble(row -> Arrays.stream(row).average().orElse(0))
                .toArray();
        double[] outcome =
                Advantages.leaveOneOut(outcomes, numGenerations, false).values();
        double[] aboveOthers =
                Advantages.leaveOneOut(means, numGenerations, false).values();
        var advantages = new double[outcomes.length][];
        for (int i = 0; i < advantages.length; i++) {
            double baseline = means[i] - aboveOthers[i];
            double[] centred =
                    Arrays.stream(tokenRewards[i]).map(r -> r - baseline).toArray();
            advantages[i] = TokenRewards.returns(centred, gamma);
            for (int t = 0; t < advantages[i].length; t++) {
                advantages[i][t] += outcome[i];
            }
        }
        return advantages;
    }
}
