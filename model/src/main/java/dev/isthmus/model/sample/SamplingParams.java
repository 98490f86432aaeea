package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;

/**
 * How the next token is drawn, with the names and defaults of Hugging Face's GenerationConfig and TRL.
 *
 * @param doSample false takes the most probable token (the first of equal ones)
 * @param temperature divides the logits
 * @param topK keeps this many of the most probable tokens; 0 keeps all
 * @param topP keeps the fewest most probable tokens that have this much probability together (Holtzman et al. 2020)
 * @param minP drops tokens less probable than this share of the most probable one's probability; 0 drops none
 * @param repetitionPenalty divides positive logits of tokens that were seen, multiplies negative ones (Keskar et al. 2019)
 */
public record SamplingParams(
        boolean doSample, double temperature, int topK, double topP, double minP, double repetitionPenalty) {
    public SamplingParams {
        require(temperature > 0, "temperature", "positive; for the most probable token turn sampling off", temperature);
        require(topK >= 0, "top_k", "0 or more", topK);
        require(topP > 0 && topP <= 1, "top_p", "above 0 and at most 1", topP);
        require(minP >= 0 && minP <= 1, "min_p", "between 0 and 1", minP);
        require(repetitionPenalty > 0, "repetition_penalty", "positive", repetitionPenalty);
    }

    private static void require(boolean condition, String name, String expected, double found) {
        if (!condition) {
            throw new IsthmusException(name + " must be " + expected + ", found " + found);
        }
    }

    /** The most probable token each time. */
    public static SamplingParams greedy() {
        return new SamplingParams(false, 1, 0, 1, 0, 1);
    }

    /** The model's own distribution at a temperature. */
    public static SamplingParams temperature(double temperature) {
        return new SamplingParams(true, temperature, 0, 1, 0, 1);
    }

    /** Whether something other than the temperature shapes the distribution. */
    boolean filters() {
        return topK > 0 || topP < 1 || minP > 0;
    }
}
