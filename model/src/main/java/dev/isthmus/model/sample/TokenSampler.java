package dev.isthmus.model.sample;

import dev.isthmus.tensor.Rng;
import java.util.Arrays;

/**
 * Draws tokens from logits in Hugging Face's order: repetition penalty, temperature, top-k, top-p, min-p, softmax.
 *
 * <p>Holds working memory for one vocabulary; not safe for several threads.
 */
public final class TokenSampler {
    private final SamplingParams params;
    private final double[] scores;
    private final boolean[] penalized;

    /** A sampler for logits of {@code vocabSize} tokens. */
    public TokenSampler(SamplingParams params, int vocabSize) {
        this.params = params;
        scores = new double[vocabSize];
        penalized = new boolean[vocabSize];
    }

    /**
     * Draws a token.
     *
     * @param logits a row of logits starts at {@code offset}
     * @param seen the first {@code seenCount} are the tokens so far; used by the repetition penalty only
     */
    public int sample(float[] logits, int offset, int[] seen, int seenCount, Rng rng) {
        if (!params.doSample() && params.repetitionPenalty() == 1) {
            return argmax(logits, offset);
        }
        double[] p = probabilities(logits, offset, seen, seenCount);
        if (!params.doSample()) {
            int best = 0;
            for (int i = 1; i < p.length; i++) {
                best = p[i] > p[best] ? i : best;
            }
            return best;
        }
        double u = rng.nextDouble();
        int last = 0;
        for (int i = 0; i < p.length; i++) {
            if (p[i] > 0) {
                last = i;
                u -= p[i];
                if (u < 0) {
                    return i;
                }
            }
        }
        return last;
    }

    private int argmax(float[] logits, int offset) {
        int best = 0;
        for (int i = 1; i < scores.length; i++) {
            best = logits[offset + i] > logits[offset + best] ? i : best;
        }
        return best;
    }

    /** The distribution that {@link #sample} draws from; the array is valid until the next call. */
    public double[] probabilities(float[] logits, int offset, int[] seen, int seenCount) {
        for (int i = 0; i < scores.length; i++) {
            scores[i] = logits[offset + i];
        }
        penalize(seen, seenCount);
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < scores.length; i++) {
            scores[i] /= params.temperature();
            max = scores[i] > max ? scores[i] : max;
        }
        if (params.filters()) {
            filter(max);
        }
        softmax(max);
        return scores;
    }

    private void penalize(int[] seen, int seenCount) {
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

    private void softmax(double max) {
        double sum = 0;
        for (int i = 0; i < scores.length; i++) {
            scores[i] = scores[i] == Double.NEGATIVE_INFINITY ? 0 : Math.exp(scores[i] - max);
            sum += scores[i];
        }
        for (int i = 0; i < scores.length; i++) {
            scores[i] /= sum;
        }
    }

    /** Sets what top-k, top-p and min-p drop to negative infinity; each sees what the one before has left. */
    private void filter(double max) {
        if (params.topK() > 0 && params.topK() < scores.length) {
            drop(sorted()[scores.length - params.topK()]);
        }
        if (params.topP() < 1) {
            dropTail(max);
        }
        if (params.minP() > 0) {
            drop(max + Math.log(params.minP()));
        }
    }

    /** Top-p, as Hugging Face does it: from the least probable up, tokens go while their sum is at most {@code 1 - top_p}. */
    private void dropTail(double max) {
        double[] sorted = sorted();
        double total = 0;
        for (double score : sorted) {
            total += Math.exp(score - max);
        }
        double tail = 0;
        int first = 0;
        while (first < sorted.length - 1) {
            tail += Math.exp(sorted[first] - max) / total;
            if (tail > 1 - params.topP()) {
                break;
            }
            first++;
        }
        drop(sorted[first]);
    }

    private double[] sorted() {
        double[] sorted = scores.clone();
        Arrays.sort(sorted);
        return sorted;
    }

    private void drop(double floor) {
        for (int i = 0; i < scores.length; i++) {
            if (scores[i] < floor) {
                scores[i] = Double.NEGATIVE_INFINITY;
            }
        }
    }
}
