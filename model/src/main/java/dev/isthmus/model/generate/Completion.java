package dev.isthmus.model.generate;

/**
 * What a model wrote after a prompt.
 *
 * @param prompt the index of the prompt
 * @param tokens the new tokens, the end-of-text token included if it was reached
 * @param logProbs the log-probability of each token at the sampling temperature, before any filter
 * @param entropies the entropy of the distribution of each token at the sampling temperature, before any filter, in nats; empty if they
 *     were not asked for
 * @param finished whether an end-of-text token or a stop string was reached, not the limit
 */
public record Completion(int prompt, int[] tokens, float[] logProbs, float[] entropies, boolean finished) {}
