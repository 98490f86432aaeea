package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * The tokens that may come next and their scores, which a chain of {@link LogitsProcessor}s changes and thins out.
 *
 * <p>Scores are logits: a softmax over the tokens that are left makes probabilities of them. A score of negative infinity takes a token
 * out, too. Holds working memory for one vocabulary, so that drawing allocates nothing; not safe for several threads.
 */
public final class Candidates {
    private final double[] scores;
    /** The tokens that are left, {@link #left} of them; meaningless while all are. */
    private final int[] tokens;

    private final int[] heap;
    private final double[] keys;
    private int left;
    private boolean all;
    /** Whether the tokens that are left stand in the order of their scores, the highest first. */
    private boolean sorted;

    Candidates(int vocabSize) {
        scores = new double[vocabSize];
        tokens = new int[vocabSize];
        heap = new int[vocabSize];
        keys = new double[vocabSize];
    }

    void load(float[] logits, int offset) {
        for (int i = 0; i < scores.length; i++) {
            scores[i] = logits[offset + i];
        }
        all = true;
        sorted = false;
    }

    /** The number of tokens of the vocabulary. */
    public int vocabSize() {
        return scores.length;
    }

    /** The score of a token. */
    public double score(int token) {
        return scores[token];
    }

    /** Changes the score of a token. */
    public void score(int token, double score) {
        scores[token] = score;
        sorted = false;
    }

    /** Takes a token out. */
    public void remove(int token) {
        scores[token] = Double.NEGATIVE_INFINITY;
        sorted = false;
    }

    /** Divides all scores. */
    public void divide(double divisor) {
        for (int i = 0; i < scores.length; i++) {
            scores[i] /= divisor;
        }
    }

