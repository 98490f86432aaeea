package dev.isthmus.model;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Makes the weights, trained tensors and names side by side, in the order of computation. */
final class ParameterMaker {
    final List<Parameter> parameters = new ArrayList<>();
    private final DType dtype;

    ParameterMaker(DType dtype) {
        this.dtype = dtype;
    }

    Tensor vector(String name, int size) {
        Tensor t = Tensor.empty(dtype, size).requireGrad();
        parameters.add(new Parameter(name, t, 0, size));
        return t;
    }

    Tensor weight(String name, int rows, int cols) {
        Tensor t = Tensor.empty(dtype, rows, cols).requireGrad();
        parameters.add(new Parameter(name + ".weight", t, 0, rows));
        return t;
    }

    Linear conv1d(String name, int in, int out) {
        Tensor weight = weight(name, in, out);
        return new Linear(new String[] {name}, new int[] {out}, weight, vector(name + ".bias", out), true, null);
    }

    Linear linear(boolean withBias, int in, String name, int out) {
        return joined(withBias, in, new String[] {name}, out);
    }

    /** Several projections of one input as one tensor. */
    Linear joined(boolean withBias, int in, String[] names, int... out) {
        int rows = 0;
        for (int n : out) {
            rows += n;
        }
        Tensor weight = Tensor.empty(dtype, rows, in).requireGrad();
        Tensor bias = withBias ? Tensor.empty(dtype, rows).requireGrad() : null;
        int start = 0;
        for (int i = 0; i < names.length; i++) {
            parameters.add(new Parameter(names[i] + ".weight", weight, start, out[i]));
            if (bias != null) {
                parameters.add(new Parameter(names[i] + ".bias", bias, start, out[i]));
            }
            start += out[i];
        }
        return new Linear(names, out, weight, bias, false, null);
    }
}
