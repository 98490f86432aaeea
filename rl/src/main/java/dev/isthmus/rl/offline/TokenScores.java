package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.objective.preference.TokenLogps;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Functional.TokenLoss;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.CompletionLoss.Prediction;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.loop.StepLog;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a model makes of the learned tokens of sequences, one after another.
 *
 * @param logits {@code [T, V]}
 * @param targets {@code [T]} int32
 * @param logps {@code [T]}
 * @param entropy {@code [T]}, without gradient
 * @param lengths the learned tokens of each sequence
 */
record TokenScores(Tensor logits, Tensor targets, Tensor logps, Tensor entropy, int[] lengths) {
    static TokenScores of(Decoder model, List<Sequence> sequences) {
        return of(model, sequences, null, false);
    }

    /**
     * The same.
     *
     * @param trace sees what the model computes; or null
     * @param comparesLogits whether a loss takes more of the logits than log-probs
     */
    static TokenScores of(
            Decoder model, List<Sequence> sequences, Decoder.@Nullable Trace trace, boolean comparesLogits) {
        Prediction prediction = CompletionLoss.predict(model, sequences, trace);
        TokenLoss loss = Functional.tokenLoss(prediction.logits(), prediction.targets(), 1, true, !comparesLogits);
        return new TokenScores(
                prediction.logits(),
                prediction.targets(),
                loss.loss().neg(),
                Objects.requireNonNull(loss.entropy()),
                sequences.stream().mapToInt(s -> s.learned().length).toArray());
    }

    /**
     * The log-probs, a row for each sequence.
     *
     * @param refLogps {@code [T]}, or null
     */
    TokenLogps padded(@Nullable Tensor refLogps) {
        return TokenLogps.ofRagged(logps, refLogps, lengths);
    }

    /**
     * Puts the metrics that are not the objective's: {@code entropy}, {@code mean_token_accuracy} of the chosen completions, and the
     * mean logits {@code logits/chosen} and {@code logits/rejected} at completion tokens.
     *
     * @param chosen for each sequence
     */
    void log(StepLog log, boolean[] chosen) {
        Autograd.noGrad(() -> {
            double[] entropies = entropy.to(DType.FLOAT64).toDoubles();
            double[] means = logits.detach().mean(1, false).to(DType.FLOAT64).toDoubles();
            double[] right = logits.detach()
                    .argmax(1, false)
                    .to(DType.INT32)
                    .eq(targets)
                    .to(DType.FLOAT64)
                    .toDoubles();
            int n = 0;
            for (int s = 0; s < lengths.length; s++) {
                double entropySum = 0;
                double meanSum = 0;
                double rightSum = 0;
                for (int end = n + lengths[s]; n < end; n++) {
                    entropySum += entropies[n];
                    meanSum += means[n];
                    rightSum += right[n];
                }
                log.put("entropy", entropySum / lengths[s], lengths[s]);
                log.put(chosen[s] ? "logits/chosen" : "logits/rejected", meanSum / lengths[s], lengths[s]);
                if (chosen[s]) {
                    log.put("mean_token_accuracy", rightSum / lengths[s], lengths[s]);
                }
            }
        });
    }
}
