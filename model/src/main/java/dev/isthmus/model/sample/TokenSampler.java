package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;

/**
 * Draws tokens from logits in Hugging Face's order: repetition penalty, temperature, top-k, top-p, min-p, softmax.
 *
 * <p>Holds working memory for one vocabulary, so that drawing allocates nothing; not safe for several threads.
 */
public final class TokenSampler {
    private final SamplingParams params;
    /** The processed logits; then, for the tokens that are left, their unnormalized probabilities. */
    private final double[] scores;

    private final boolean[] penalized;
    /** The tokens that top-k, top-p and min-p leave, of which there are {@link #left}. */
    private final int[] tokens;

    private final int[] heap;
    private int left;

    /** A sampler for logits of {@code vocabSize} tokens. */
    public TokenSampler(SamplingParams params, int vocabSize) {
        this.params = params;
        scores = new double[vocabSize];
        penalized = new boolean[params.repetitionPenalty() == 1 ? 0 : vocabSize];
        tokens = new int[params.filters() ? vocabSize : 0];
        heap = new int[tokens.length];
    }

    /**
     * Draws a token. One number is taken from {@code rng}, none if sampling is off.
     *
     * @param logits a row of logits starts at {@code offset}
     * @param seen the first {@code seenCount} are the tokens so far; used by the repetition penalty only
     * @throws IsthmusException if the logits are not numbers, as those of a model that diverged
     */
    public int sample(float[] logits, int offset, int[] seen, int seenCount, Rng rng) {
        if (!params.doSample()) {
            return argmax(logits, offset, seen, seenCount);
        }
        double rest = rng.nextDouble() * weigh(logits, offset, seen, seenCount);
        return params.filters() ? drawFromLeft(rest) : drawFromAll(rest);
    }

    /** The distribution that {@link #sample} draws from. */
    public double[] probabilities(float[] logits, int offset, int[] seen, int seenCount) {
        double sum = weigh(logits, offset, seen, seenCount);
        double[] probabilities = new double[scores.length];
        if (params.filters()) {
            for (int i = 0; i < left; i++) {
                probabilities[tokens[i]] = scores[tokens[i]] / sum;
            }
        } else {
            for (int i = 0; i < scores.length; i++) {
                probabilities[i] = scores[i] / sum;
            }
        }
        return probabilities;
    }

    private int argmax(float[] logits, int offset, int[] seen, int seenCount) {
        load(logits, offset, seen, seenCount);
        int best = 0;
        for (int i = 1; i < scores.length; i++) {
            best = scores[i] > scores[best] ? i : best;
        }
        requireFinite(scores[best]);
        return best;
    }

    private int drawFromAll(double rest) {
        double u = rest;
        for (int i = 0; i < scores.length; i++) {
            u -= scores[i];
            if (u < 0) {
                return i;
            }
        }
        // Rounding left a little of the sum over; it falls to the last token that can be drawn.
        int last = scores.length - 1;
        while (scores[last] == 0) {
            last--;
        }
        return last;
    }

    private int drawFromLeft(double rest) {
        double u = rest;
        for (int i = 0; i < left; i++) {
            u -= scores[tokens[i]];
            if (u < 0) {
                return tokens[i];
            }
        }
        int last = left - 1;
        while (scores[tokens[last]] == 0) {
            last--;
        }
        return tokens[last];
    }

