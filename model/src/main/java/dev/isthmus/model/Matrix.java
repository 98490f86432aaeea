package dev.isthmus.model;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
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

    /** The same without gradients for its own numbers. */
    Matrix frozen();

    /** The size of an input row. */
    int in();

    /** The size of an output row. */
    int out();

    /**
     * The numbers {@code [out, in]}: a view of those that are trained, else a copy in the current scope.
     *
     * @throws IsthmusException if they are laid out for decoding
     */
    Tensor numbers();

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

        @Override
        public Matrix frozen() {
            return new Trained(weight.detach(), conv1d);
        }

        @Override
        public int in() {
            return Math.toIntExact(weight.size(conv1d ? 0 : 1));
        }

        @Override
        public int out() {
            return Math.toIntExact(weight.size(conv1d ? 1 : 0));
        }

        @Override
        public Tensor numbers() {
            return conv1d ? weight.t() : weight;
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

        @Override
        public Matrix frozen() {
            return this;
        }

        @Override
        public int in() {
            return weight.in();
        }

        @Override
        public int out() {
            return weight.out();
        }

        @Override
        public Tensor numbers() {
            throw new IsthmusException(
                    "a model that is laid out for decoding has no weights to read; take the one it was made of");
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

        @Override
        public Matrix frozen() {
            return this;
        }

        @Override
        public int in() {
            return weights.getFirst().in();
        }

        @Override
        public int out() {
            return weights.stream().mapToInt(StoredWeight::out).sum();
        }

        @Override
        public Tensor numbers() {
            return Tensor.cat(
                    0, weights.stream().map(w -> w.toTensor(DType.FLOAT32)).toArray(Tensor[]::new));
        }
    }
}
