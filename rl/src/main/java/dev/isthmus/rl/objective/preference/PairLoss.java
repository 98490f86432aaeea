package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;

/** A loss on pairs of a better and a worse completion. */
public interface PairLoss {
    /**
     * The loss of a batch, and TRL's metrics of it.
     *
     * @throws dev.isthmus.tensor.IsthmusException naming what the objective needs if {@code pairs} lacks it
     */
    LossResult compute(Pairs pairs);

    /** Whether {@code compute} reads the log-probs of a reference model. */
    default boolean usesReference() {
        return true;
    }
}
