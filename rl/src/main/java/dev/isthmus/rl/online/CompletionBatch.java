package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.objective.Ragged;
import dev.isthmus.tensor.Functional.TokenLoss;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The completions of a ragged batch, laid out as {@code [B, T]} and padded to the longest with zeros. */
public final class CompletionBatch {
    private final List<Example> examples;
    private final int rows;
    private final int cols;
    private final int[] lengths;
    private final Ragged layout;

    /**
     * What a model makes of the tokens.
     *
     * @param logps {@code [B, T]}, their log-probabilities
     * @param entropy {@code [B, T]}, that of the distribution of each; or null
     */
    public record Scores(Tensor logps, @Nullable Tensor entropy) {}

    /** A batch of prompts with their completions. */
    public CompletionBatch(List<Example> examples) {
        this.examples = List.copyOf(examples);
        lengths = examples.stream().mapToInt(Example::completionLength).toArray();
        rows = lengths.length;
        layout = new Ragged(lengths);
        cols = layout.columns();
    }

    /** The prompts with their completions. */
    public List<Example> examples() {
        return examples;
    }

    /** What {@code model} makes of the completions at a temperature. */
    public Scores scores(Decoder model, double temperature, boolean withEntropy) {
        return scores(model, temperature, withEntropy, null);
    }

    /**
     * The same.
     *
     * @param trace sees what the model computes; or null
     */
    Scores scores(Decoder model, double temperature, boolean withEntropy, Decoder.@Nullable Trace trace) {
        TokenLoss loss = CompletionLoss.perToken(model, examples, temperature, withEntropy, trace);
        Tensor entropy = loss.entropy();
        return new Scores(pad(loss.loss().neg()), entropy == null ? null : pad(entropy));
    }

    /** {@code [B, T]} of values of all completion tokens one after another; the gradient passes. */
    public Tensor pad(Tensor values) {
        return layout.pad(values);
    }

    /** {@code [B, T]} of the values of each completion. */
    public Tensor pad(List<float[]> values) {
        float[] all = new float[rows * cols];
        for (int i = 0; i < rows; i++) {
            System.arraycopy(values.get(i), 0, all, i * cols, lengths[i]);
        }
        return Tensor.of(all, rows, cols);
    }

    /** {@code [B, T]}: 1 for the tokens of the completions. */
    public Tensor mask() {
        boolean[] all = new boolean[rows];
        Arrays.fill(all, true);
        return mask(all);
    }

    /** {@code [B, T]}: 1 for the tokens of the completions that count, else 0. */
    public Tensor mask(boolean[] counted) {
        float[] all = new float[rows * cols];
        for (int i = 0; i < rows; i++) {
            for (int t = 0; t < lengths[i] && counted[i]; t++) {
                all[i * cols + t] = 1;
            }
        }
        return Tensor.of(all, rows, cols);
    }
}
