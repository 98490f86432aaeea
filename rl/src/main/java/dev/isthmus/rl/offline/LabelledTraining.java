package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.rl.objective.preference.Labelled;
import dev.isthmus.rl.objective.preference.LabelledLoss;
import dev.isthmus.rl.objective.preference.TokenLogps;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/** Learns from completions that are good or bad by themselves, against a reference. */
abstract class LabelledTraining extends OfflineTraining<LabelledExample> {
    final ReferenceModel reference;
    private final LabelledLoss loss;
    private final double routerAuxLossCoef;

    LabelledTraining(
            TrainedModel trained,
            TrainingData<LabelledExample> data,
            LabelledLoss loss,
            double routerAuxLossCoef,
            ReferenceModel reference) {
        super(trained, data);
        this.loss = loss;
        this.routerAuxLossCoef = routerAuxLossCoef;
        this.reference = reference;
    }

    /** What the completions of each part of a step are compared with, {@link Labelled#baseline}: the same number for all. */
    abstract ToDoubleFunction<Completions> baseline(Step<LabelledExample> step);

    @Override
    PartLoss<LabelledExample> step(Step<LabelledExample> step, StepLog log) {
        ToDoubleFunction<Completions> baseline = baseline(step);
        return part -> {
            boolean[] labels = new boolean[part.size()];
            for (int i = 0; i < labels.length; i++) {
                labels[i] = part.get(i).example().good();
            }
            RouterAuxLoss balance = new RouterAuxLoss(model(), routerAuxLossCoef);
            TokenScores scores = TokenScores.of(model(), sequences(part), balance.trace(), false);
            scores.log(log, labels);
            Completions completions = scores.padded(refLogps(part)).sum();
            LossResult result =
                    loss.compute(new Labelled(completions, labels, baseline.applyAsDouble(completions), weights(part)));
            log(log, result.metrics(), part.size());
            return balance.addTo(result.loss(), 1, log);
        };
    }

    /** What each example counts, {@code [N]}; null for 1. */
    @Nullable
    Tensor weights(List<Item<LabelledExample>> part) {
        return null;
    }

    static List<Sequence> sequences(List<Item<LabelledExample>> part) {
        return part.stream().map(item -> item.example().sequence()).toList();
    }

    /** Those of {@link #sequences}. */
    final Tensor refLogps(List<Item<LabelledExample>> part) {
        return reference.logps(part.stream().mapToLong(Item::number).toArray(), sequences(part));
    }

    /**
     * The sum of {@code lr(y)} over sequences, without gradient.
     *
     * @param refLogps asked for the reference's log-probs of their learned tokens, {@code [T]}
     */
    final double sumOfLogRatios(List<Sequence> sequences, Supplier<Tensor> refLogps) {
        int[] lengths = sequences.stream().mapToInt(s -> s.learned().length).toArray();
        try (Scope scope = Scope.open()) {
            return Autograd.noGrad(() -> {
                Tensor logps = CompletionLoss.ofSequences(model(), sequences, 1, false)
                        .loss()
                        .neg();
                return TokenLogps.ofRagged(logps, refLogps.get(), lengths)
                        .sum()
                        .logRatios()
                        .to(DType.FLOAT64)
                        .sum()
                        .item();
            });
        }
    }

    /** The means of a label count as often as there are completions with it. */
    private static void log(StepLog log, Map<String, Double> metrics, int size) {
        metrics.forEach((key, value) -> {
            String side = key.substring(key.indexOf('/') + 1);
            log.put(key, value, key.startsWith("count/") ? 1 : metrics.getOrDefault("count/" + side, (double) size));
        });
    }

    @Override
    long tokens(LabelledExample example) {
        return example.tokens();
    }

    @Override
    public List<String> shown() {
        return List.of("rewards/chosen", "rewards/rejected");
    }
}
