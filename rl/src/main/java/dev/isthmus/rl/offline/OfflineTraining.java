package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import java.nio.file.Path;
import java.util.List;

/**
 * Training on examples that are there before it begins.
 *
 * @param <E> an example
 */
abstract class OfflineTraining<E> implements Training {
    final TrainedModel trained;
    final TrainingData<E> data;

    OfflineTraining(TrainedModel trained, TrainingData<E> data) {
        this.trained = trained;
        this.data = data;
    }

    /**
     * The examples that an optimizer step learns from.
     *
     * @param parts by micro-batch
     * @param <E> an example
     */
    record Step<E>(List<List<Item<E>>> parts) {
        /** Those of all micro-batches. */
        List<Item<E>> items() {
            return parts.stream().flatMap(List::stream).toList();
        }

        /** The place of the first of {@code part} among them. */
        int first(List<Item<E>> part) {
            return parts.stream().takeWhile(p -> p != part).mapToInt(List::size).sum();
        }

        int size() {
            return parts.stream().mapToInt(List::size).sum();
        }
    }

    /**
     * The loss of a part of a step.
     *
     * @param <E> an example
     */
    @FunctionalInterface
    interface PartLoss<E> {
        /** The mean over the examples of {@code part}; metrics that it puts count as often as there are examples. */
        Tensor mean(List<Item<E>> part);
    }

    /**
     * The loss of the parts of a step. What an objective normalizes over tokens it normalizes over those of the whole step, and what
     * it compares with other examples of a batch it compares with those of the whole step, so that it does not matter how a step is
     * divided.
     */
    abstract PartLoss<E> step(Step<E> step, StepLog log);

    /** The tokens that the model reads of an example. */
    abstract long tokens(E example);

    @Override
    public Decoder model() {
        return trained.decoder();
    }

    @Override
    public List<MicroBatch> microBatches(long step, StepLog log) {
        Step<E> whole = new Step<>(data.step(step));
        PartLoss<E> loss = step(whole, log);
        return whole.parts().stream()
                .map(part -> new MicroBatch(
                        part.stream().mapToLong(item -> tokens(item.example())).sum(),
                        () -> loss.mean(part).mul((double) part.size() / whole.size())))
                .toList();
    }

    @Override
    public void evaluate(StepLog log) {
        for (List<Item<E>> batch : data.heldOut()) {
            try (Scope scope = Scope.open()) {
                double loss = Autograd.noGrad(
                        () -> step(new Step<>(List.of(batch)), log).mean(batch).item());
                log.put("loss", loss, batch.size());
            }
        }
    }

    @Override
    public long epoch() {
        return data.epoch();
    }

    @Override
    public String description() {
        return data.description();
    }

    @Override
    public String dataId() {
        return data.id();
    }

    @Override
    public void saveModel(Path directory) {
        trained.save(directory);
    }
}
