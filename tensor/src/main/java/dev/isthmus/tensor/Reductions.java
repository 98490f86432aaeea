package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.CumSum;
import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import java.util.Arrays;

/** Operations along one dimension, and their gradients. */
final class Reductions {
    private Reductions() {}

    /** {@code dx = dy}, repeated along the dimension. */
    static Tensor sum(Tensor x, int dim, boolean keepdim) {
        long[] shape = x.shape();
        Tensor y = fold(ReduceOp.SUM, x, dim, keepdim, x.dtype());
        return Autograd.record("sum", y, dy -> x.addGrad(dy.reshape(kept(x, dim)).expand(shape)), x);
    }

    /** The largest or smallest; {@code dx} is {@code dy} at the place it was found. */
    static Tensor extreme(ReduceOp op, Tensor x, int dim, boolean keepdim) {
        Tensor index = index(op, x, dim, true);
        Tensor y = x.gather(dim, index);
        return keepdim ? y : y.reshape(dropped(x, dim));
    }

    static Tensor index(ReduceOp op, Tensor x, int dim, boolean keepdim) {
        return fold(op, x, dim, keepdim, DType.INT32);
    }

    private static Tensor fold(ReduceOp op, Tensor input, int dim, boolean keepdim, DType out) {
        Tensor x = input.alive().detach().contiguous();
        int d = x.layout().dim(dim);
        Tensor y = Tensor.empty(out, keepdim ? kept(x, d) : dropped(x, d));
        y.run(new Reduce(op, outer(x, d), x.size(d), inner(x, d), x.buffer(), y.buffer()));
        return y;
    }

    /** {@code dx[i] = sum of dy[j >= i]}. */
    static Tensor cumsum(Tensor input, int dim) {
        Tensor x = input.alive().contiguous();
        Tensor y = cumsum(x, dim, false);
        return Autograd.record("cumsum", y, dy -> x.addGrad(cumsum(dy, dim, true)), x);
    }

    private static Tensor cumsum(Tensor x, int dim, boolean reverse) {
        int d = x.layout().dim(dim);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        y.run(new CumSum(outer(x, d), x.size(d), inner(x, d), x.buffer(), y.buffer(), reverse));
        return y;
    }

    static Tensor softmax(Tensor input, int dim, boolean log) {
        Elementwise.requireFloat("softmax", input);
        int d = input.layout().dim(dim);
        if (d != input.rank() - 1) {
            return softmax(input.transpose(d, -1), -1, log).transpose(d, -1);
        }
        Tensor x = input.alive().contiguous();
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        int cols = Math.toIntExact(x.size(-1));
        int rows = Math.toIntExact(x.count() / Math.max(1, cols));
        y.run(new Softmax(rows, cols, x.buffer(), y.buffer(), log));
        return Autograd.record(log ? "log_softmax" : "softmax", y, dy -> {
            Tensor dx = Tensor.empty(x.dtype(), x.shape());
            dx.run(new SoftmaxBackward(rows, cols, y.buffer(), dy.buffer(), dx.buffer(), log));
            x.addGrad(dx);
        }, x);
    }

    static long outer(Tensor x, int dim) {
        return Layout.count(Arrays.copyOf(x.shape(), dim));
    }

    static long inner(Tensor x, int dim) {
        return Layout.count(Arrays.copyOfRange(x.shape(), dim + 1, x.rank()));
    }

    private static long[] kept(Tensor x, int dim) {
        long[] shape = x.shape();
        shape[x.layout().dim(dim)] = 1;
        return shape;
    }

    private static long[] dropped(Tensor x, int dim) {
        int d = x.layout().dim(dim);
        long[] shape = Arrays.copyOf(x.shape(), x.rank() - 1);
        System.arraycopy(x.shape(), d + 1, shape, d, shape.length - d);
        return shape;
    }
}
