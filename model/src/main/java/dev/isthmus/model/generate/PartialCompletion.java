package dev.isthmus.model.generate;

import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/** A completion that is being written. */
final class PartialCompletion {
    final int prompt;
    final int sample;
    private final GenerationConfig config;
    private final TokenSampler sampler;
    private final Rng stream;
    private final int promptLength;
    private final int limit;
    private int[] tokens;
    private int length;
    private float[] logProbs = new float[8];
    private float[] entropies;
    private boolean ended;

    /**
     * An empty completion.
     *
     * @param prompt the index of the prompt
     * @param sample which of its completions this is
     * @param tokens the prompt
     * @param room the number of tokens that the model can read behind it
     * @param sampler draws its tokens, from {@code stream}
     */
    PartialCompletion(
            GenerationConfig config, int prompt, int sample, int[] tokens, int room, TokenSampler sampler, Rng stream) {
        this.config = config;
        this.prompt = prompt;
        this.sample = sample;
        this.tokens = tokens;
        this.sampler = sampler;
        this.stream = stream;
        promptLength = tokens.length;
        length = tokens.length;
        limit = Math.min(config.maxNewTokens(), room);
        entropies = new float[config.outputEntropies() ? 8 : 0];
    }

    /** Draws the next token of each of {@code texts}, which are of one config, by its row of {@code logits [texts, V]}. */
    static void draw(List<PartialCompletion> texts, Tensor logits) {
        GenerationConfig config = texts.getFirst().config;
        float[] values = logits.toFloats();
        int[] targets = new int[texts.size()];
        int vocabSize = values.length / targets.length;
        for (int i = 0; i < targets.length; i++) {
            texts.get(i).draw(values, i * vocabSize);
            targets[i] = texts.get(i).last();
        }
        SamplingParams sampling = config.sampling();
        double temperature = sampling.doSample() ? sampling.temperature() : 1;
        Functional.TokenLoss loss =
                Functional.tokenLoss(logits, Tensor.of(targets, targets.length), temperature, config.outputEntropies());
        float[] losses = loss.loss().toFloats();
        Tensor entropy = loss.entropy();
        float[] nats = entropy == null ? new float[0] : entropy.toFloats();
        for (int i = 0; i < targets.length; i++) {
            PartialCompletion text = texts.get(i);
            text.logProbs = text.set(text.logProbs, -losses[i]);
            if (entropy != null) {
                text.entropies = text.set(text.entropies, nats[i]);
            }
        }
    }

    private void draw(float[] logits, int offset) {
        int token = sampler.sample(logits, offset, history(), stream);
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, length + Math.max(8, length / 2));
        }
        tokens[length++] = token;
        ended = config.eosTokenIds().contains(token);
        Streamer streamer = config.streamer();
        if (streamer != null && streamer.put(prompt, sample, token)) {
            ended = true;
        }
    }

    private float[] set(float[] values, float value) {
        int at = length - promptLength - 1;
        float[] longer = at < values.length ? values : Arrays.copyOf(values, 2 * at);
        longer[at] = value;
        return longer;
    }

    History history() {
        return new History(tokens, promptLength, length);
    }

    int last() {
        return tokens[length - 1];
    }

    /** Whether nothing more is to be written. */
    boolean done() {
        return ended || length - promptLength >= limit;
    }

    Completion completion() {
        int n = length - promptLength;
        return new Completion(
                prompt,
                Arrays.copyOfRange(tokens, promptLength, length),
                Arrays.copyOf(logProbs, n),
                Arrays.copyOf(entropies, config.outputEntropies() ? n : 0),
                ended);
    }
}
