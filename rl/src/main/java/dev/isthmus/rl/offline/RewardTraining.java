package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.RewardModelLoss;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.List;

/** Teaches a model which of two completions is better. */
final class RewardTraining extends ClassifierTraining<PairExample> {
    private final RewardModelLoss loss;

    RewardTraining(TrainedModel trained, TrainingData<PairExample> data, Classifier classifier, RewardModelLoss loss) {
        super(trained, data, classifier);
        this.loss = loss;
    }

    @Override
    PartLoss<PairExample> step(Step<PairExample> step, StepLog log) {
        return part -> {
            List<int[]> tokens =
                    PairBatch.sequences(part).stream().map(Sequence::tokens).toList();
            Tensor rewards = classifier.last(tokens).reshape(-1);
            long end = rewards.size(0);
            LossResult result = loss.compute(
                    rewards.slice(0, 0, end, 2), rewards.slice(0, 1, end, 2), PairBatch.margins(part, rewards.dtype()));
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
        return List.of("accuracy", "margin");
    }
}
