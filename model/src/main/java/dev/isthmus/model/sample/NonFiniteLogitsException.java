package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;

/** Thrown when no token can be sampled because logits are not numbers. */
public final class NonFiniteLogitsException extends IsthmusException {
    private static final long serialVersionUID = 1;

    NonFiniteLogitsException(double logit) {
        super("The logits are " + logit + "; the model has diverged or its weights are damaged");
    }
}
