package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** Learns from good and bad completions, and keeps the mean of their rewards. */
final class BcoTraining extends LabelledTraining {
    private final BcoLoss loss;
    private final @Nullable DensityRatios ratios;
    /** As it was before the step that is being taken. */
    private BcoLoss.State before;

    /**
     * Training of {@code trained}.
     *
     * @param ratios what bad completions count; null for 1
     * @param length tokens of a sequence at most
     */
    BcoTraining(
            TrainedModel trained,
            TrainingData<LabelledExample> data,
            BcoLoss loss,
            @Nullable DensityRatios ratios,
            ReferenceModel reference,
            int length) {
        super(trained, data, loss, 0, reference, length);
        this.loss = loss;
        this.ratios = ratios;
        before = loss.state();
    }

    @Override
    @Nullable
    Tensor weights(List<Item<LabelledExample>> part) {
        return ratios == null ? null : ratios.weights(part);
    }

    @Override
    public void stepped(long globalStep, StepLog log) {
        if (!Double.isFinite(loss.state().delta())) {
            loss.restore(before);
        }
        before = loss.state();
    }

    /** What is held out does not count towards the mean. */
    @Override
    public void evaluate(StepLog log) {
        loss.setCounting(false);
        super.evaluate(log);
        loss.setCounting(true);
    }

    @Override
    public void state(ObjectNode state) {
        super.state(state);
        state.put("delta", loss.state().delta()).put("delta_count", loss.state().count());
    }
}
