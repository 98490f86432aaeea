package dev.isthmus.model.generate;

import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.IsthmusException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What to generate for each prompt.
 *
 * @param sampling how tokens are chosen
 * @param maxNewTokens the limit of a completion
 * @param eosTokenIds tokens that end a completion; they are part of it
 * @param numGenerations completions of each prompt
 * @param outputEntropies whether {@link Completion#entropies()} are wanted
 * @param streamer told every token; or null
 * @param adapters for each prompt the index of the decoder's adapter that changes it, negative for none; null if all of them do
 */
public record GenerationConfig(
        SamplingParams sampling,
        int maxNewTokens,
        List<Integer> eosTokenIds,
        int numGenerations,
        boolean outputEntropies,
        @Nullable Streamer streamer,
        int @Nullable [] adapters) {
    public GenerationConfig {
        if (maxNewTokens < 1 || numGenerations < 1) {
            throw new IsthmusException("max_new_tokens and num_generations must be at least 1, found " + maxNewTokens
                    + " and " + numGenerations);
        }
        eosTokenIds = List.copyOf(eosTokenIds);
    }

    /** Without entropies and without anyone to tell. */
    public GenerationConfig(SamplingParams sampling, int maxNewTokens, List<Integer> eosTokenIds, int numGenerations) {
        this(sampling, maxNewTokens, eosTokenIds, numGenerations, false, null, null);
    }

    /** With entropies. */
    public GenerationConfig withEntropies() {
        return new GenerationConfig(sampling, maxNewTokens, eosTokenIds, numGenerations, true, streamer, adapters);
    }

    /** With someone who is told every token. */
    public GenerationConfig withStreamer(Streamer told) {
        return new GenerationConfig(
                sampling, maxNewTokens, eosTokenIds, numGenerations, outputEntropies, told, adapters);
    }

    /** With one adapter for each prompt. */
    public GenerationConfig withAdapters(int... picked) {
        return new GenerationConfig(
                sampling, maxNewTokens, eosTokenIds, numGenerations, outputEntropies, streamer, picked);
    }
}
