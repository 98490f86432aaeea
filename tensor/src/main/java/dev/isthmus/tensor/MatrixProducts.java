package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Matrix products and their gradients. */
final class MatrixProducts {
    private MatrixProducts() {}

    /**
     * {@code y = x W^T + b}, {@code x [..., in]}, {@code weight [out, in]}.
     *
     * <p>{@code dx = dy W, dW = dy^T x, db = sum dy}.
     */
    static Tensor linear(Tensor input, Tensor weight, @Nullable Tensor bias) {
        return project(input, weight, bias, Storing.TRANSPOSED);
    }

    /** {@code y = x W + b}, {@code weight [in, out]}: the Conv1D of GPT-2. {@code dx = dy W^T, dW = x^T dy, db = sum dy}. */
    static Tensor conv1d(Tensor input, Tensor weight, @Nullable Tensor bias) {
        return project(input, weight, bias, Storing.PLAIN);
    }

    private static Tensor project(Tensor input, Tensor weight, @Nullable Tensor added, Storing storing) {
        boolean outIn = storing == Storing.TRANSPOSED;
        Tensor x = input.alive().contiguous();
        Tensor w = weight.alive().contiguous();
        Tensor bias = added == null ? null : added.alive().contiguous();
        int in = Layout.intSize(w.size(outIn ? 1 : 0));
        int out = Layout.intSize(w.size(outIn ? 0 : 1));
        if (x.size(-1) != in || w.rank() != 2 || bias != null && bias.count() != out) {
            throw new TensorException("linear: input of " + x.layout() + ", weight of " + w.layout()
                    + (bias == null ? "" : ", bias of " + bias.layout()) + "; expected the input's last size to be "
                    + in);
        }
        Elementwise.requireSameType("linear", x, w);
        if (bias != null) {
            Elementwise.requireSameType("linear", x, bias);
        }
        if (x.dtype().isHalf()) {
            return project(x.to(DType.FLOAT32), w.to(DType.FLOAT32), Elementwise.toFloat32(bias), storing)
                    .to(x.dtype());
        }
        int rows = Layout.intSize(x.count() / Math.max(1, in));
        long[] shape = x.shape();
        shape[shape.length - 1] = out;
        Tensor y = Tensor.empty(x.dtype(), shape);
        long ldw = outIn ? in : out;
        Buffer b = bias == null ? null : bias.buffer();
        y.run(new MatMul(false, storing, rows, out, in, x.buffer(), in, w.buffer(), ldw, b, y.buffer(), out, false));
        Tensor[] inputs = bias == null ? new Tensor[] {x, w} : new Tensor[] {x, w, bias};
        return Autograd.record(
                "linear",
                y,
                dy -> {
                    Buffer d = dy.buffer();
                    if (w.requiresGrad()) {
                        GradTarget dw = w.gradInto();
                        Buffer to = dw.target().buffer();
                        dy.run(
                                outIn
                                        ? new MatMul(
                                                true,
                                                Storing.PLAIN,
                                                out,
                                                in,
                                                rows,
                                                d,
                                                out,
                                                x.buffer(),
                                                in,
                                                null,
                                                to,
                                                in,
                                                dw.accumulate())
                                        : new MatMul(
                                                true,
                                                Storing.PLAIN,
                                                in,
                                                out,
                                                rows,
                                                x.buffer(),
                                                in,
                                                d,
                                                out,
                                                null,
                                                to,
                                                out,
                                                dw.accumulate()));
                    }
                    if (bias != null && bias.requiresGrad()) {
                        GradTarget db = bias.gradInto();
                        dy.run(new SumRows(rows, out, d, out, db.target().buffer(), db.accumulate()));
                    }
                    if (x.requiresGrad()) {
                        GradTarget dx = x.gradInto();
                        Storing back = outIn ? Storing.PLAIN : Storing.TRANSPOSED;
                        Buffer to = dx.target().buffer();
                        dy.run(new MatMul(
                                false, back, rows, in, out, d, out, w.buffer(), ldw, null, to, in, dx.accumulate()));
                    }
                },
                inputs);
    }

