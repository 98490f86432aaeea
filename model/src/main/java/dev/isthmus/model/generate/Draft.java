package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Guesses how a text goes on, for a better model to check. */
public interface Draft {
    /**
     * Tokens that may come next.
     *
     * @param probabilities for each token the distribution that it was drawn from; null if it was sure to be guessed
     */
    record Guess(int[] tokens, double @Nullable [][] probabilities) {
        /** The probability with which token {@code x} was guessed at place {@code i}. */
        double probability(int i, int x) {
            return probabilities == null ? (tokens[i] == x ? 1 : 0) : probabilities[i][x];
        }
    }

    /** At most {@code count} tokens that go on with a text, which is the last one or begins like it. */
    Guess propose(History text, int count, Rng rng);

    /**
     * What followed the last tokens where they stood before: prompt lookup (Saxena 2023). Takes the latest place with the most tokens in
     * common, at most {@code maxMatchingNgramSize}.
     */
    static Draft promptLookup(int maxMatchingNgramSize) {
        if (maxMatchingNgramSize < 1) {
            throw new IsthmusException("max_matching_ngram_size must be at least 1, found " + maxMatchingNgramSize);
        }
        return (text, count, _) -> {
            int[] tokens = text.tokens();
            int end = text.length();
            for (int n = Math.min(maxMatchingNgramSize, end - 1); n > 0; n--) {
                for (int from = end - n - 1; from >= 0; from--) {
                    if (Arrays.equals(tokens, from, from + n, tokens, end - n, end)) {
                        int next = from + n;
                        return new Guess(Arrays.copyOfRange(tokens, next, Math.min(next + count, end)), null);
                    }
                }
            }
            return new Guess(new int[0], null);
        };
    }

    /** A smaller model with the same vocabulary, in the current scope. */
    static Draft model(Decoder decoder, SamplingParams sampling) {
        return new ModelDraft(decoder, sampling);
    }

    /** A model that writes ahead, and goes back to where the text turned out to go on differently. */
    final class ModelDraft implements Draft {
        private final Decoder decoder;
        private final TokenSampler sampler;
        private final KvCache cache;
        private final KvCache.Sequence sequence;
        private int[] read = new int[0];

        private ModelDraft(Decoder decoder, SamplingParams sampling) {
            this.decoder = decoder.packed();
            sampler = new TokenSampler(sampling, decoder.config().vocabSize());
            cache = new KvCache(decoder, KvCache.pagesFor(decoder.config().maxPositionEmbeddings()) + 1);
            sequence = cache.open();
        }

        @Override
        public Guess propose(History text, int count, Rng rng) {
            int room = Math.min(count, decoder.config().maxPositionEmbeddings() - text.length());
            int[] tokens = Arrays.copyOf(text.tokens(), text.length() + Math.max(0, room));
            List<double[]> probabilities = new ArrayList<>();
            int length = text.length();
            for (int i = 0; i < room; i++, length++) {
                float[] logits = logits(tokens, length);
                double[] p = sampler.probabilities(logits, 0, new History(tokens, text.promptLength(), length));
                tokens[length] = draw(p, rng);
                probabilities.add(p);
            }
            return new Guess(Arrays.copyOfRange(tokens, text.length(), length), probabilities.toArray(double[][]::new));
        }

        private float[] logits(int[] tokens, int length) {
            int common = Arrays.mismatch(read, 0, read.length, tokens, 0, length - 1);
            cache.rewind(sequence, common < 0 ? read.length : common);
            int[] fresh = Arrays.copyOfRange(tokens, sequence.length(), length);
            read = Arrays.copyOf(tokens, length);
            try (Scope pass = Scope.open()) {
                Tensor hidden = cache.step(Collections.nCopies(fresh.length, sequence), fresh);
                return decoder.logits(hidden.narrow(0, fresh.length - 1, 1)).toFloats();
            }
        }
    }

    /** A token drawn from weights that need not sum to one. */
    static int draw(double[] weights, Rng rng) {
        double u = rng.nextDouble() * Arrays.stream(weights).sum();
        int last = 0;
        for (int i = 0; i < weights.length; i++) {
            u -= weights[i];
            if (u < 0) {
                return i;
            }
            last = weights[i] > 0 ? i : last;
        }
        return last;
    }
}
