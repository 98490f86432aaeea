package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.stream.IntStream;

/**
 * Writes a text with guesses that the model checks several at a time; the text has exactly the distribution that it has without them
 * (Leviathan et al. 2023, algorithm 1): a guess {@code x} drawn from {@code q} is taken with probability {@code min(1, p(x) / q(x))},
 * otherwise the token is drawn from {@code max(0, p - q)}, normalized, and the guesses behind it are forgotten.
 */
public final class SpeculativeDecoding {
    private final Decoder decoder;
    private final Draft draft;
    private final GenerationConfig config;
    private final int numAssistantTokens;
    private final Rng rng;
    private final TokenSampler sampler;
    private final int promptLength;
    private int[] tokens;
    private int length;
    private float[] logProbs = new float[8];
    private boolean ended;
    private int guessed;
    private int taken;

    /**
     * A completion and how well it was guessed.
     *
     * @param guessed guesses that were checked
     * @param taken guesses that became part of the text
     */
    public record Result(Completion completion, int guessed, int taken) {}

    private SpeculativeDecoding(
            Decoder decoder, Draft draft, int[] prompt, GenerationConfig config, int numAssistantTokens, Rng rng) {
        this.decoder = decoder;
        this.draft = draft;
        this.config = config;
        this.numAssistantTokens = numAssistantTokens;
        this.rng = rng;
        sampler = new TokenSampler(config.sampling(), decoder.config().vocabSize());
        tokens = prompt.clone();
        promptLength = prompt.length;
        length = prompt.length;
    }

    /**
     * One completion of a prompt.
     *
     * @param numAssistantTokens guesses that are checked at a time, at most
     * @throws IsthmusException if the prompt is empty or leaves no room in the model's positions
     */
    public static Result generate(
            Decoder decoder, Draft draft, int[] prompt, GenerationConfig config, int numAssistantTokens, Rng rng) {
        if (prompt.length == 0) {
            throw new IsthmusException("a prompt is empty; start it with the model's begin-of-text token");
        }
        decoder.requireLength(prompt.length + 1);
        try (Scope session = Scope.open()) {
            SpeculativeDecoding text =
                    new SpeculativeDecoding(decoder.packed(), draft, prompt, config, numAssistantTokens, rng);
            Autograd.noGrad(text::run);
            int n = text.length - prompt.length;
            int[] written = Arrays.copyOfRange(text.tokens, prompt.length, text.length);
            Completion completion =
                    new Completion(0, written, Arrays.copyOf(text.logProbs, n), new float[0], text.ended);
            return new Result(completion, text.guessed, text.taken);
        }
    }

    private void run() {
        int limit =
                Math.min(promptLength + config.maxNewTokens(), decoder.config().maxPositionEmbeddings());
        KvCache cache = new KvCache(decoder, KvCache.pagesFor(limit) + 1);
        KvCache.Sequence sequence = cache.open();
        while (!ended && length < limit) {
            History text = new History(tokens, promptLength, length);
            Draft.Guess guess = draft.propose(text, Math.min(numAssistantTokens, limit - length - 1), rng);
            try (Scope pass = Scope.open()) {
                int[] fresh = IntStream.concat(
                                Arrays.stream(tokens, sequence.length(), length), IntStream.of(guess.tokens()))
                        .toArray();
                int count = guess.tokens().length;
                Tensor hidden = cache.step(Collections.nCopies(fresh.length, sequence), fresh);
                check(guess, decoder.logits(hidden.narrow(0, fresh.length - count - 1, count + 1)));
            }
            cache.rewind(sequence, length - 1);
        }
    }

    private void check(Draft.Guess guess, Tensor logits) {
        float[] values = logits.toFloats();
        int vocabSize = decoder.config().vocabSize();
        int count = guess.tokens().length;
        int before = length;
        boolean agreed = true;
        for (int i = 0; i <= count && agreed && !ended; i++) {
            double[] p = sampler.probabilities(values, i * vocabSize, new History(tokens, promptLength, length));
            if (i < count) {
                int x = guess.tokens()[i];
                guessed++;
                agreed = rng.nextDouble() * guess.probability(i, x) < p[x];
                if (agreed) {
                    taken++;
                    append(x);
                    continue;
                }
                for (int token = 0; token < p.length; token++) {
                    p[token] = Math.max(0, p[token] - guess.probability(i, token));
                }
            }
            append(Draft.draw(p, rng));
        }
        SamplingParams sampling = config.sampling();
        int fresh = length - before;
        float[] loss = Functional.tokenLoss(
                        logits.narrow(0, 0, fresh),
                        Tensor.of(Arrays.copyOfRange(tokens, before, length), fresh),
                        sampling.doSample() ? sampling.temperature() : 1,
                        false)
                .loss()
                .toFloats();
        for (int i = 0; i < fresh; i++) {
            int at = before - promptLength + i;
            logProbs = at < logProbs.length ? logProbs : Arrays.copyOf(logProbs, 2 * at);
            logProbs[at] = -loss[i];
        }
    }

    private void append(int token) {
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, length + Math.max(8, length / 2));
        }
        tokens[length++] = token;
        ended = config.eosTokenIds().contains(token);
        Streamer streamer = config.streamer();
        if (streamer != null && streamer.put(0, 0, token)) {
            ended = true;
        }
    }
}
