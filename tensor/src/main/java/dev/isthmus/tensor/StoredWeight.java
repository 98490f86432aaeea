package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A weight {@code [out, in]} used as a file stores it: a mapped file is multiplied without a copy.
 *
 * @param data native memory of {@code out} rows, which must stay alive as long as the weight is used
 * @param in the size of an input row
 * @param out the size of an output row
 */
public record StoredWeight(WeightFormat format, MemorySegment data, int in, int out) {
    /** The numbers of a weight that are float32 at once on the way back. */
    private static final int PANEL = 1 << 20;

    /** Checks the sizes. */
    public StoredWeight {
        if (in % format.block() != 0) {
            throw new TensorException("weight [" + out + ", " + in + "] as " + format + ": rows of " + in
                    + " numbers are no multiple of its blocks of " + format.block());
        }
        long expected = out * format.rowBytes(in);
        if (!data.isNative() || data.byteSize() < expected) {
            throw new TensorException("weight [" + out + ", " + in + "] as " + format + ": expected " + expected
                    + " bytes of native memory, found " + data.byteSize() + (data.isNative() ? "" : " on the heap"));
        }
    }

    /**
     * {@code x W^T + b} for {@code x [N, in]}; a row has the same bits alone and among others.
     *
     * <p>The weight is frozen: {@code dx = dy W}, from some of its rows at a time, {@code db = sum dy}.
     */
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        if (x.rank() != 2 || x.size(1) != in) {
            throw new TensorException("linear with a stored weight [" + out + ", " + in + "]: expected an input [N, "
                    + in + "], found " + Arrays.toString(x.shape()));
        }
        Tensor rows = x.alive().contiguous();
        int n = Layout.intSize(rows.size(0));
        Tensor y = Tensor.empty(x.dtype(), n, out);
        Tensor b = bias == null ? null : bias.alive().contiguous();
        y.run(new WeightMatMul(
                format, n, out, in, rows.buffer(), in, data, b == null ? null : b.buffer(), y.buffer(), out));
        Tensor[] inputs = b == null ? new Tensor[] {rows} : new Tensor[] {rows, b};
        return Autograd.record("linear", y, dy -> backward(dy, rows, b), inputs);
    }

    private void backward(Tensor dy, Tensor x, @Nullable Tensor bias) {
        Buffer d = dy.buffer();
        int n = Layout.intSize(dy.size(0));
        if (bias != null && bias.requiresGrad()) {
            GradTarget db = bias.gradInto();
            dy.run(new SumRows(n, out, d, out, db.target().buffer(), db.accumulate()));
        }
        if (!x.requiresGrad()) {
            return;
        }
        GradTarget dx = x.gradInto();
        int rows = Math.clamp(PANEL / in, 1, out);
        try (Scope scope = Scope.open()) {
            Tensor panel = Tensor.empty(x.dtype(), rows, in);
            for (int row = 0; row < out; row += rows) {
                int count = Math.min(rows, out - row);
                unpack(row, count, panel);
                Buffer from = d.plus(row);
                Buffer to = dx.target().buffer();
                boolean accumulate = dx.accumulate() || row > 0;
                dy.run(new MatMul(
                        false, Storing.PLAIN, n, in, count, from, out, panel.buffer(), in, null, to, in, accumulate, 1, 0, 0, 0));
            }
        }
    }

    private void unpack(int row, int count, Tensor into) {
        into.run(new UnpackWeight(format, count, in, data.asSlice(row * format.rowBytes(in)), into.buffer()));
    }

    /** The weight {@code [out, in]} as numbers, in the current scope. */
    public Tensor toTensor(DType dtype) {
        Tensor weight = Tensor.empty(dtype, out, in);
        unpack(0, out, weight);
        return weight;
    }
}
