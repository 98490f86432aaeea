package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.rl.objective.preference.Labelled;
import dev.isthmus.rl.objective.preference.LabelledLoss;
import dev.isthmus.rl.objective.preference.TokenLogps;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Learns from completions that are good or bad by themselves, against a reference. */
class LabelledTraining extends OfflineTraining<LabelledExample> {
    private final LabelledLoss loss;
    private final double routerAuxLossCoef;
    private final ReferenceModel reference;
    private final int length;

    /**
     * Training of {@code trained}.
     *
     * @param length tokens of a sequence at most
     */
    LabelledTraining(
            TrainedModel trained,
            TrainingData<LabelledExample> data,
            LabelledLoss loss,
            double routerAuxLossCoef,
            ReferenceModel reference,
            int length) {
        super(trained, data);
        this.loss = loss;
        this.routerAuxLossCoef = routerAuxLossCoef;
        this.reference = reference;
        this.length = length;
    }

    @Override
    PartLoss<LabelledExample> step(List<Item<LabelledExample>> step, StepLog log) {
        Completions mismatched = loss.usesMismatched() ? mismatchedCompletions(step) : null;
        return part -> part(part, mismatched, log);
    }

    private Tensor part(List<Item<LabelledExample>> part, @Nullable Completions mismatched, StepLog log) {
        List<Sequence> sequences =
                part.stream().map(item -> item.example().sequence()).toList();
        boolean[] labels = new boolean[part.size()];
        for (int i = 0; i < labels.length; i++) {
            labels[i] = part.get(i).example().good();
        }
        Tensor refLogps = reference.logps(part.stream().mapToLong(Item::number).toArray(), sequences);
        RouterAuxLoss balance = new RouterAuxLoss(model(), routerAuxLossCoef);
        TokenScores scores = TokenScores.of(model(), sequences, balance.trace());
        scores.log(log, labels);
        Tensor weights = weights(part);
        LossResult result = loss.compute(new Labelled(
                scores.padded(refLogps).sum(),
                labels,
                mismatched,
                weights == null ? null : weights.to(scores.logps().dtype())));
        log(log, result.metrics(), part.size());
        return balance.addTo(result.loss(), 1, log);
    }

    /** What each example counts, {@code [N]}; null for 1. */
    @Nullable
    Tensor weights(List<Item<LabelledExample>> part) {
        return null;
    }

    /** The means of a label count as often as there are completions with it. */
    private static void log(StepLog log, Map<String, Double> metrics, int size) {
        metrics.forEach((key, value) -> {
            String side = key.substring(key.indexOf('/') + 1);
            log.put(key, value, key.startsWith("count/") ? 1 : metrics.getOrDefault("count/" + side, (double) size));
        });
    }

    private Completions mismatchedCompletions(List<Item<LabelledExample>> step) {
        List<Sequence> sequences = mismatched(step);
        if (sequences.isEmpty()) {
            throw new IsthmusException(
                    "kto compares with completions of other prompts, and there is only one example at once: held-out data"
                            + " must have at least 2 rows, and per_device_eval_batch_size be at least 2");
        }
        int[] lengths = sequences.stream().mapToInt(s -> s.learned().length).toArray();
        try (Scope scope = Scope.open()) {
            return Autograd.noGrad(() -> {
                float[] refLogps = reference.logps(sequences);
                Tensor logps = CompletionLoss.ofSequences(model(), sequences, 1, false)
                        .loss()
                        .neg();
                Completions sums = TokenLogps.ofRagged(logps, Tensor.of(refLogps, refLogps.length), lengths)
                        .sum();
                return Completions.of(
                        sums.logps().keep(),
                        sums.reference().keep(),
                        sums.lengths().keep());
            });
        }
    }

    /**
     * Each prompt of a step with the completion of the one before it: {@code (x_1, y_N), (x_2, y_1), ...}. In TRL they are those of a
     * micro-batch; here it does not matter how a step is divided.
     */
    List<Sequence> mismatched(List<Item<LabelledExample>> step) {
        List<Sequence> sequences = new ArrayList<>();
        for (int i = 0; i < step.size() && step.size() > 1; i++) {
            Sequence own = step.get(i).example().sequence();
            Sequence other =
                    step.get((i + step.size() - 1) % step.size()).example().sequence();
            int prompt = own.learned()[0];
            int completion = Math.min(other.learned().length, length - prompt);
            if (completion > 0) {
                int[] tokens = Arrays.copyOf(own.tokens(), prompt + completion);
                System.arraycopy(other.tokens(), other.learned()[0], tokens, prompt, completion);
                sequences.add(Sequence.of(tokens, prompt));
            }
        }
        return sequences;
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
