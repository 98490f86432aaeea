package dev.isthmus.train.loop;

import dev.isthmus.tensor.Tensor;
import java.util.function.Supplier;

/**
 * The part of a step whose activations are in memory at once.
 *
 * @param tokens that the model reads, for {@code num_tokens}
 * @param loss computes the loss, in a scope of its own; the sum over all parts of a step is what is minimized
 */
public record MicroBatch(long tokens, Supplier<Tensor> loss) {}
