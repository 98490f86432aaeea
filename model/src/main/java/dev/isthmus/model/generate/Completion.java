package dev.isthmus.model.generate;

/**
 * What a model wrote after a prompt.
 *
 * @param prompt the index of the prompt
 * @param tokens the new tokens, the end-of-text token included if it was reached
 * @param logProbs the log-probability of each token at the sampling temperature, before any filter
 * @param finished whether an end-of-text token was reached, not the limit
 */
public record Completion(int prompt, int[] tokens, float[] logProbs, boolean finished) {}
