package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * What an objective says about a batch.
 *
 * @param loss a number with gradient
 * @param metrics numbers to log, under TRL's keys
 */
public record LossResult(Tensor loss, Map<String, Double> metrics) {}
