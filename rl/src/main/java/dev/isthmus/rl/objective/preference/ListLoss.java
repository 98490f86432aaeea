package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;

/** A loss on {@code K} scored completions of each of {@code P} prompts. */
public interface ListLoss {
    /**
     * The loss of a batch.
     *
     * @param lists every tensor {@code [P, K]}
     * @throws IsthmusException if a shape is not that, or scores are missing
     */
    LossResult compute(Completions lists);

    /** 1 where completion {@code i} has a higher score than {@code j}: {@code [P, K, K]}. */
    static Tensor better(Completions lists) {
        if (lists.logps().rank() != 2) {
            throw new IsthmusException("ranked lists must be [prompts, completions], found "
                    + Arrays.toString(lists.logps().shape()));
        }
        Tensor scores = lists.scored();
        return Autograd.noGrad(() ->
                scores.unsqueeze(2).gt(scores.unsqueeze(1)).to(lists.logps().dtype()));
    }

    /** {@code values_i - values_j}: {@code [P, K, K]}. */
    static Tensor differences(Tensor values) {
        return values.unsqueeze(2).sub(values.unsqueeze(1));
    }
}
