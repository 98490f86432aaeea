package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;
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

    private static Tensor project(Tensor input, Tensor weight, @Nullable Tensor bias, Storing storing) {
        boolean outIn = storing == Storing.TRANSPOSED;
        Tensor x = input.alive().contiguous();
        Tensor w = weight.alive();
        int in = Math.toIntExact(w.size(outIn ? 1 : 0));
        int out = Math.toIntExact(w.size(outIn ? 0 : 1));
        if (x.size(-1) != in || w.rank() != 2 || bias != null && bias.count() != out) {
            throw new TensorException("linear: input of " + x.layout() + ", weight of " + w.layout()
                    + (bias == null ? "" : ", bias of " + bias.layout()) + "; expected the input's last size to be " + in);
        }
        Elementwise.requireSameType("linear", x, w);
        int rows = Math.toIntExact(x.count() / Math.max(1, in));
        long[] shape = x.shape();
        shape[shape.length - 1] = out;
        Tensor y = Tensor.empty(x.dtype(), shape);
        long ldw = outIn ? in : out;
        Buffer b = bias == null ? null : bias.alive().buffer();
        y.run(product(false, storing, rows, out, in, x.buffer(), in, w.buffer(), ldw, b, y.buffer(), out, false));
        Tensor[] inputs = bias == null ? new Tensor[] {x, w} : new Tensor[] {x, w, bias};
        return Autograd.record("linear", y, dy -> {
            Buffer d = dy.buffer();
            if (w.requiresGrad()) {
                GradTarget dw = w.gradInto();
                Buffer to = dw.target().buffer();
                dy.run(
                        outIn
                                ? product(true, Storing.PLAIN, out, in, rows, d, out, x.buffer(), in, null, to, in, dw.accumulate())
                                : product(true, Storing.PLAIN, in, out, rows, x.buffer(), in, d, out, null, to, out, dw.accumulate()));
            }
            if (bias != null && bias.requiresGrad()) {
                GradTarget db = bias.gradInto();
                dy.run(new SumRows(rows, out, d, out, db.target().buffer(), db.accumulate()));
            }
            if (x.requiresGrad()) {
                GradTarget dx = x.gradInto();
                Storing back = outIn ? Storing.PLAIN : Storing.TRANSPOSED;
                Buffer to = dx.target().buffer();
                dy.run(product(false, back, rows, in, out, d, out, w.buffer(), ldw, null, to, in, dx.accumulate()));
            }
        }, inputs);
    }

    private static MatMul product(
            boolean transA,
            Storing storingB,
            int m,
            int n,
            int k,
            Buffer a,
            long lda,
            Buffer b,
            long ldb,
            @Nullable Buffer bias,
            Buffer c,
            long ldc,
            boolean accumulate) {
        return new MatMul(transA, storingB, m, n, k, a, lda, b, ldb, bias, c, ldc, accumulate, 1, 0, 0, 0);
    }

    /** {@code da = dy b^T, db = a^T dy}, summed over broadcast dimensions. */
    static Tensor matmul(Tensor a, Tensor b) {
        if (a.rank() == 0 || b.rank() == 0) {
            throw new TensorException("matmul: " + a.layout() + " and " + b.layout() + "; both need a dimension");
        }
        if (a.rank() == 1) {
            Tensor y = matmul(a.reshape(1, a.size(0)), b);
            return y.select(b.rank() == 1 ? 0 : -2, 0);
        }
        if (b.rank() == 1) {
            return matmul(a, b.reshape(b.size(0), 1)).select(-1, 0);
        }
        if (a.size(-1) != b.size(-2)) {
            throw new TensorException("matmul: " + a.layout() + " and " + b.layout() + "; inner sizes "
                    + a.size(-1) + " and " + b.size(-2) + " differ");
        }
        Elementwise.requireSameType("matmul", a, b);
        Tensor y = batched(a.alive().detach(), b.alive().detach());
        return Autograd.record("matmul", y, dy -> {
            if (a.requiresGrad()) {
                a.addGrad(Elementwise.sumTo(batched(dy, b.detach().transpose(-2, -1)), a.shape()));
            }
            if (b.requiresGrad()) {
                b.addGrad(Elementwise.sumTo(batched(a.detach().transpose(-2, -1), dy), b.shape()));
            }
        }, a, b);
    }

    private static Tensor batched(Tensor a, Tensor b) {
        long[] batch = Layout.broadcast("matmul", Arrays.copyOf(a.shape(), a.rank() - 2), Arrays.copyOf(b.shape(), b.rank() - 2));
        int m = Math.toIntExact(a.size(-2));
        int k = Math.toIntExact(a.size(-1));
        int n = Math.toIntExact(b.size(-1));
        Tensor left = a.expand(with(batch, m, k)).contiguous();
        Tensor right = b.expand(with(batch, k, n)).contiguous();
        Tensor y = Tensor.empty(a.dtype(), with(batch, m, n));
        int count = Math.toIntExact(Layout.count(batch));
        y.run(new MatMul(
                false,
                Storing.PLAIN,
                m,
                n,
                k,
                left.buffer(),
                k,
                right.buffer(),
                n,
                null,
                y.buffer(),
                n,
                false,
                count,
                (long) m * k,
                (long) k * n,
                (long) m * n));
        return y;
    }

    private static long[] with(long[] batch, long rows, long cols) {
        long[] shape = Arrays.copyOf(batch, batch.length + 2);
        shape[batch.length] = rows;
        shape[batch.length + 1] = cols;
        return shape;
    }
}
