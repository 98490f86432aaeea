package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Scan;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Operations along one or several dimensions, and their gradients. */
final class Reductions {
    private Reductions() {}

    // ---- which dimensions -----------------------------------------------------------------------------------------

    /** All dimensions of a tensor. */
    static int[] all(Tensor x) {
        return IntStream.range(0, x.rank()).toArray();
    }

    private static int[] sorted(Tensor x, int[] dims) {
        int[] sorted =
                Arrays.stream(dims).map(x.layout()::dim).sorted().distinct().toArray();
        if (sorted.length != dims.length) {
            throw new TensorException("a dimension of " + x.layout() + " appears twice in " + Arrays.toString(dims));
        }
        return sorted;
    }

    /** The number of elements that are folded into one. */
    private static long count(Tensor x, int[] dims) {
        long n = 1;
        for (int dim : dims) {
            n *= x.size(dim);
        }
        return n;
    }

    /** The shape after a reduction that leaves ones. */
    private static long[] kept(Tensor x, int... dims) {
        long[] shape = x.shape();
        for (int dim : dims) {
            shape[x.layout().dim(dim)] = 1;
        }
        return shape;
    }

    private static long[] dropped(Tensor x, int... dims) {
        boolean[] gone = new boolean[x.rank()];
        for (int dim : dims) {
            gone[x.layout().dim(dim)] = true;
        }
        return IntStream.range(0, x.rank())
                .filter(d -> !gone[d])
                .mapToLong(x::size)
                .toArray();
    }

    private static long outer(Tensor x, int dim) {
        return Layout.count(Arrays.copyOf(x.shape(), dim));
    }

    private static long inner(Tensor x, int dim) {
        return Layout.count(Arrays.copyOfRange(x.shape(), dim + 1, x.rank()));
    }

    /** What belongs to the results, in the shape of the arguments. */
    private static Tensor spread(Tensor y, Tensor x, int[] dims) {
        return y.reshape(kept(x, dims)).expand(x.shape());
    }

    /** Folds without a gradient. Dimensions that do not lie side by side are brought together behind the others. */
    private static Tensor fold(ReduceOp op, Tensor input, int[] dims, boolean keepdim, DType out) {
        Tensor x = input.alive().detach();
        int[] d = sorted(x, dims);
        Tensor y = Tensor.empty(out, keepdim ? kept(x, d) : dropped(x, d));
        long dim = count(x, d);
        if (dim == 0 && y.count() > 0 && op != ReduceOp.SUM && op != ReduceOp.PROD) {
            throw new TensorException(
                    op + ": no elements along dimensions " + Arrays.toString(dims) + " of " + x.layout());
        }
        boolean adjacent = d.length > 0 && d[d.length - 1] - d[0] == d.length - 1;
        long inner = adjacent ? inner(x, d[d.length - 1]) : 1;
        if (!adjacent) {
            boolean[] last = new boolean[x.rank()];
            Arrays.stream(d).forEach(i -> last[i] = true);
            x = x.permute(IntStream.concat(IntStream.range(0, x.rank()).filter(i -> !last[i]), Arrays.stream(d))
                    .toArray());
        }
        x = x.contiguous();
        y.run(new Reduce(op, y.count() / Math.max(1, inner), dim, inner, x.buffer(), y.buffer()));
        return y;
    }

    // ---- sums -----------------------------------------------------------------------------------------------------

    /** {@code dx = dy}, repeated along the dimensions. Integers add up to INT64. */
    static Tensor sum(Tensor x, int[] dims, boolean keepdim) {
        if (x.dtype().isHalf()) {
            return sum(x.to(DType.FLOAT32), dims, keepdim).to(x.dtype());
        }
        Tensor y = fold(ReduceOp.SUM, x, dims, keepdim, x.dtype().isFloatingPoint() ? x.dtype() : DType.INT64);
        return Autograd.record("sum", y, dy -> x.addGrad(spread(dy, x, dims)), x);
    }

    static Tensor mean(Tensor x, int[] dims, boolean keepdim) {
        Elementwise.requireFloat("mean", x);
        if (x.dtype().isHalf()) {
            return mean(x.to(DType.FLOAT32), dims, keepdim).to(x.dtype());
        }
        return sum(x, dims, keepdim).div(count(x, dims));
    }

