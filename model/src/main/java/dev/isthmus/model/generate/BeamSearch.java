package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Looks for the most probable completion by keeping the {@code numBeams} best beginnings (Graves 2012, algorithm 1), scored and ended as
 * Hugging Face's transformers does: a finished completion of {@code n} tokens scores {@code log p / n^lengthPenalty}.
 *
 * @param numBeams beginnings that are kept
 * @param lengthPenalty above 0 favours long completions, below 0 short ones
 * @param earlyStopping when to stop while beginnings are open
 * @param numReturnSequences completions that are wanted, at most {@code numBeams}
 */
public record BeamSearch(int numBeams, double lengthPenalty, EarlyStopping earlyStopping, int numReturnSequences) {
    /** The values of Hugging Face's {@code early_stopping}. */
    public enum EarlyStopping {
        /** As soon as {@code numBeams} completions are finished. */
        TRUE,
        /** When it is unlikely that an open beginning still gets better than the worst of them: at its present length, it would not. */
        FALSE,
        /** When none can. */
        NEVER
    }

    /**
     * @throws IsthmusException if a number is out of range
     */
    public BeamSearch {
        if (numBeams < 1 || numReturnSequences < 1 || numReturnSequences > numBeams) {
            throw new IsthmusException(
                    "num_beams must be at least 1 and num_return_sequences between 1 and num_beams, found " + numBeams
                            + " and " + numReturnSequences);
        }
    }

    /** With a length penalty of 1, stopping as transformers does by default. */
    public static BeamSearch of(int numBeams) {
        return new BeamSearch(numBeams, 1, EarlyStopping.FALSE, 1);
    }

    /**
     * A completion and its score.
     *
     * @param completion the tokens; {@code logProbs} are the model's own
     */
    public record Scored(Completion completion, double score) {}

    private record Beam(int[] tokens, float[] logProbs, double score, KvCache.Sequence cached) {
        int last() {
            return tokens[tokens.length - 1];
        }
    }

    private record Candidate(Beam from, int token, float logProb, double score) {}

    /**
     * The best completions of a prompt, the best first. The repetition penalty and the processors of {@code config.sampling()} apply to
     * the log-probabilities; nothing is drawn at random.
     *
     * @throws IsthmusException if the prompt is empty or leaves no room in the model's positions
     */
    public List<Scored> search(Decoder decoder, int[] prompt, GenerationConfig config) {
        if (prompt.length == 0) {
            throw new IsthmusException("a prompt is empty; start it with the model's begin-of-text token");
        }
        decoder.requireLength(prompt.length + 1);
        try (Scope session = Scope.open()) {
            Decoder packed = decoder.packed();
            List<Scored> found = new ArrayList<>();
            Autograd.noGrad(() -> found.addAll(run(packed, prompt, config)));
            return found;
        }
    }

    private List<Scored> run(Decoder decoder, int[] prompt, GenerationConfig config) {
        int limit = Math.min(config.maxNewTokens(), decoder.config().maxPositionEmbeddings() - prompt.length);
        KvCache cache = new KvCache(decoder, (2 * numBeams + 1) * KvCache.pagesFor(prompt.length + limit));
        SamplingParams sampling = config.sampling();
        TokenSampler sampler = new TokenSampler(
                new SamplingParams(false, 1, 0, 1, 0, sampling.repetitionPenalty(), sampling.processors(), List.of()),
                decoder.config().vocabSize());
        int kept = Math.max(2, 1 + config.eosTokenIds().size()) * numBeams;
        List<Beam> beams = List.of(new Beam(prompt, new float[0], 0, cache.open()));
        List<Scored> finished = new ArrayList<>();
        for (int length = 1; ; length++) {
            List<Candidate> best = candidates(decoder, cache, sampler, beams, prompt.length, kept);
            List<Candidate> open = new ArrayList<>();
            boolean last = length == limit;
            for (int rank = 0; rank < best.size(); rank++) {
                Candidate candidate = best.get(rank);
                boolean ended = config.eosTokenIds().contains(candidate.token);
                if (!ended && !last) {
                    open.add(candidate);
                } else if (rank < numBeams) {
                    finished.add(scored(candidate, prompt.length, length, ended));
                }
            }
            finished.sort(Comparator.comparingDouble(Scored::score).reversed());
            finished.subList(Math.min(numBeams, finished.size()), finished.size())
                    .clear();
            if (open.isEmpty() || finished.size() == numBeams && !worthwhile(open, finished, length, limit)) {
                return finished.subList(0, Math.min(numReturnSequences, finished.size()));
            }
            beams = advance(cache, beams, open.subList(0, Math.min(numBeams, open.size())));
        }
    }

