package dev.isthmus.model;

import dev.isthmus.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A projection {@code x W^T + b}.
 *
 * @param names its Hugging Face name, or those of several that are joined
 * @param sizes the sizes of their outputs
 */
record Linear(String[] names, int[] sizes, Matrix weight, @Nullable Tensor bias) {
    Tensor forward(Tensor x, ModuleHooks hooks) {
        return hooks.see(names, sizes, weight.linear(x, bias));
    }

    Linear pack() {
        return new Linear(names, sizes, weight.pack(), bias);
    }
}
