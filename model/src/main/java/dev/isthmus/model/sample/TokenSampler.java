package dev.isthmus.model.sample;

import dev.isthmus.tensor.Rng;
import java.util.List;

/** Draws the tokens of one text through the chain of its {@link SamplingParams}. Not safe for several threads. */
public final class TokenSampler {
    private final boolean doSample;
    private final List<LogitsProcessor> chain;
    private final Candidates candidates;

    /** A sampler for logits of {@code vocabSize} tokens. */
    public TokenSampler(SamplingParams params, int vocabSize) {
        this(params, new Candidates(vocabSize));
    }

    private TokenSampler(SamplingParams params, Candidates candidates) {
        doSample = params.doSample();
        chain = params.chain();
        this.candidates = candidates;
    }

    /** A sampler for another text that shares this one's working memory. */
    public TokenSampler forSequence(SamplingParams params) {
        return new TokenSampler(params, candidates);
    }

    /**
     * Draws a token. One number is taken from {@code rng}, none if sampling is off.
     *
     * @param logits a row of logits starts at {@code offset}
     * @throws dev.isthmus.tensor.IsthmusException if the logits are not numbers, as those of a model that diverged, or if the chain
     *     leaves no token
     */
    public int sample(float[] logits, int offset, History history, Rng rng) {
        process(logits, offset, history);
        return doSample ? candidates.draw(rng.nextDouble() * candidates.weigh()) : candidates.argmax();
    }

    /** The distribution that {@link #sample} draws from. */
    public double[] probabilities(float[] logits, int offset, History history) {
        process(logits, offset, history);
        if (doSample) {
            return candidates.probabilities(candidates.weigh());
        }
        double[] certain = new double[candidates.vocabSize()];
        certain[candidates.argmax()] = 1;
        return certain;
    }

    /** The logits after the chain; negative infinity for what it took out. */
    public double[] scores(float[] logits, int offset, History history) {
        process(logits, offset, history);
        return candidates.scores();
    }

    private void process(float[] logits, int offset, History history) {
        candidates.load(logits, offset);
        for (LogitsProcessor processor : chain) {
            processor.process(candidates, history);
        }
    }
}
