package dev.isthmus.rl.eval;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * How far stated probabilities can be trusted.
 *
 * @param n how many statements there are
 * @param accuracy the share that came true
 * @param ece the expected calibration error over bins of equal width: {@code sum_b n_b / n |accuracy_b - confidence_b|} (Guo et al. 2017,
 *     arXiv 1706.04599, eq. 3)
 * @param brier the mean squared error of the probabilities
 * @param auroc the probability that a statement which came true was given more than one which did not, ties counting half; NaN if all are
 *     of one kind
 */
public record Calibration(int n, double accuracy, double ece, double brier, double auroc) {
    /**
     * Of probabilities and what came true.
     *
     * @throws IsthmusException if there is none, or not one outcome for each
     */
    public static Calibration of(double[] probabilities, boolean[] outcomes, int bins) {
        int n = probabilities.length;
        if (n == 0 || outcomes.length != n) {
            throw new IsthmusException("Calibration needs at least one probability and an outcome for each, found " + n
                    + " and " + outcomes.length);
        }
        var counts = new int[bins];
        var confidence = new double[bins];
        var right = new int[bins];
        double squares = 0;
        int correct = 0;
        for (int i = 0; i < n; i++) {
            int bin = Math.clamp((int) (probabilities[i] * bins), 0, bins - 1);
            double outcome = outcomes[i] ? 1 : 0;
            counts[bin]++;
            confidence[bin] += probabilities[i];
            right[bin] += outcomes[i] ? 1 : 0;
            correct += outcomes[i] ? 1 : 0;
            squares += (probabilities[i] - outcome) * (probabilities[i] - outcome);
        }
        double ece = 0;
        for (int b = 0; b < bins; b++) {
            ece += Math.abs(right[b] - confidence[b]) / n;
        }
        return new Calibration(n, (double) correct / n, ece, squares / n, auroc(probabilities, outcomes, correct));
    }

    /**
     * Of a reward model on pairs: it states {@code sigmoid(|r_c - r_r|)} for the completion it prefers, and is right if that is the chosen
     * one.
     */
    public static Calibration ofPairs(double[] chosen, double[] rejected, int bins) {
        var probabilities = new double[chosen.length];
        var outcomes = new boolean[chosen.length];
        for (int i = 0; i < chosen.length; i++) {
            double margin = chosen[i] - rejected[i];
            probabilities[i] = 1 / (1 + StrictMath.exp(-Math.abs(margin)));
            outcomes[i] = margin > 0;
        }
        return of(probabilities, outcomes, bins);
    }

    /** By ranks (Mann and Whitney 1947). */
    private static double auroc(double[] probabilities, boolean[] outcomes, int correct) {
        int n = probabilities.length;
        if (correct == 0 || correct == n) {
            return Double.NaN;
        }
        int[] order = IntStream.range(0, n)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> probabilities[i]))
                .mapToInt(i -> i)
                .toArray();
        double ranks = 0;
        for (int start = 0; start < n; ) {
            int end = start;
            while (end < n && probabilities[order[end]] == probabilities[order[start]]) {
                end++;
            }
            double rank = (start + 1 + end) / 2.0;
            ranks += rank
                    * Arrays.stream(order, start, end).filter(i -> outcomes[i]).count();
            start = end;
        }
        return (ranks - correct * (correct + 1.0) / 2) / ((double) correct * (n - correct));
    }
}
