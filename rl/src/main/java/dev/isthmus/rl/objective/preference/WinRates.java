package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.IsthmusException;
import java.util.stream.IntStream;

/** How often completions are preferred to others of the same prompt: scores for the losses of self-play. */
public final class WinRates {
    private WinRates() {}

    /**
     * {@code r(y_i) = 1/(K-1) sum_{j != i} P(y_i > y_j)}: the reward of self-play in SPO, where {@code K} completions of one policy
     * compete (Swamy et al. 2024, arXiv 2401.04056), and an estimate of {@code P(y > pi_t)} for SPPO and DNO.
     *
     * @param preferences {@code [K][K]}, {@code P(y_i > y_j)}; the diagonal is not read
     * @throws IsthmusException unless there are two completions or more, all compared with all
     */
    public static double[] amongOthers(double[][] preferences) {
        int k = preferences.length;
        if (k < 2 || IntStream.range(0, k).anyMatch(i -> preferences[i].length != k)) {
            throw new IsthmusException("win rates need preferences [K][K] of two completions or more, found " + k
                    + " rows" + (k < 2 ? "" : ", not all of that length"));
        }
        return IntStream.range(0, k)
                .mapToDouble(i -> IntStream.range(0, k)
                                .filter(j -> j != i)
                                .mapToDouble(j -> preferences[i][j])
                                .sum()
                        / (k - 1))
                .toArray();
    }
}