    /**
     * The highest score that is left.
     *
     * @throws NonFiniteLogitsException if it is not a number
     * @throws IsthmusException if no token is left
     */
    public double max() {
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < left(); i++) {
            double score = scores[token(i)];
            // A NaN must not be lost.
            max = score > max || Double.isNaN(score) ? score : max;
        }
        return requireFinite(max);
    }

    /** The number of tokens that are left; some may have a score of negative infinity. */
    public int left() {
        return all ? scores.length : left;
    }

    /** The {@code i}-th token that is left. */
    public int token(int i) {
        return all ? i : tokens[i];
    }

    /** Keeps the tokens with at least this score. */
    public void keepFrom(double floor) {
        int kept = 0;
        int n = left();
        for (int i = 0; i < n; i++) {
            int token = token(i);
            if (scores[token] >= floor) {
                tokens[kept++] = token;
            }
        }
        all = false;
        left = kept;
    }

    /** Keeps the {@code k} highest scores and, as Hugging Face does, those equal to the last of them. */
    void keepHighest(int k) {
        if (k >= left()) {
            return;
        }
        if (!sorted) {
            int size = heapify(scores);
            while (size > 0 && (left < k || scores[heap[0]] == scores[tokens[left - 1]])) {
                size = take(size, scores);
            }
            sorted = true;
            return;
        }
        int kept = k;
        while (kept < left && scores[tokens[kept]] == scores[tokens[kept - 1]]) {
            kept++;
        }
        left = kept;
    }

    /** Keeps the fewest tokens of highest scores that have this share of the probability together, at least one. */
    void keepMass(double share) {
        double max = max();
        double total = 0;
        int n = left();
        for (int i = 0; i < n; i++) {
            total += Math.exp(scores[token(i)] - max);
        }
        int size = sorted ? 0 : heapify(scores);
        double mass = 0;
        int kept = 0;
        while (kept < n && mass < share * total) {
            if (!sorted) {
                size = take(size, scores);
            }
            mass += Math.exp(scores[tokens[kept++]] - max);
        }
        left = kept;
        sorted = true;
    }

    /**
     * Keeps the tokens whose surprise is closest to the entropy, until they have this share of the probability together, and those as
     * close as the last of them.
     */
    void keepTypical(double share) {
        double max = max();
        double sum = 0;
        int n = left();
        for (int i = 0; i < n; i++) {
            sum += Math.exp(scores[token(i)] - max);
        }
        double entropy = 0;
        for (int i = 0; i < n; i++) {
            double logProb = scores[token(i)] - max - Math.log(sum);
            entropy -= logProb == Double.NEGATIVE_INFINITY ? 0 : Math.exp(logProb) * logProb;
        }
        for (int i = 0; i < n; i++) {
            int token = token(i);
            keys[token] = -Math.abs(Math.log(sum) + max - scores[token] - entropy);
        }
        int size = heapify(keys);
        double mass = 0;
        while (size > 0 && (mass < share * sum || keys[heap[0]] == keys[tokens[left - 1]])) {
            mass += Math.exp(scores[heap[0]] - max);
            size = take(size, keys);
        }
        sorted = false;
    }

    /** Makes unnormalized probabilities of the scores and returns their sum. */
    double weigh() {
        double max = max();
        double sum = 0;
        int n = left();
        for (int i = 0; i < n; i++) {
            int token = token(i);
            scores[token] = Math.exp(scores[token] - max);
            sum += scores[token];
        }
        return sum;
    }

    /** After {@link #weigh}, the token at which the sum of the weights passes {@code rest}. */
    int draw(double rest) {
        double u = rest;
        int n = left();
        for (int i = 0; i < n; i++) {
            u -= scores[token(i)];
            if (u < 0) {
                return token(i);
            }
        }
        // Rounding left a little of the sum over; it falls to the last token that can be drawn.
        int last = n - 1;
        while (scores[token(last)] == 0) {
            last--;
        }
        return token(last);
    }

    /** After {@link #weigh}, which returned {@code sum}, the probabilities of all tokens. */
    double[] probabilities(double sum) {
        double[] probabilities = new double[scores.length];
        for (int i = 0; i < left(); i++) {
            probabilities[token(i)] = scores[token(i)] / sum;
        }
        return probabilities;
    }

    /** The scores of all tokens, negative infinity for those that are out. */
    double[] scores() {
        double[] result = new double[scores.length];
        Arrays.fill(result, Double.NEGATIVE_INFINITY);
        for (int i = 0; i < left(); i++) {
            result[token(i)] = scores[token(i)];
        }
        return result;
    }

    /** The token with the highest score; of equal ones the first. */
    int argmax() {
        double max = Double.NEGATIVE_INFINITY;
        int best = Integer.MAX_VALUE;
        for (int i = 0; i < left(); i++) {
            int token = token(i);
            double score = scores[token];
            if (score > max || Double.isNaN(score)) {
                max = score;
                best = token;
            } else if (score == max && token < best) {
                best = token;
            }
        }
        requireFinite(max);
        return best;
    }

    private static double requireFinite(double value) {
        if (value == Double.NEGATIVE_INFINITY) {
            throw new IsthmusException(
                    "no token may come next: the masks and filters have taken them all out, or the logits "
                            + "are all -Infinity; an end-of-text token would let the text end here");
        }
        if (!Double.isFinite(value)) {
            throw new NonFiniteLogitsException(value);
        }
        return value;
    }

    /** Moves the highest token of the heap behind the tokens taken so far. */
    private int take(int heapSize, double[] by) {
        tokens[left++] = heap[0];
        heap[0] = heap[heapSize - 1];
        sink(0, heapSize - 1, by);
        return heapSize - 1;
    }

    /** Makes a heap of the tokens that are left, of which none is taken then. */
    private int heapify(double[] by) {
        int size = left();
        if (all) {
            Arrays.setAll(heap, i -> i);
        } else {
            System.arraycopy(tokens, 0, heap, 0, size);
        }
        for (int i = size / 2 - 1; i >= 0; i--) {
            sink(i, size, by);
        }
        all = false;
        left = 0;
        return size;
    }

    private void sink(int start, int size, double[] by) {
        int i = start;
        while (2 * i + 1 < size) {
            int child = 2 * i + 1;
            if (child + 1 < size && before(heap[child + 1], heap[child], by)) {
                child++;
            }
            if (!before(heap[child], heap[i], by)) {
                return;
            }
            int token = heap[i];
            heap[i] = heap[child];
            heap[child] = token;
            i = child;
        }
    }

    /** Whether {@code a} is higher than {@code b}, or as high and of a lower id. */
    private static boolean before(int a, int b, double[] by) {
        return by[a] > by[b] || by[a] == by[b] && a < b;
    }
}