    /** {@code da = dy b^T, db = a^T dy}, summed over broadcast dimensions. */
    static Tensor matmul(Tensor a, Tensor b) {
        if (a.rank() == 0 || b.rank() == 0) {
            throw new TensorException("matmul: " + a.layout() + " and " + b.layout() + "; both need a dimension");
        }
        if (a.dtype().isHalf() && a.dtype() == b.dtype()) {
            return matmul(a.to(DType.FLOAT32), b.to(DType.FLOAT32)).to(a.dtype());
        }
        long inner = b.size(b.rank() == 1 ? 0 : -2);
        if (a.size(-1) != inner) {
            throw new TensorException("matmul: " + a.layout() + " and " + b.layout() + "; inner sizes " + a.size(-1)
                    + " and " + inner + " differ");
        }
        Elementwise.requireSameType("matmul", a, b);
        if (a.rank() == 1) {
            return matmul(a.unsqueeze(0), b).squeeze(b.rank() == 1 ? 0 : -2);
        }
        if (b.rank() == 1) {
            return matmul(a, b.unsqueeze(1)).squeeze(-1);
        }
        if (b.rank() == 2 && a.rank() > 2) { // all rows at once: one product forward, and one for each gradient
            long[] shape = a.shape();
            shape[shape.length - 1] = b.size(1);
            return matmul(a.flatten(0, -2), b).view(shape);
        }
        Tensor y = product(a, b);
        return Autograd.record(
                "matmul",
                y,
                dy -> {
                    if (a.requiresGrad()) {
                        addProduct(a, dy, b.detach().transpose(-2, -1));
                    }
                    if (b.requiresGrad()) {
                        addProduct(b, a.detach().transpose(-2, -1), dy);
                    }
                },
                a,
                b);
    }

    /** Adds {@code left right} to the gradient of {@code x}, summed over dimensions that were broadcast. */
    private static void addProduct(Tensor x, Tensor left, Tensor right) {
        if (Arrays.equals(x.shape(), shape(left, right))) {
            GradTarget into = x.gradInto();
            multiply(left, right, into.target(), into.accumulate());
        } else {
            x.addGrad(Elementwise.sumTo(product(left, right), x.shape()));
        }
    }

    private static Tensor product(Tensor a, Tensor b) {
        Tensor y = Tensor.empty(a.dtype(), shape(a, b));
        multiply(a.alive(), b.alive(), y, false);
        return y;
    }

    private static long[] shape(Tensor a, Tensor b) {
        long[] batch = Layout.broadcast("matmul", batch(a), batch(b));
        return with(batch, a.size(-2), b.size(-1));
    }

    /** {@code y (+)= a b}: one call for all matrices whose distances in memory are the same. */
    private static void multiply(Tensor a, Tensor b, Tensor y, boolean accumulate) {
        Matrix left = Matrix.of(a);
        Matrix right = Matrix.of(b);
        long[] batch = batch(y);
        int[] dims = IntStream.range(0, batch.length).filter(d -> batch[d] != 1).toArray();
        long[][] strides = {
            left.batchStrides(batch), right.batchStrides(batch), y.layout().strides()
        };
        int first = dims.length; // the dimensions from here on are one call
        long count = 1;
        while (first > 0 && (count == 1 || evenly(strides, dims[first - 1], count, dims[dims.length - 1]))) {
            count *= batch[dims[--first]];
        }
        long[] next = new long[3];
        if (count != 1) {
            Arrays.setAll(next, i -> strides[i][dims[dims.length - 1]]);
        }
        long calls = Layout.count(
                Arrays.stream(dims, 0, first).mapToLong(d -> batch[d]).toArray());
        for (long call = 0; call < calls; call++) {
            long[] at = new long[3];
            long rest = call;
            for (int j = first - 1; j >= 0; j--) {
                for (int i = 0; i < at.length; i++) {
                    at[i] += rest % batch[dims[j]] * strides[i][dims[j]];
                }
                rest /= batch[dims[j]];
            }
            y.run(new MatMul(
                    left.transposed,
                    right.transposed ? Storing.TRANSPOSED : Storing.PLAIN,
                    Layout.intSize(y.size(-2)),
                    Layout.intSize(y.size(-1)),
                    Layout.intSize(a.size(-1)),
                    left.tensor.buffer().plus(at[0]),
                    left.ld,
                    right.tensor.buffer().plus(at[1]),
                    right.ld,
                    null,
                    y.buffer().plus(at[2]),
                    y.size(-1),
                    accumulate,
                    Layout.intSize(count),
                    next[0],
                    next[1],
                    next[2]));
        }
    }

