package dev.isthmus.model;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.PackedWeight;
import dev.isthmus.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A projection {@code x W^T + b}.
 *
 * @param names its Hugging Face name, or those of several that are joined
 * @param sizes the sizes of their outputs
 * @param weight {@code [out, in]}, or {@code [in, out]} where {@code conv1d} says so (GPT-2)
 * @param packed the weight laid out for decoding, or null; then no gradients flow
 */
record Linear(
        String[] names,
        int[] sizes,
        Tensor weight,
        @Nullable Tensor bias,
        boolean conv1d,
        @Nullable PackedWeight packed) {
    Tensor forward(Tensor x, ModuleHooks hooks) {
        return hooks.see(names, sizes, product(x));
    }

    private Tensor product(Tensor x) {
        if (packed != null) {
            return packed.linear(x, bias);
        }
        return conv1d ? Functional.conv1d(x, weight, bias) : Functional.linear(x, weight, bias);
    }

    Linear pack() {
        return new Linear(names, sizes, weight, bias, conv1d, PackedWeight.of(weight, !conv1d));
    }
}
