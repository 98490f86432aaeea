package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;

/** A loss on completions that are good or bad by themselves. */
public interface LabelledLoss {
    /** The loss of a batch, and TRL's metrics of it. */
    LossResult compute(Labelled batch);
}
