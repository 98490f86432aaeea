package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackMatrix;
import dev.isthmus.tensor.KernelCall.Storing;
import org.jspecify.annotations.Nullable;

/**
 * A weight laid out once for many products, as decoding needs it. It does not follow later changes of the weight.
 *
 * @param panels what {@link PackMatrix} wrote
 * @param in the size of an input row
 * @param out the size of an output row
 */
public record PackedWeight(Tensor panels, int in, int out) {
    /**
     * Packs a weight into the current scope.
     *
     * @param weight {@code [out, in]}, or {@code [in, out]} if not {@code transposed}
     */
    public static PackedWeight of(Tensor weight, boolean transposed) {
        int rows = Layout.intSize(weight.alive().size(0));
        int cols = Layout.intSize(weight.size(1));
        int in = transposed ? cols : rows;
        int out = transposed ? rows : cols;
        Tensor panels = Tensor.empty(weight.dtype(), PackMatrix.size(in, out));
        panels.run(new PackMatrix(transposed, in, out, weight.buffer(), cols, panels.buffer()));
        return new PackedWeight(panels, in, out);
    }

    /** {@code x W^T + b} for {@code x [N, in]}: bit for bit what {@link Functional#linear} gives; carries no gradient. */
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        int rows = Layout.intSize(x.alive().contiguous().size(0));
        Tensor y = Tensor.empty(x.dtype(), rows, out);
        y.run(new MatMul(
                false,
                Storing.PACKED,
                rows,
                out,
                in,
                x.buffer(),
                in,
                panels.alive().buffer(),
                0,
                bias == null ? null : bias.buffer(),
                y.buffer(),
                out,
                false));
        return y;
    }
}
