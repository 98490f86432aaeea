package dev.isthmus.model;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Makes the weights, trained tensors and names side by side, in the order of computation.
 *
 * <p>Given stored weights, it takes the matrices from them; these are no parameters then, and nothing is trained.
 */
final class ParameterMaker {
    final List<Parameter> parameters = new ArrayList<>();
    private final DType dtype;
    private final @Nullable Map<String, StoredWeight> stored;

    ParameterMaker(DType dtype, @Nullable Map<String, StoredWeight> stored) {
        this.dtype = dtype;
        this.stored = stored;
    }

    Tensor vector(String name, int size) {
        Tensor t = empty(size);
        parameters.add(new Parameter(name, t, 0, size));
        return t;
    }

    /** A matrix that is looked at row by row, never multiplied. */
    Tensor table(String name, int rows, int cols) {
        Tensor t = empty(rows, cols);
        parameters.add(new Parameter(name + ".weight", t, 0, rows));
        return t;
    }

    Embedding embedding(String name, int rows, int cols) {
        return stored == null
                ? new Embedding.Trained(table(name, rows, cols))
                : new Embedding.Stored(stored(name, rows, cols));
    }

    Linear conv1d(String name, int in, int out) {
        Matrix weight = stored == null
                ? new Matrix.Trained(table(name, in, out), true)
                : new Matrix.Stored(List.of(stored(name, out, in)));
        return new Linear(new String[] {name}, new int[] {out}, weight, vector(name + ".bias", out));
    }

    Linear linear(boolean withBias, int in, String name, int out) {
        return joined(withBias, in, new String[] {name}, out);
    }

    /** Several projections of one input as one tensor. */
    Linear joined(boolean withBias, int in, String[] names, int... out) {
        int rows = Arrays.stream(out).sum();
        Tensor weight = stored == null ? empty(rows, in) : null;
        Tensor bias = withBias ? empty(rows) : null;
        List<StoredWeight> parts = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < names.length; i++) {
            if (weight == null) {
                parts.add(stored(names[i], out[i], in));
            } else {
                parameters.add(new Parameter(names[i] + ".weight", weight, start, out[i]));
            }
            if (bias != null) {
                parameters.add(new Parameter(names[i] + ".bias", bias, start, out[i]));
            }
            start += out[i];
        }
        Matrix matrix = weight == null ? new Matrix.Stored(List.copyOf(parts)) : new Matrix.Trained(weight, false);
        return new Linear(names, out, matrix, bias);
    }

    private Tensor empty(long... shape) {
        Tensor t = Tensor.empty(dtype, shape);
        return stored == null ? t.requireGrad() : t;
    }

    private StoredWeight stored(String name, int out, int in) {
        StoredWeight weight = stored == null ? null : stored.get(name + ".weight");
        if (weight == null || weight.out() != out || weight.in() != in) {
            throw new IsthmusException("the stored weights have no " + name + ".weight [" + out + ", " + in + "]");
        }
        return weight;
    }
}
