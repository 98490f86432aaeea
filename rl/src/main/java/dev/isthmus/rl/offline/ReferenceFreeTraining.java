package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.PairLoss;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.List;

/** Learns from pairs without a reference. */
final class ReferenceFreeTraining extends OfflineTraining<PairExample> {
    private final PairLoss loss;
    private final boolean imitatesPrompts;

    /**
     * Training of {@code trained}.
     *
     * @param imitatesPrompts whether the loss takes the negative log-prob of prompts, too
     */
    ReferenceFreeTraining(
            TrainedModel trained, TrainingData<PairExample> data, PairLoss loss, boolean imitatesPrompts) {
        super(trained, data);
        this.loss = loss;
        this.imitatesPrompts = imitatesPrompts;
    }

    @Override
    PartLoss<PairExample> step(Step<PairExample> step, StepLog log) {
        return part -> {
            PairBatch batch = imitatesPrompts
                    ? PairBatch.withPrompts(model(), part)
                    : PairBatch.of(model(), part, null, null, false);
            batch.log(log);
            LossResult result = loss.compute(batch.pairs().withNll(batch.nll(part, step.items(), imitatesPrompts)));
            log.putAll(result.metrics(), part.size());
            return result.loss();
        };
    }

    @Override
    long tokens(PairExample pair) {
        return pair.tokens();
    }

    @Override
    public List<String> shown() {
        return List.of("rewards/accuracies", "rewards/margins");
    }
}
