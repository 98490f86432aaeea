package dev.isthmus.model.generate;

import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.IsthmusException;
import java.util.List;

/**
 * What to generate for each prompt.
 *
 * @param sampling how tokens are chosen
 * @param maxNewTokens the limit of a completion
 * @param eosTokenIds tokens that end a completion; they are part of it
 * @param numGenerations completions of each prompt
 */
public record GenerationConfig(
        SamplingParams sampling, int maxNewTokens, List<Integer> eosTokenIds, int numGenerations) {
    public GenerationConfig {
        if (maxNewTokens < 1 || numGenerations < 1) {
            throw new IsthmusException("max_new_tokens and num_generations must be at least 1, found " + maxNewTokens
                    + " and " + numGenerations);
        }
        eosTokenIds = List.copyOf(eosTokenIds);
    }
}
