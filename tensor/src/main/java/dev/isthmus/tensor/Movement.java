package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Gather;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;

/** Views, copies and gathers, and their gradients. */
final class Movement {
    private Movement() {}

    static Tensor to(Tensor x, DType dtype) {
        if (x.dtype() == dtype) {
            return x;
        }
        Tensor y = Tensor.empty(dtype, x.shape()).copyFrom(x);
        if (!dtype.isFloatingPoint()) {
            return y;
        }
        return Autograd.record("to", y, dy -> x.addGrad(to(dy, x.dtype())), x);
    }

    static Tensor contiguous(Tensor x) {
        if (x.layout().isContiguous()) {
            return x;
        }
        Tensor y = Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
        return Autograd.record("contiguous", y, x::addGrad, x);
    }

    static Tensor reshape(Tensor x, long... wanted) {
        long[] shape = wanted.clone();
        long known = 1;
        int open = -1;
        for (int d = 0; d < shape.length; d++) {
            if (shape[d] == -1 && open < 0) {
                open = d;
            } else {
                known *= shape[d];
            }
        }
        if (open >= 0 && known > 0) {
            shape[open] = x.count() / known;
        }
        if (Layout.count(shape) != x.count()) {
            throw new TensorException("reshape: " + x.layout() + " to " + Arrays.toString(wanted));
        }
        if (Arrays.equals(shape, x.shape())) {
            return x;
        }
        Tensor base = contiguous(x);
        Layout flat = Layout.contiguous(shape);
        Tensor y = new Tensor(base.storage(), new Layout(shape, flat.strides(), base.layout().offset()));
        return Autograd.record("reshape", y, dy -> base.addGrad(dy.reshape(base.shape())), base);
    }

    static Tensor permute(Tensor x, int... dims) {
        Tensor y = new Tensor(x.storage(), x.layout().permute(dims));
        int[] inverse = new int[dims.length];
        for (int i = 0; i < dims.length; i++) {
            inverse[x.layout().dim(dims[i])] = i;
        }
        return Autograd.record("permute", y, dy -> x.addGrad(permute(dy, inverse)), x);
    }

    static Tensor transpose(Tensor x, int dim0, int dim1) {
        int[] dims = new int[x.rank()];
        Arrays.setAll(dims, d -> d);
        dims[x.layout().dim(dim0)] = x.layout().dim(dim1);
        dims[x.layout().dim(dim1)] = x.layout().dim(dim0);
        return permute(x, dims);
    }

    /** {@code dx} is {@code dy} within the slice, 0 elsewhere. */
    static Tensor slice(Tensor x, int dim, long start, long length, long step) {
        Tensor y = new Tensor(x.storage(), x.layout().slice(dim, start, length, step));
        return Autograd.record("slice", y, dy -> {
            GradTarget into = zeroed(x);
            Layout place = into.target().layout().slice(dim, start, length, step);
            into.target().run(new Copy(
                    dy.shape(),
                    dy.buffer(),
                    dy.layout().strides(),
                    new Buffer(into.target().storage(), place.offset()),
                    place.strides(),
                    true));
        }, x);
    }

    static Tensor select(Tensor x, int dim, long index) {
        int d = x.layout().dim(dim);
        long[] shape = Arrays.copyOf(x.shape(), x.rank() - 1);
        System.arraycopy(x.shape(), d + 1, shape, d, shape.length - d);
        return slice(x, d, index, 1, 1).reshape(shape);
    }

    static Tensor expand(Tensor x, long... shape) {
        Tensor y = new Tensor(x.storage(), x.layout().expand(shape));
        return Autograd.record("expand", y, dy -> x.addGrad(Elementwise.sumTo(dy, x.shape())), x);
    }

    static Tensor cat(int dim, Tensor... parts) {
        if (parts.length == 0) {
            throw new TensorException("cat: no tensors given");
        }
        int d = parts[0].layout().dim(dim);
        long[] shape = parts[0].shape();
        shape[d] = 0;
        for (Tensor part : parts) {
            long[] other = part.shape();
            long size = part.size(d);
            other[d] = shape[d];
            if (!Arrays.equals(other, shape) || part.dtype() != parts[0].dtype()) {
                throw new TensorException("cat: " + part.layout() + " beside " + parts[0].layout() + " along " + dim);
            }
            shape[d] += size;
        }
        Tensor y = Tensor.empty(parts[0].dtype(), shape);
        long at = 0;
        for (Tensor part : parts) {
            new Tensor(y.storage(), y.layout().slice(d, at, part.size(d), 1)).copyFrom(part);
            at += part.size(d);
        }
        return Autograd.record("cat", y, dy -> {
            long from = 0;
            for (Tensor part : parts) {
                part.addGrad(slice(dy, d, from, part.size(d), 1));
                from += part.size(d);
            }
        }, parts);
    }

    static Tensor gather(Tensor input, int dim, Tensor indices) {
        Tensor x = input.alive().contiguous();
        Tensor index = indices.alive().contiguous();
        int d = x.layout().dim(dim);
        long[] shape = x.shape();
        shape[d] = index.size(d);
        if (index.dtype() != DType.INT32 || !Arrays.equals(shape, index.shape())) {
            throw new TensorException("gather: an index of " + index.dtype() + " " + index.layout() + " into "
                    + x.layout() + "; expected INT32 and the same sizes but along dimension " + dim);
        }
        Tensor y = Tensor.empty(x.dtype(), shape);
        y.run(new Gather(
                Reductions.outer(x, d), x.size(d), index.size(d), Reductions.inner(x, d), x.buffer(), index.buffer(), y.buffer()));
        return Autograd.record("gather", y, dy -> Reductions.scatterAdd(zeroed(x).target(), d, index, dy), x);
    }

    /** The gradient of {@code x}, set to zero if none has arrived: a place for rules that only add. */
    static GradTarget zeroed(Tensor x) {
        GradTarget into = x.gradInto();
        if (!into.accumulate()) {
            into.target().fill(0);
        }
        return into;
    }
}
