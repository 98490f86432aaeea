package dev.isthmus.model;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.PackedWeight;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The weight of a projection, in one of the forms that it has for training and for inference. */
sealed interface Matrix {
    /** {@code x W^T + b} of {@code x [N, in]}: {@code [N, out]}. */
    Tensor linear(Tensor x, @Nullable Tensor bias);

    /** The same numbers, in the current scope, in a form that is fast for few rows. */
    Matrix pack();

    /**
     * Numbers that are trained.
     *
     * @param weight {@code [out, in]}, or {@code [in, out]} where {@code conv1d} says so (GPT-2)
     */
    record Trained(Tensor weight, boolean conv1d) implements Matrix {
        @Override
        public Tensor linear(Tensor x, @Nullable Tensor bias) {
            return conv1d ? Functional.conv1d(x, weight, bias) : Functional.linear(x, weight, bias);
        }

        @Override
        public Matrix pack() {
            return new Packed(PackedWeight.of(weight, !conv1d));
        }
    }

    /** Numbers laid out for decoding; no gradients flow. */
    record Packed(PackedWeight weight) implements Matrix {
        @Override
        public Tensor linear(Tensor x, @Nullable Tensor bias) {
            return weight.linear(x, bias);
        }

        @Override
        public Matrix pack() {
            return this;
        }
    }

    /** Frozen numbers as files hold them, those of several projections one below the other. */
    record Stored(List<StoredWeight> weights) implements Matrix {
        @Override
        public Tensor linear(Tensor x, @Nullable Tensor bias) {
            return StoredWeight.linear(weights, x, bias);
        }

        @Override
        public Matrix pack() {
            return this;
        }
    }
}