    /** Whether a dimension goes on in all tensors where {@code count} steps of the last one end. */
    private static boolean evenly(long[][] strides, int dim, long count, int last) {
        return Arrays.stream(strides).allMatch(stride -> stride[dim] == count * stride[last]);
    }

    /** Matrices in memory as a kernel reads them: stored as they are or transposed, with unit steps along a row. */
    private record Matrix(Tensor tensor, boolean transposed, long ld) {
        /** A view where the strides allow it, else a copy. */
        static Matrix of(Tensor x) {
            long rows = x.size(-2);
            long cols = x.size(-1);
            long[] strides = x.layout().strides();
            long down = strides[x.rank() - 2];
            long right = strides[x.rank() - 1];
            if ((right == 1 || cols == 1) && (rows == 1 || down >= cols)) {
                return new Matrix(x, false, rows == 1 ? cols : down);
            }
            if ((down == 1 || rows == 1) && (cols == 1 || right >= rows)) {
                return new Matrix(x, true, cols == 1 ? rows : right);
            }
            return new Matrix(x.detach().contiguous(), false, cols);
        }

        long[] batchStrides(long[] batch) {
            long[] shape = with(batch, tensor.size(-2), tensor.size(-1));
            return Arrays.copyOf(tensor.layout().expand(shape).strides(), batch.length);
        }
    }

    private static long[] batch(Tensor x) {
        return Arrays.copyOf(x.shape(), x.rank() - 2);
    }

    private static long[] with(long[] batch, long rows, long cols) {
        long[] shape = Arrays.copyOf(batch, batch.length + 2);
        shape[batch.length] = rows;
        shape[batch.length + 1] = cols;
        return shape;
    }

    static Tensor bmm(Tensor a, Tensor b) {
        if (a.rank() != 3 || b.rank() != 3 || a.size(0) != b.size(0)) {
            throw new TensorException(
                    "bmm: " + a.layout() + " and " + b.layout() + "; expected [B, M, K] and [B, K, N]");
        }
        return matmul(a, b);
    }

    static Tensor mv(Tensor a, Tensor b) {
        requireRanks("mv", a, 2, b, 1);
        return matmul(a, b);
    }

    static Tensor dot(Tensor a, Tensor b) {
        requireRanks("dot", a, 1, b, 1);
        return matmul(a, b);
    }

    static Tensor outer(Tensor a, Tensor b) {
        requireRanks("outer", a, 1, b, 1);
        return a.unsqueeze(1).mul(b);
    }

    /** One row for all is added by the product itself. */
    static Tensor addmm(Tensor input, Tensor a, Tensor b) {
        requireRanks("addmm", a, 2, b, 2);
        boolean fused =
                input.rank() == 1 && input.size(0) == b.size(1) && b.layout().isContiguous();
        return fused ? conv1d(a, b, input) : matmul(a, b).add(input);
    }

    private static void requireRanks(String op, Tensor a, int rankA, Tensor b, int rankB) {
        if (a.rank() != rankA || b.rank() != rankB) {
            throw new TensorException(op + ": " + a.layout() + " and " + b.layout() + "; expected " + rankA + " and "
                    + rankB + " dimensions");
        }
    }
}
