package dev.isthmus.rl.offline;

import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.Arrays;
import java.util.List;

/** Teaches a model which steps are right: the cross-entropy at the tokens that end them. */
final class StepwiseTraining extends ClassifierTraining<StepwiseExample> {
    StepwiseTraining(TrainedModel trained, TrainingData<StepwiseExample> data, Classifier classifier) {
        super(trained, data, classifier);
    }

    @Override
    PartLoss<StepwiseExample> step(Step<StepwiseExample> step, StepLog log) {
        return part -> {
            List<StepwiseExample> examples = part.stream().map(Item::example).toList();
            Tensor logits = classifier.at(
                    examples.stream().map(StepwiseExample::tokens).toList(),
                    examples.stream().map(StepwiseExample::places).toList());
            int[] labels = examples.stream()
                    .map(StepwiseExample::labels)
                    .flatMapToInt(Arrays::stream)
                    .toArray();
            Tensor targets = Tensor.of(labels, labels.length);
            Autograd.noGrad(() -> log.put(
                    "accuracy",
                    logits.detach()
                            .argmax(1, false)
                            .to(DType.INT32)
                            .eq(targets)
                            .to(DType.FLOAT64)
                            .mean()
                            .item(),
                    labels.length));
            double share = (double) labels.length / steps(step.items()) * step.size() / part.size();
            return Functional.crossEntropy(logits, targets).mul(share);
        };
    }

    private static long steps(List<Item<StepwiseExample>> items) {
        return items.stream().mapToLong(item -> item.example().labels().length).sum();
    }

    @Override
    long tokens(StepwiseExample example) {
        return example.tokens().length;
    }
}