    /** With {@code c = x - mean(x)}, {@code m = n - correction}: {@code y = sum(c^2) / m, dx = dy 2 c / m}. */
    static Tensor var(Tensor x, int[] dims, int correction, boolean keepdim) {
        Elementwise.requireFloat("var", x);
        if (x.dtype().isHalf()) {
            return var(x.to(DType.FLOAT32), dims, correction, keepdim).to(x.dtype());
        }
        double m = Math.max(0, count(x, dims) - correction);
        Tensor centered = x.detach().sub(mean(x.detach(), dims, true));
        Tensor y = sum(centered.square(), dims, keepdim).div(m);
        return Autograd.record(
                "var", y, dy -> x.addGrad(centered.mul(spread(dy, x, dims)).mul(2 / m)), x);
    }

    /** {@code y = sqrt(var(x)), dx = dy c / (m y)}; 0 where {@code y = 0}. */
    static Tensor std(Tensor x, int[] dims, int correction, boolean keepdim) {
        Elementwise.requireFloat("std", x);
        if (x.dtype().isHalf()) {
            return std(x.to(DType.FLOAT32), dims, correction, keepdim).to(x.dtype());
        }
        Tensor variance = var(x, dims, correction, keepdim);
        Tensor y = variance.detach().sqrt();
        return Autograd.record("std", y, dy -> variance.addGrad(dy.div(y.mul(2)).maskedFill(y.eq(0), 0)), variance);
    }

    /** {@code y = (sum |x|^p)^(1 / p)}; for p = 2, {@code dx = dy x / y}; 0 where {@code y = 0}. */
    static Tensor norm(Tensor x, double p, int[] dims, boolean keepdim) {
        Elementwise.requireFloat("norm", x);
        if (x.dtype().isHalf()) {
            return norm(x.to(DType.FLOAT32), p, dims, keepdim).to(x.dtype());
        }
        if (p == 1) {
            return sum(x.abs(), dims, keepdim);
        }
        if (p == Double.POSITIVE_INFINITY) {
            return extreme(ReduceOp.MAX, x.abs(), dims, keepdim);
        }
        if (p != 2) {
            return sum(x.abs().pow(p), dims, keepdim).pow(1 / p);
        }
        Tensor y = sum(x.detach().square(), dims, keepdim).sqrt();
        return Autograd.record(
                "norm",
                y,
                dy -> {
                    Tensor scale = dy.div(y).maskedFill(y.eq(0), 0);
                    x.addGrad(x.detach().mul(spread(scale, x, dims)));
                },
                x);
    }

    /** With {@code m = max(x)}: {@code y = m + log(sum(exp(x - m)))}, {@code dx = dy exp(x - y)}. */
    static Tensor logsumexp(Tensor x, int[] dims, boolean keepdim) {
        Elementwise.requireFloat("logsumexp", x);
        if (x.dtype().isHalf()) {
            return logsumexp(x.to(DType.FLOAT32), dims, keepdim).to(x.dtype());
        }
        Tensor most = fold(ReduceOp.MAX, x, dims, true, x.dtype());
        Tensor finite = most.maskedFill(most.isinf(), 0);
        Tensor sum = sum(x.detach().sub(finite).exp(), dims, keepdim);
        Tensor y = sum.log().add(finite.reshape(sum.shape()));
        return Autograd.record(
                "logsumexp",
                y,
                dy -> x.addGrad(x.detach().sub(spread(y, x, dims)).exp().mul(spread(dy, x, dims))),
                x);
    }

    // ---- products -------------------------------------------------------------------------------------------------

    /** {@code dx[i] = dy prod(x[j != i])}, for which the zeros are counted and left out of the product. */
    static Tensor prod(Tensor x, int[] dims, boolean keepdim) {
        if (x.dtype().isHalf()) {
            return prod(x.to(DType.FLOAT32), dims, keepdim).to(x.dtype());
        }
        Tensor y = fold(ReduceOp.PROD, x, dims, keepdim, x.dtype().isFloatingPoint() ? x.dtype() : DType.INT64);
        return Autograd.record(
                "prod",
                y,
                dy -> {
                    Tensor zero = x.eq(0);
                    Tensor factors = x.detach().maskedFill(zero, 1);
                    Tensor others =
                            fold(ReduceOp.PROD, factors, dims, true, x.dtype()).div(factors);
                    Tensor otherZeros = sum(zero, dims, true).sub(zero);
                    x.addGrad(spread(dy, x, dims).mul(others.maskedFill(otherZeros.ne(0), 0)));
                },
                x);
    }