    private boolean worthwhile(List<Candidate> open, List<Scored> finished, int length, int limit) {
        if (earlyStopping == EarlyStopping.TRUE) {
            return false;
        }
        int longest = earlyStopping == EarlyStopping.NEVER && lengthPenalty > 0 ? limit : length;
        return open.getFirst().score / Math.pow(longest, lengthPenalty) > finished.getLast().score;
    }

    private Scored scored(Candidate candidate, int promptLength, int length, boolean ended) {
        int[] tokens = appended(candidate.from.tokens, candidate.token);
        float[] logProbs = Arrays.copyOf(candidate.from.logProbs, length);
        logProbs[length - 1] = candidate.logProb;
        int[] written = Arrays.copyOfRange(tokens, promptLength, tokens.length);
        return new Scored(
                new Completion(0, written, logProbs, new float[0], ended),
                candidate.score / Math.pow(length, lengthPenalty));
    }

    private static int[] appended(int[] tokens, int token) {
        int[] longer = Arrays.copyOf(tokens, tokens.length + 1);
        longer[tokens.length] = token;
        return longer;
    }

    /** The best continuations of all beams by one token, the best first. */
    private static List<Candidate> candidates(
            Decoder decoder, KvCache cache, TokenSampler sampler, List<Beam> beams, int promptLength, int kept) {
        float[] logProbs = logProbs(decoder, cache, beams);
        int vocabSize = decoder.config().vocabSize();
        List<Candidate> all = new ArrayList<>();
        for (int b = 0; b < beams.size(); b++) {
            Beam beam = beams.get(b);
            History history = new History(beam.tokens, promptLength, beam.tokens.length);
            double[] scores = sampler.scores(logProbs, b * vocabSize, history);
            for (int token = 0; token < vocabSize; token++) {
                if (scores[token] != Double.NEGATIVE_INFINITY) {
                    all.add(new Candidate(beam, token, logProbs[b * vocabSize + token], beam.score + scores[token]));
                }
            }
        }
        all.sort(Comparator.comparingDouble(Candidate::score).reversed());
        return all.subList(0, Math.min(kept, all.size()));
    }

    private static float[] logProbs(Decoder decoder, KvCache cache, List<Beam> beams) {
        try (Scope pass = Scope.open()) {
            List<KvCache.Sequence> sequences = beams.stream().map(Beam::cached).toList();
            Tensor hidden;
            if (sequences.getFirst().length() == 0) {
                int[] prompt = beams.getFirst().tokens;
                hidden = cache.prefill(sequences, List.of(prompt)).narrow(0, prompt.length - 1, 1);
            } else {
                hidden = cache.step(
                        sequences, beams.stream().mapToInt(Beam::last).toArray());
            }
            return decoder.logits(hidden).logSoftmax(-1).toFloats();
        }
    }

    private static List<Beam> advance(KvCache cache, List<Beam> beams, List<Candidate> chosen) {
        List<Beam> next = new ArrayList<>();
        for (Candidate candidate : chosen) {
            Beam from = candidate.from;
            float[] logProbs = Arrays.copyOf(from.logProbs, from.logProbs.length + 1);
            logProbs[from.logProbs.length] = candidate.logProb;
            next.add(new Beam(
                    appended(from.tokens, candidate.token), logProbs, candidate.score, cache.fork(from.cached)));
        }
        beams.forEach(beam -> cache.release(beam.cached));
        return next;
    }
}
