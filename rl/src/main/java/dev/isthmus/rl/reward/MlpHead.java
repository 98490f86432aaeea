package dev.isthmus.rl.reward;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.util.List;

/** {@code W_2 relu(W_0 x + b_0) + b_2} of what a model computes, its layers numbered as PyTorch's Sequential does. */
public record MlpHead(Parameter weight0, Parameter bias0, Parameter weight2, Parameter bias2) {
    /**
     * A head in the current scope whose weights vary as much as those of PyTorch's Linear; its biases are 0.
     *
     * @param name what stands before the names of its layers
     */
    public static MlpHead initialize(String name, DType dtype, int inputs, int inner, int outputs, Rng rng) {
        return new MlpHead(
                weight(name + ".0", dtype, inputs, inner, rng),
                bias(name + ".0", dtype, inner),
                weight(name + ".2", dtype, inner, outputs, rng),
                bias(name + ".2", dtype, outputs));
    }

    private static Parameter weight(String layer, DType dtype, int inputs, int outputs, Rng rng) {
        Tensor weight = Tensor.randn(dtype, rng.split(layer), 1 / Math.sqrt(3.0 * inputs), outputs, inputs);
        return new Parameter(layer + ".weight", weight.requireGrad(), 0, outputs);
    }

    private static Parameter bias(String layer, DType dtype, int outputs) {
        return new Parameter(layer + ".bias", Tensor.zeros(dtype, outputs).requireGrad(), 0, outputs);
    }

    /** Its weights and biases. */
    public List<Parameter> parameters() {
        return List.of(weight0, bias0, weight2, bias2);
    }

    /** {@code [N, outputs]} of {@code x [N, inputs]}. */
    public Tensor of(Tensor x) {
        Tensor inner = Functional.linear(x, weight0.tensor(), bias0.tensor()).relu();
        return Functional.linear(inner, weight2.tensor(), bias2.tensor());
    }
}