    /** Turns logits into unnormalized probabilities of the tokens that are left, and returns their sum. */
    private double weigh(float[] logits, int offset, int[] seen, int seenCount) {
        load(logits, offset, seen, seenCount);
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < scores.length; i++) {
            scores[i] /= params.temperature();
            max = scores[i] > max ? scores[i] : max;
        }
        double sum = 0;
        if (params.filters()) {
            requireFinite(max);
            filter(max);
            for (int i = 0; i < left; i++) {
                int token = tokens[i];
                scores[token] = Math.exp(scores[token] - max);
                sum += scores[token];
            }
        } else {
            for (int i = 0; i < scores.length; i++) {
                scores[i] = Math.exp(scores[i] - max);
                sum += scores[i];
            }
        }
        requireFinite(sum);
        return sum;
    }

    private void load(float[] logits, int offset, int[] seen, int seenCount) {
        for (int i = 0; i < scores.length; i++) {
            scores[i] = logits[offset + i];
        }
        double penalty = params.repetitionPenalty();
        if (penalty == 1) {
            return;
        }
        for (int i = 0; i < seenCount; i++) {
            int id = seen[i];
            if (!penalized[id]) {
                penalized[id] = true;
                scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
            }
        }
        for (int i = 0; i < seenCount; i++) {
            penalized[seen[i]] = false;
        }
    }

    private static void requireFinite(double value) {
        if (!Double.isFinite(value)) {
            throw new IsthmusException(
                    "The logits are " + value + "; the model has diverged or its weights are damaged");
        }
    }

    /** Leaves the tokens that top-k, top-p and min-p keep; each sees what the one before has left. */
    private void filter(double max) {
        boolean topK = params.topK() > 0 && params.topK() < scores.length;
        boolean topP = params.topP() < 1;
        if (topK || topP) {
            int size = heapify();
            left = 0;
            if (topK) {
                size = takeTopK(size);
            }
            if (topP) {
                takeTopP(size, topK, max);
            }
        } else {
            for (int i = 0; i < scores.length; i++) {
                tokens[i] = i;
            }
            left = scores.length;
        }
        if (params.minP() > 0) {
            double floor = max + Math.log(params.minP());
            int kept = 0;
            for (int i = 0; i < left; i++) {
                if (scores[tokens[i]] >= floor) {
                    tokens[kept++] = tokens[i];
                }
            }
            left = kept;
        }
    }

    /** Takes the k most probable tokens and, as Hugging Face does, those as probable as the last of them. */
    private int takeTopK(int heapSize) {
        int size = heapSize;
        while (size > 0 && (left < params.topK() || scores[heap[0]] == scores[tokens[left - 1]])) {
            size = take(size);
        }
        return size;
    }

    /** Keeps the fewest most probable tokens that have top_p of the probability together (Holtzman et al. 2020). */
    private void takeTopP(int heapSize, boolean taken, double max) {
        int count = taken ? left : heapSize;
        int[] all = taken ? tokens : heap;
        double total = 0;
        for (int i = 0; i < count; i++) {
            total += Math.exp(scores[all[i]] - max);
        }
        double mass = 0;
        int size = heapSize;
        int kept = 0;
        while (kept < count && mass < params.topP() * total) {
            if (!taken) {
                size = take(size);
            }
            mass += Math.exp(scores[tokens[kept++]] - max);
        }
        left = kept;
    }

    /** Moves the most probable token of the heap behind the tokens taken so far. */
    private int take(int heapSize) {
        tokens[left++] = heap[0];
        heap[0] = heap[heapSize - 1];
        sink(0, heapSize - 1);
        return heapSize - 1;
    }

    private int heapify() {
        int size = heap.length;
        for (int i = 0; i < size; i++) {
            heap[i] = i;
        }
        for (int i = size / 2 - 1; i >= 0; i--) {
            sink(i, size);
        }
        return size;
    }

    private void sink(int start, int size) {
        int i = start;
        while (2 * i + 1 < size) {
            int child = 2 * i + 1;
            if (child + 1 < size && before(heap[child + 1], heap[child])) {
                child++;
            }
            if (!before(heap[child], heap[i])) {
                return;
            }
            int token = heap[i];
            heap[i] = heap[child];
            heap[child] = token;
            i = child;
        }
    }

    /** Whether {@code a} is more probable than {@code b}, or as probable and of a lower id. */
    private boolean before(int a, int b) {
        return scores[a] > scores[b] || scores[a] == scores[b] && a < b;
    }
}
