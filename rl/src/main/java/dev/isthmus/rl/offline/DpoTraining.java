package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.DpoLoss;
import dev.isthmus.rl.objective.preference.Pairs;
import dev.isthmus.rl.objective.preference.Partners;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.ArrayList;
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
    PartLoss<PairExample> step(Step<PairExample> step, StepLog log) {
        Partners partners = loss.usesPartners() && step.parts().size() > 1 ? partners(step) : null;
        return part -> {
            RouterAuxLoss balance = new RouterAuxLoss(model(), settings.routerAuxLossCoef());
            PairBatch batch = PairBatch.of(model(), part, refLogps(part), balance.trace(), loss.usesDivergences());
            batch.log(log);
            int first = step.first(part);
            Pairs pairs = pairs(batch, part)
                    .withPartners(partners == null ? null : partners.slice(first, first + part.size()));
            if (pairs.nll() == null) {
                pairs = pairs.withNll(batch.nll(part, step.items(), false));
            }
            if (settings.usesMargins()) {
                Tensor margins = PairBatch.margins(part, model().dtype());
                pairs = pairs.withScores(margins, Tensor.zerosLike(margins));
            }
            if (loss.usesDivergences()) {
                pairs = batch.withDivergences(pairs, reference, PairBatch.sequences(part));
            }
            LossResult result = loss.compute(settings.useWeighting() ? pairs.withWeights(batch.wpo()) : pairs);
            log.putAll(result.metrics(), part.size());
            return balance.addTo(result.loss(), 1, log);
        };
    }

    private Tensor refLogps(List<Item<PairExample>> part) {
        return reference.logps(keys(part), PairBatch.sequences(part));
    }

    private Pairs pairs(PairBatch batch, List<Item<PairExample>> part) {
        if (settings.onlyDifferingTokens()) {
            return batch.differing(part);
        }
        Double ldAlpha = settings.ldAlpha();
        return ldAlpha == null ? batch.pairs() : batch.lengthDesensitized(ldAlpha);
    }

    /** TRL sorts a micro-batch; here it does not matter how a step is divided. */
    private Partners partners(Step<PairExample> step) {
        return Autograd.noGrad(() -> {
            List<Pairs> parts = new ArrayList<>();
            for (List<Item<PairExample>> part : step.parts()) {
                try (Scope scope = Scope.open()) {
                    parts.add(pairs(PairBatch.of(model(), part, refLogps(part), null, false), part)
                            .keep());
                }
            }
            return Partners.of(parts);
        });
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
