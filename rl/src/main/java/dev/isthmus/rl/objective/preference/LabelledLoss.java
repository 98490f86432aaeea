package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;

/** A loss on completions that are good or bad by themselves. */
public interface LabelledLoss {
    /**
     * The loss of a batch, and TRL's metrics of it.
     *
     * @throws dev.isthmus.tensor.IsthmusException naming what the objective needs if {@code batch} lacks it
     */
    LossResult compute(Labelled batch);

    /** Whether {@code compute} reads {@link Labelled#mismatched}. */
    default boolean usesMismatched() {
        return false;
    }
}
