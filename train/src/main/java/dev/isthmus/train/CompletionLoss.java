package dev.isthmus.train;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Functional.TokenLoss;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The negative log-probability of every completion token: what all losses of this project are made of. */
public final class CompletionLoss {
    private CompletionLoss() {}

    /** The number of completion tokens. */
    public static int tokens(List<Example> batch) {
        return batch.stream().mapToInt(Example::completionLength).sum();
    }

    /**
     * {@code -log p(token | the tokens before it)} for the completion tokens of all examples one after another: {@code [T]}.
     *
     * <p>Bit for bit the log-probabilities that generation reports for the same tokens and temperature. A prompt that stands before
     * several completions, one after another, is read once.
     */
    public static TokenLoss perToken(Decoder model, List<Example> batch, double temperature, boolean withEntropy) {
        return perToken(model, batch, temperature, withEntropy, null);
    }

    /**
     * The same.
     *
     * @param trace sees what is computed on the way; or null
     */
    public static TokenLoss perToken(
            Decoder model,
            List<Example> batch,
            double temperature,
            boolean withEntropy,
            Decoder.@Nullable Trace trace) {
        Prediction prediction = predict(model, batch.stream().map(Sequence::of).toList(), trace);
        return Functional.tokenLoss(prediction.logits, prediction.targets, temperature, withEntropy, true);
    }

    /** {@code -log p(token | the tokens before it)} for the learned tokens of all sequences one after another: {@code [T]}. */
    public static TokenLoss ofSequences(Decoder model, List<Sequence> batch, double temperature, boolean withEntropy) {
        Prediction prediction = predict(model, batch);
        return Functional.tokenLoss(prediction.logits, prediction.targets, temperature, withEntropy, true);
    }

    /**
     * What a model expects in the places of the tokens that are learned.
     *
     * @param logits {@code [T, V]}
     * @param targets {@code [T]} int32, the tokens that are there
     */
    public record Prediction(Tensor logits, Tensor targets) {}

    /** What {@code model} expects in the places of the learned tokens of all sequences one after another. */
    public static Prediction predict(Decoder model, List<Sequence> batch) {
        return predict(model, batch, null);
    }

    /**
     * The same.
     *
     * @param trace sees what is computed on the way; or null
     */
    public static Prediction predict(Decoder model, List<Sequence> batch, Decoder.@Nullable Trace trace) {
        int[] targets = batch.stream()
                .flatMapToInt(s -> Arrays.stream(s.learned()).map(t -> s.tokens()[t]))
                .toArray();
        return new Prediction(model.logits(hidden(model, batch, trace)), Tensor.of(targets, targets.length));
    }

    /** The hidden states that the learned tokens of all sequences are told from, one after another: {@code [T, C]}. */
    public static Tensor hidden(Decoder model, List<Sequence> batch) {
        return hidden(model, batch, null);
    }

    /**
     * The same.
     *
     * @param trace sees what is computed on the way; or null
     */
    public static Tensor hidden(Decoder model, List<Sequence> batch, Decoder.@Nullable Trace trace) {
        int longest = batch.stream().mapToInt(s -> s.tokens().length - 1).max().orElse(0);
        model.requireLength(longest);
        TokenBatch read = TokenBatch.of(
                batch.stream()
                        .map(s -> Arrays.copyOf(s.tokens(), s.tokens().length - 1))
                        .toList(),
                batch.stream()
                        .mapToInt(s -> s.learned().length == 0 ? s.tokens().length : s.learned()[0])
                        .toArray());
        int[] rows = new int[batch.stream().mapToInt(s -> s.learned().length).sum()];
        int n = 0;
        for (int i = 0; i < batch.size(); i++) {
            for (int t : batch.get(i).learned()) {
                rows[n++] = read.ragged().starts()[i] + t - 1;
            }
        }
        Tensor hidden = model.hidden(read, trace);
        return read.sharing() == null && n == read.tokens()
                ? hidden
                : Functional.embedding(hidden, read.tokensAt(rows));
    }

    /** The sum of {@link #perToken} divided by {@code tokens}, the number of completion tokens of the whole step. */
    public static Tensor mean(Decoder model, List<Example> batch, long tokens) {
        return perToken(model, batch, 1, false).loss().sum().div(tokens);
    }
}