    // ---- extremes -------------------------------------------------------------------------------------------------

    /** The largest or smallest along one dimension; {@code dx} is {@code dy} at the place it was found. */
    static Tensor found(ReduceOp op, Tensor x, int dim, boolean keepdim) {
        Tensor y = x.gather(dim, index(op, x, dim, true));
        return keepdim ? y : y.reshape(dropped(x, dim));
    }

    static Tensor index(ReduceOp op, Tensor x, int dim, boolean keepdim) {
        return fold(op, x, new int[] {dim}, keepdim, DType.INT32);
    }

    /** The largest or smallest; {@code dy} is shared by the elements that are equal to it. */
    static Tensor extreme(ReduceOp op, Tensor x, int[] dims, boolean keepdim) {
        Tensor y = fold(op, x, dims, keepdim, x.dtype());
        return Autograd.record(
                op == ReduceOp.MAX ? "amax" : "amin",
                y,
                dy -> {
                    Tensor equal = x.eq(spread(y, x, dims));
                    Tensor shared = dy.reshape(kept(x, dims)).div(sum(equal, dims, true));
                    x.addGrad(shared.expand(x.shape()).maskedFill(equal.logicalNot(), 0));
                },
                x);
    }

    // ---- cumulative -----------------------------------------------------------------------------------------------

    /** {@code dx[i] = sum of dy[j >= i]}. */
    static Tensor cumsum(Tensor x, int dim) {
        if (x.dtype().isHalf()) {
            return cumsum(x.to(DType.FLOAT32), dim).to(x.dtype());
        }
        Tensor y = scan(ReduceOp.SUM, x, dim, false);
        return Autograd.record("cumsum", y, dy -> x.addGrad(scan(ReduceOp.SUM, dy, dim, true)), x);
    }

    /**
     * {@code dx[i] = sum of dy[j] y[j] / x[i] for j >= i}. From the first zero on all {@code y} are 0; only the zero itself has
     * a gradient there, to which the products that leave it out belong.
     */
    static Tensor cumprod(Tensor x, int dim) {
        if (x.dtype().isHalf()) {
            return cumprod(x.to(DType.FLOAT32), dim).to(x.dtype());
        }
        Tensor y = scan(ReduceOp.PROD, x, dim, false);
        return Autograd.record(
                "cumprod",
                y,
                dy -> {
                    Tensor zero = x.eq(0);
                    Tensor first =
                            zero.logicalAnd(scan(ReduceOp.SUM, zero, dim, false).eq(1));
                    Tensor without = scan(ReduceOp.PROD, x.detach().maskedFill(first, 1), dim, false);
                    Tensor before = scan(ReduceOp.SUM, dy.mul(y), dim, true)
                            .div(x.detach().maskedFill(zero, 1));
                    x.addGrad(scan(ReduceOp.SUM, dy.mul(without), dim, true).where(first, before));
                },
                x);
    }

    private static Tensor scan(ReduceOp op, Tensor input, int dim, boolean reverse) {
        Tensor x = input.alive().detach().contiguous();
        int d = x.layout().dim(dim);
        Tensor y = Tensor.empty(x.dtype().isFloatingPoint() ? x.dtype() : DType.INT64, x.shape());
        y.run(new Scan(op, outer(x, d), x.size(d), inner(x, d), x.buffer(), y.buffer(), reverse));
        return y;
    }

    // ---- softmax --------------------------------------------------------------------------------------------------

    static Tensor softmax(Tensor input, int dim, boolean log) {
        Elementwise.requireFloat("softmax", input);
        if (input.dtype().isHalf()) {
            return softmax(input.to(DType.FLOAT32), dim, log).to(input.dtype());
        }
        int d = input.layout().dim(dim);
        if (d != input.rank() - 1) {
            return softmax(input.transpose(d, -1), -1, log).transpose(d, -1);
        }
        Tensor x = input.alive().contiguous();
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        int cols = Layout.intSize(x.size(-1));
        int rows = Layout.intSize(x.count() / Math.max(1, cols));
        y.run(new Softmax(rows, cols, x.buffer(), y.buffer(), log));
        return Autograd.record(
                log ? "log_softmax" : "softmax",
                y,
                dy -> {
                    Tensor dx = Tensor.empty(x.dtype(), x.shape());
                    dx.run(new SoftmaxBackward(rows, cols, y.buffer(), dy.buffer(), dx.buffer(), log));
                    x.addGrad(dx);
                },
                x);
    }
}
