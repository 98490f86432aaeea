package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
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

    /** {@code x W^T + b} for {@code x [N, in]}; a row has the same bits alone and among others. It carries no gradient. */
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        if (x.rank() != 2 || x.size(1) != in) {
            throw new TensorException("linear with a stored weight [" + out + ", " + in + "]: expected an input [N, "
                    + in + "], found " + Arrays.toString(x.shape()));
        }
        Tensor rows = x.alive().contiguous();
        int n = Math.toIntExact(rows.size(0));
        Tensor y = Tensor.empty(x.dtype(), n, out);
        Tensor b = bias == null ? null : bias.alive().contiguous();
        y.run(new WeightMatMul(
                format, n, out, in, rows.buffer(), in, data, b == null ? null : b.buffer(), y.buffer(), out));
        return y;
    }
}
