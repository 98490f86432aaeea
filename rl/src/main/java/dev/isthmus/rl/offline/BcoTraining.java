package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Learns from good and bad completions, and keeps the mean of their rewards.
 *
 * <p>All rewards of a step count before any of it is learned, so that it does not matter how a step is divided: a step of several
 * micro-batches first asks the policy for the rewards of all. In TRL each micro-batch is compared with those before it and its own,
 * so that the first of a step meets another mean than the last.
 */
final class BcoTraining extends LabelledTraining {
    private final double beta;
    private final @Nullable DensityRatios ratios;
    /** The rewards of all steps that were learned. */
    private BcoLoss.Mean rewards;
    /** Those of the step that is being taken, too. */
    private BcoLoss.Mean counted;

    private boolean evaluating;

    /**
     * Training of {@code trained}.
     *
     * @param rewards those of the steps before
     * @param ratios what bad completions count; null for 1
     */
    BcoTraining(
            TrainedModel trained,
            TrainingData<LabelledExample> data,
            BcoLoss loss,
            BcoLoss.Mean rewards,
            @Nullable DensityRatios ratios,
            ReferenceModel reference) {
        super(trained, data, loss, 0, reference);
        this.ratios = ratios;
        this.rewards = rewards;
        beta = loss.beta();
        counted = rewards;
    }

    @Override
    ToDoubleFunction<Completions> baseline(Step<LabelledExample> step) {
        if (evaluating) {
            return _ -> rewards.delta();
        }
        if (step.parts().size() == 1) {
            return own ->
                    count(own.logRatios().detach().to(DType.FLOAT64).mean().item(), step.size());
        }
        double sum = 0;
        for (List<Item<LabelledExample>> part : step.parts()) {
            sum += sumOfLogRatios(sequences(part), () -> refLogps(part));
        }
        double delta = count(sum / step.size(), step.size());
        return _ -> delta;
    }

    private double count(double meanLogRatio, int size) {
        counted = rewards.with(beta * meanLogRatio, size);
        return counted.delta();
    }

    @Override
    @Nullable
    Tensor weights(List<Item<LabelledExample>> part) {
        return ratios == null ? null : ratios.weights(part).to(model().dtype());
    }

    @Override
    public void skipped() {
        counted = rewards;
    }

    @Override
    public void stepped(long globalStep, StepLog log) {
        rewards = counted;
    }

    /** What is held out does not count towards the mean. */
    @Override
    public void evaluate(StepLog log) {
        evaluating = true;
        super.evaluate(log);
        evaluating = false;
    }

    @Override
    public void state(ObjectNode state) {
        super.state(state);
        state.put("delta", rewards.delta()).put("delta_count", rewards.count());
    }
}
