package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.DpoLoss;
import dev.isthmus.rl.objective.preference.Pairs;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;

/** Learns from pairs against a reference. */
final class DpoTraining extends OfflineTraining<PairExample> {
    private final DpoConfig settings;
    private final DpoLoss loss;
    private final ReferenceModel reference;

    DpoTraining(TrainedModel trained, TrainingData<PairExample> data, DpoConfig settings, ReferenceModel reference) {
        super(trained, data);
        this.settings = settings;
        this.reference = reference;
        loss = settings.loss();
    }

    /** Asks a reference all that it will be asked. */
    static void precompute(ReferenceModel reference, TrainingData<PairExample> data) {
        for (Iterable<List<Item<PairExample>>> batches : List.of(data.all(), data.heldOut())) {
            for (List<Item<PairExample>> batch : batches) {
                try (Scope scope = Scope.open()) {
                    reference.logps(keys(batch), PairBatch.sequences(batch));
                }
            }
        }
    }

    private static long[] keys(List<Item<PairExample>> pairs) {
        return pairs.stream()
                .flatMapToLong(p -> LongStream.of(2L * p.number(), 2L * p.number() + 1))
                .toArray();
    }

    @Override
    PartLoss<PairExample> step(List<Item<PairExample>> step, StepLog log) {
        return part -> {
            Tensor refLogps = reference.logps(keys(part), PairBatch.sequences(part));
            RouterAuxLoss balance = new RouterAuxLoss(model(), settings.routerAuxLossCoef());
            PairBatch batch = PairBatch.of(model(), part, refLogps, balance.trace(), log);
            Double ldAlpha = settings.ldAlpha();
            Pairs pairs = (ldAlpha == null ? batch.pairs() : batch.lengthDesensitized(ldAlpha))
                    .withNll(batch.nll(part, step, false));
            LossResult result = loss.compute(settings.useWeighting() ? pairs.withWeights(batch.wpo()) : pairs);
            log.putAll(result.metrics(), part.size());
            return balance.addTo(result.loss(), 1, log);
        };
    }

    @Override
    long tokens(PairExample pair) {
        return pair.tokens();
    }

    @Override
    public void stepped(long globalStep, StepLog log) {
        if (settings.syncRefModel() && globalStep % settings.refModelSyncSteps() == 0) {
            reference.follow(model(), settings.refModelMixupAlpha());
        }
    }

    @Override
    public List<String> shown() {
        return List.of("rewards/accuracies", "rewards/margins");
    }

    @Override
    public void save(Path directory) {
        super.save(directory);
        if (settings.syncRefModel()) {
            reference.save(directory);
        }
    }
}
