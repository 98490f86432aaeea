package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.objective.preference.ErrorInjection;
import dev.isthmus.rl.objective.preference.PairWeights;
import dev.isthmus.rl.objective.preference.Pairs;
import dev.isthmus.rl.objective.preference.TokenLogps;
import dev.isthmus.rl.objective.preference.TokenWeights;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.StepLog;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The token log-probs of a part of a step of pairs. */
final class PairBatch {
    private final TokenScores scores;
    private final TokenLogps chosen;
    private final TokenLogps rejected;
    /** Those of what the loss imitates. */
    private final TokenLogps imitated;

    private PairBatch(TokenScores scores, TokenLogps completions, TokenLogps learned) {
        this.scores = scores;
        chosen = completions.every(0, 2);
        rejected = completions.every(1, 2);
        imitated = learned.every(0, 2);
    }

    /**
     * What {@code model} makes of pairs.
     *
     * @param refLogps those of {@link #sequences} under a reference, or null
     * @param trace sees what the model computes; or null
     * @param comparesLogits whether a loss takes more of the logits than log-probs
     */
    static PairBatch of(
            Decoder model,
            List<Item<PairExample>> pairs,
            @Nullable Tensor refLogps,
            Decoder.@Nullable Trace trace,
            boolean comparesLogits) {
        TokenScores scores = TokenScores.of(model, sequences(pairs), trace, comparesLogits);
        TokenLogps completions = scores.padded(refLogps);
        return new PairBatch(scores, completions, completions);
    }

    /** What {@code model} makes of pairs and of their prompts, which are imitated with the chosen completions. */
    static PairBatch withPrompts(Decoder model, List<Item<PairExample>> pairs) {
        List<Sequence> completions = sequences(pairs);
        TokenScores scores = TokenScores.of(
                model, completions.stream().map(s -> Sequence.of(s.tokens(), 1)).toList());
        TokenLogps learned = scores.padded(null);
        int columns = (int) learned.mask().size(1);
        float[] mask = new float[completions.size() * columns];
        for (int n = 0; n < completions.size(); n++) {
            for (int t : completions.get(n).learned()) {
                mask[n * columns + t - 1] = 1;
            }
        }
        Tensor completion =
                Tensor.of(mask, completions.size(), columns).to(learned.mask().dtype());
        return new PairBatch(scores, new TokenLogps(learned.logps(), null, completion), learned);
    }

    /** Puts the metrics that are not the objective's. */
    void log(StepLog log) {
        boolean[] isChosen = new boolean[scores.lengths().length];
        for (int i = 0; i < isChosen.length; i += 2) {
            isChosen[i] = true;
        }
        scores.log(log, isChosen);
    }

    /** Each pair's chosen and rejected completion, one after the other, so that the prompt they share is read once. */
    static List<Sequence> sequences(List<Item<PairExample>> pairs) {
        return pairs.stream()
                .flatMap(p -> Stream.of(p.example().chosen(), p.example().rejected()))
                .toList();
    }

    /** The summed log-probs. */
    Pairs pairs() {
        return Pairs.of(chosen.sum(), rejected.sum());
    }

    /** The sums in which the tokens past the length of the shorter completion count {@code ldAlpha}. */
    Pairs lengthDesensitized(double ldAlpha) {
        return Pairs.of(
                chosen.sum(TokenWeights.lengthDesensitized(chosen.mask(), rejected.lengths(), ldAlpha)),
                rejected.sum(TokenWeights.lengthDesensitized(rejected.mask(), chosen.lengths(), ldAlpha)));
    }

    /** The sums over the tokens in which both completions of a pair differ; all of the chosen one is imitated (RISE). */
    Pairs differing(List<Item<PairExample>> part) {
        return ErrorInjection.pairs(
                chosen, learned(part, PairExample::chosen), rejected, learned(part, PairExample::rejected));
    }

    private static int[][] learned(List<Item<PairExample>> part, Function<PairExample, Sequence> side) {
        return part.stream()
                .map(item -> side.apply(item.example()))
                .map(s -> Arrays.stream(s.learned()).map(t -> s.tokens()[t]).toArray())
                .toArray(int[][]::new);
    }

    /** By how much the chosen completions are better: {@code [N]}. */
    static Tensor margins(List<Item<PairExample>> part, DType dtype) {
        double[] margins = part.stream().mapToDouble(p -> p.example().margin()).toArray();
        return Tensor.of(margins, margins.length).to(dtype);
    }

    /**
     * {@code pairs} with the divergences of their completions.
     *
     * @param sequences those of {@link #sequences}
     */
    Pairs withDivergences(Pairs pairs, ReferenceModel reference, List<Sequence> sequences) {
        Tensor ofTokens = reference.divergences(sequences, scores.logits());
        Tensor sums =
                TokenLogps.ofRagged(ofTokens, null, scores.lengths()).sum().logps();
        long end = sums.size(0);
        return pairs.withDivergences(sums.slice(0, 0, end, 2), sums.slice(0, 1, end, 2));
    }

    /** WPO's weights {@code [N]}. */
    Tensor wpo() {
        Tensor squares = TokenLogps.ofRagged(
                        PairWeights.logSumSquares(scores.logits().detach()), null, scores.lengths())
                .logps();
        long end = squares.size(0);
        return PairWeights.wpo(chosen, squares.slice(0, 0, end, 2), rejected, squares.slice(0, 1, end, 2));
    }

    /**
     * The negative log-prob of the imitated tokens of this part of a step, such that the mean over parts of the same size is the mean
     * over all imitated tokens of the step.
     */
    Tensor nll(List<Item<PairExample>> part, List<Item<PairExample>> step, boolean withPrompts) {
        long tokens = step.stream()
                .map(item -> item.example().chosen())
                .mapToLong(s -> withPrompts ? s.tokens().length - 1 : s.learned().length)
                .sum();
        return imitated.sum().logps().sum().mul(-(double) step.size() / part.size() / tokens);
    }
}
