package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;

/** A loss on completions that each have a score, such as how often they are preferred. */
public interface ScoredLoss {
    /**
     * The loss of a batch.
     *
     * @throws dev.isthmus.tensor.IsthmusException naming what the objective needs if {@code completions} lack it
     */
    LossResult compute(Completions completions);
}
