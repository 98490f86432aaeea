package dev.isthmus.rl.eval;

import dev.isthmus.rl.task.Verdict;
import dev.isthmus.tensor.IsthmusException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What is measured on the samples of one problem. */
public final class Metrics {
    private Metrics() {}

    /**
     * The chance that of {@code k} of the {@code n} samples at least one is correct: {@code 1 - C(n-c, k) / C(n, k)},
     * the unbiased estimator of pass@k (Chen et al. 2021, arXiv 2107.03374, equation 1).
     *
     * @param n how many samples there are
     * @param c how many of them are correct
     * @throws IsthmusException unless {@code 0 <= c <= n} and {@code 1 <= k <= n}
     */
    public static double passAtK(int n, int c, int k) {
        if (c < 0 || c > n || k < 1 || k > n) {
            throw new IsthmusException(
                    "pass@" + k + " cannot be estimated from " + n + " samples, " + c + " of them correct.");
        }
        double none = 1;
        for (int i = n - c + 1; i <= n; i++) {
            none *= Math.max(0, 1 - (double) k / i);
        }
        return 1 - none;
    }

    /** {@link #passAtK(int, int, int)} of these verdicts. */
    public static double passAtK(List<Verdict> samples, int k) {
        return passAtK(
                samples.size(), (int) samples.stream().filter(Verdict::correct).count(), k);
    }

    /**
     * The chance that a vote of {@code k} samples is right (Wang et al. 2022, arXiv 2203.11171), estimated as the
     * mean over the consecutive blocks of {@code k}; samples that do not fill a block are left out.
     *
     * <p>Only well-formed samples vote. Where several answers have most votes, one of them is thought to be picked at
     * random, and the chance that it is correct counts, so no tie is broken by the order of samples.
     *
     * @throws IsthmusException unless {@code 1 <= k <= samples.size()}
     */
    public static double majAtK(List<Verdict> samples, int k) {
        if (k < 1 || k > samples.size()) {
            throw new IsthmusException("maj@" + k + " cannot be estimated from " + samples.size() + " samples.");
        }
        int blocks = samples.size() / k;
        double sum = 0;
        for (int block = 0; block < blocks; block++) {
            sum += vote(samples.subList(block * k, (block + 1) * k));
        }
        return sum / blocks;
    }

    private static double vote(List<Verdict> voters) {
        Map<String, Integer> votes = new HashMap<>();
        Map<String, Boolean> right = new HashMap<>();
        for (Verdict voter : voters) {
            if (voter.formatted()) {
                votes.merge(voter.answer(), 1, Integer::sum);
                right.putIfAbsent(voter.answer(), voter.correct());
            }
        }
        int most = votes.values().stream().mapToInt(v -> v).max().orElse(0);
        var tied = votes.entrySet().stream()
                .filter(vote -> vote.getValue() == most)
                .map(Map.Entry::getKey)
                .toList();
        return tied.stream().filter(right::get).count() / (double) Math.max(1, tied.size());
    }
}
