package dev.isthmus.rl.improve;

import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import java.util.List;

/** Lays the completion tokens of a ragged batch out as {@code [B, T]}, padded to the longest completion with zeros. */
final class Padding {
    private final int rows;
    private final int cols;
    private final int[] lengths;
    private final int[] index;

    Padding(List<Example> examples) {
        lengths = examples.stream().mapToInt(Example::completionLength).toArray();
        rows = lengths.length;
        int longest = 0;
        int total = 0;
        for (int length : lengths) {
            longest = Math.max(longest, length);
            total += length;
        }
        cols = longest;
        index = new int[rows * cols];
        int at = 0;
        for (int i = 0; i < rows; i++) {
            for (int t = 0; t < cols; t++) {
                index[i * cols + t] = t < lengths[i] ? at++ : total;
            }
        }
    }

    /** {@code [B, T]} of values of all completion tokens one after another; the gradient passes. */
    Tensor pad(Tensor values) {
        Tensor zero = Tensor.zeros(values.dtype(), 1);
        return Tensor.cat(0, values, zero)
                .gather(0, Tensor.of(index, index.length))
                .reshape(rows, cols);
    }

    /** {@code [B, T]} of the values of each completion. */
    Tensor pad(List<float[]> values) {
        float[] all = new float[rows * cols];
        for (int i = 0; i < rows; i++) {
            System.arraycopy(values.get(i), 0, all, i * cols, lengths[i]);
        }
        return Tensor.of(all, rows, cols);
    }

    /** {@code [B, T]}: 1 for the tokens of the completions that count, else 0. */
    Tensor mask(boolean[] counted) {
        float[] all = new float[rows * cols];
        for (int i = 0; i < rows; i++) {
            for (int t = 0; t < lengths[i] && counted[i]; t++) {
                all[i * cols + t] = 1;
            }
        }
        return Tensor.of(all, rows, cols);
    }
}
