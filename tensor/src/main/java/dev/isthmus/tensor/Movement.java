package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/** Views and copies in another order, and their gradients. */
final class Movement {
    private Movement() {}

    static Tensor to(Tensor x, DType dtype) {
        if (x.dtype() == dtype) {
            return x;
        }
        Tensor y = Tensor.empty(dtype, x.shape()).copyFrom(x);
        if (!dtype.isFloatingPoint() || !x.dtype().isFloatingPoint()) {
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

    // ---- other shapes ---------------------------------------------------------------------------------------------

    static Tensor reshape(Tensor x, long... wanted) {
        long[] shape = sizes("reshape", x, wanted);
        return x.layout().view(shape) == null ? view(contiguous(x), shape) : view(x, shape);
    }

    static Tensor view(Tensor x, long... wanted) {
        long[] shape = sizes("view", x, wanted);
        if (Arrays.equals(shape, x.shape())) {
            return x;
        }
        Layout layout = x.layout().view(shape);
        if (layout == null) {
            throw new TensorException("view: no view of " + x.layout() + " with strides "
                    + Arrays.toString(x.layout().strides()) + " has shape " + Arrays.toString(shape)
                    + "; call reshape(), which copies");
        }
        Tensor y = new Tensor(x.storage(), layout);
        return Autograd.record("view", y, dy -> x.addGrad(reshape(dy, x.shape())), x);
    }

    /** The sizes of a shape of which one may be -1. */
    private static long[] sizes(String op, Tensor x, long... wanted) {
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
            throw new TensorException(op + ": " + x.layout() + " to " + Arrays.toString(wanted));
        }
        return shape;
    }

    static Tensor flatten(Tensor x, int startDim, int endDim) {
        if (x.rank() == 0) {
            return reshape(x, 1);
        }
        int start = x.layout().dim(startDim);
        int end = x.layout().dim(endDim);
        if (start > end) {
            throw new TensorException("flatten: dimension " + startDim + " of " + x.layout() + " is behind " + endDim);
        }
        long[] shape = Arrays.copyOf(x.shape(), x.rank() - (end - start));
        shape[start] = Layout.count(Arrays.copyOfRange(x.shape(), start, end + 1));
        System.arraycopy(x.shape(), end + 1, shape, start + 1, x.rank() - 1 - end);
        return reshape(x, shape);
    }

    static Tensor squeeze(Tensor x) {
        return view(x, Arrays.stream(x.shape()).filter(size -> size != 1).toArray());
    }

    static Tensor squeeze(Tensor x, int dim) {
        int d = x.layout().dim(dim);
        return x.size(d) == 1 ? view(x, Layout.without(x.shape(), d)) : x;
    }

    static Tensor unsqueeze(Tensor x, int dim) {
        int d = dim < 0 ? dim + x.rank() + 1 : dim;
        if (d < 0 || d > x.rank()) {
            throw new TensorException("unsqueeze: dimension " + dim + " of a result of " + (x.rank() + 1));
        }
        return view(x, Layout.with(x.shape(), d, 1));
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

    static Tensor t(Tensor x) {
        if (x.rank() > 2) {
            throw new TensorException("t: " + x.layout() + "; expected at most two dimensions, use transpose()");
        }
        return x.rank() < 2 ? x : transpose(x, 0, 1);
    }

    // ---- parts ----------------------------------------------------------------------------------------------------

    /** A view of some elements; {@code dx} is {@code dy} there, 0 elsewhere. */
    private static Tensor part(String op, Tensor x, UnaryOperator<Layout> place) {
        Tensor y = new Tensor(x.storage(), place.apply(x.layout()));
        return Autograd.record(
                op,
                y,
                dy -> {
                    GradTarget into = zeroed(x);
                    Layout to = place.apply(into.target().layout());
                    into.target()
                            .run(new Copy(
                                    dy.shape(),
                                    dy.buffer(),
                                    dy.layout().strides(),
                                    new Buffer(into.target().storage(), to.offset()),
                                    to.strides(),
                                    true));
                },
                x);
    }

    /** The gradient of {@code x}, set to zero if none has arrived: a place for rules that only add. */
    static GradTarget zeroed(Tensor x) {
        GradTarget into = x.gradInto();
        if (!into.accumulate()) {
            into.target().fill(0);
        }
        return into;
    }

    static Tensor narrow(Tensor x, int dim, long start, long length) {
        return part("narrow", x, layout -> layout.slice(dim, start, length, 1));
    }

    /** {@code x[start:end:step]} along a dimension, as Python understands it. */
    static Tensor slice(Tensor x, int dim, long start, long end, long step) {
        if (step < 1) {
            throw new TensorException("slice: a step of " + step + "; expected at least 1, use flip() to turn around");
        }
        long size = x.size(dim);
        long from = Math.clamp(start < 0 ? start + size : start, 0, size);
        long to = Math.clamp(end < 0 ? end + size : end, from, size);
        return part("slice", x, layout -> layout.slice(dim, from, (to - from + step - 1) / step, step));
    }

    static Tensor select(Tensor x, int dim, long index) {
        return part("select", x, layout -> layout.select(dim, index));
    }

    static Tensor diagonal(Tensor x, long offset, int dim1, int dim2) {
        return part("diagonal", x, layout -> layout.diagonal(offset, dim1, dim2));
    }

    static Tensor[] split(Tensor x, int dim, long... sizes) {
        if (Arrays.stream(sizes).sum() != x.size(dim)) {
            throw new TensorException(
                    "split: sizes " + Arrays.toString(sizes) + " of dimension " + dim + " of " + x.layout());
        }
        Tensor[] parts = new Tensor[sizes.length];
        long at = 0;
        for (int i = 0; i < sizes.length; i++) {
            parts[i] = narrow(x, dim, at, sizes[i]);
            at += sizes[i];
        }
        return parts;
    }

    static Tensor[] split(Tensor x, long size, int dim) {
        long all = x.size(dim);
        if (size < 1) {
            throw new TensorException("split: parts of " + size + " of " + x.layout() + "; expected at least 1");
        }
        long[] sizes = new long[Layout.intSize(Math.max(1, (all + size - 1) / size))];
        Arrays.fill(sizes, size);
        sizes[sizes.length - 1] = all - size * (sizes.length - 1);
        return split(x, dim, sizes);
    }

    static Tensor[] chunk(Tensor x, int chunks, int dim) {
        if (chunks < 1) {
            throw new TensorException("chunk: " + chunks + " chunks of " + x.layout() + "; expected at least 1");
        }
        return split(x, Math.max(1, (x.size(dim) + chunks - 1) / chunks), dim);
    }

    static Tensor[] unbind(Tensor x, int dim) {
        Tensor[] parts = new Tensor[Layout.intSize(x.size(dim))];
        Arrays.setAll(parts, i -> select(x, dim, i));
        return parts;
    }

    // ---- repetition -----------------------------------------------------------------------------------------------

    /** {@code dx} is {@code dy} summed over what was repeated. A size of -1 stays as it is. */
    static Tensor expand(Tensor x, long... sizes) {
        long[] shape = sizes.clone();
        for (int i = 0; i < shape.length; i++) {
            int d = i - (shape.length - x.rank());
            shape[i] = shape[i] == -1 && d >= 0 ? x.size(d) : shape[i];
        }
        Tensor y = new Tensor(x.storage(), x.layout().expand(shape));
        return Autograd.record("expand", y, dy -> x.addGrad(Elementwise.sumTo(dy, x.shape())), x);
    }

    /** Each dimension becomes two, of which the first is expanded; then they are one again. */
    static Tensor repeat(Tensor x, long... repeats) {
        int extra = repeats.length - x.rank();
        if (extra < 0) {
            throw new TensorException("repeat: " + Arrays.toString(repeats) + " times " + x.layout());
        }
        long[] apart = new long[2 * repeats.length];
        long[] stretched = new long[2 * repeats.length];
        long[] shape = new long[repeats.length];
        for (int i = 0; i < repeats.length; i++) {
            long size = i < extra ? 1 : x.size(i - extra);
            apart[2 * i] = 1;
            apart[2 * i + 1] = size;
            stretched[2 * i] = repeats[i];
            stretched[2 * i + 1] = size;
            shape[i] = repeats[i] * size;
        }
        return reshape(expand(view(x, apart), stretched), shape);
    }

    static Tensor repeatInterleave(Tensor x, long repeats, int dim) {
        int d = x.layout().dim(dim);
        long[] shape = x.shape();
        shape[d] *= repeats;
        return reshape(expand(unsqueeze(x, d + 1), Layout.with(x.shape(), d + 1, repeats)), shape);
    }

    // ---- other orders ---------------------------------------------------------------------------------------------

    /** {@code dx = flip(dy)}: read from the last element on, in steps backwards. */
    static Tensor flip(Tensor x, int... dims) {
        Layout from = x.layout();
        long[] strides = from.strides().clone();
        long offset = from.offset();
        for (int dim : dims) {
            int d = from.dim(dim);
            if (strides[d] != from.strides()[d]) {
                throw new TensorException("flip: dimension " + dim + " given twice");
            }
            offset += strides[d] * Math.max(0, x.size(d) - 1);
            strides[d] = -strides[d];
        }
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        y.copyFrom(new Tensor(x.alive().storage(), new Layout(x.shape(), strides, offset)));
        return Autograd.record("flip", y, dy -> x.addGrad(flip(dy, dims)), x);
    }

    static Tensor roll(Tensor x, long shift, int dim) {
        long size = x.size(dim);
        if (size == 0) {
            return x;
        }
        long last = Math.floorMod(shift, size);
        return cat(dim, narrow(x, dim, size - last, last), narrow(x, dim, 0, size - last));
    }

    /** {@code dx} is {@code dy} without the padding: padded by as much less. */
    static Tensor pad(Tensor x, double value, long... pad) {
        if (pad.length % 2 != 0 || pad.length > 2 * x.rank()) {
            throw new TensorException("pad: " + Arrays.toString(pad) + " around " + x.layout()
                    + "; expected a pair for each dimension, the last first");
        }
        Layout from = x.alive().layout();
        long[] shape = x.shape();
        Layout inside = from;
        long[] before = new long[x.rank()];
        for (int i = 0; i < pad.length / 2; i++) {
            int d = x.rank() - 1 - i;
            long start = Math.max(0, -pad[2 * i]);
            long kept = shape[d] - start - Math.max(0, -pad[2 * i + 1]);
            shape[d] += pad[2 * i] + pad[2 * i + 1];
            if (kept < 0 || shape[d] < 0) {
                throw new TensorException("pad: " + Arrays.toString(pad) + " takes more from " + from + " than it has");
            }
            inside = inside.slice(d, start, kept, 1);
            before[d] = Math.max(0, pad[2 * i]);
        }
        Tensor y = Tensor.full(x.dtype(), value, shape);
        Layout to = y.layout();
        for (int d = 0; d < before.length; d++) {
            to = to.slice(d, before[d], inside.shape()[d], 1);
        }
        new Tensor(y.storage(), to).copyFrom(new Tensor(x.storage(), inside));
        long[] less = Arrays.stream(pad).map(n -> -n).toArray();
        return Autograd.record("pad", y, dy -> x.addGrad(pad(dy, 0, less)), x);
    }

    static Tensor cat(int dim, Tensor... parts) {
        if (parts.length == 0) {
            throw new TensorException("cat: no tensors given");
        }
        int d = parts[0].layout().dim(dim);
        long[] shape = parts[0].shape();
        shape[d] = 0;
        for (Tensor part : parts) {
            long[] other = part.alive().shape();
            long size = other.length == shape.length ? other[d] : 0;
            if (other.length == shape.length) {
                other[d] = shape[d];
            }
            if (!Arrays.equals(other, shape) || part.dtype() != parts[0].dtype()) {
                throw new TensorException("cat: " + part.dtype() + " " + part.layout() + " beside " + parts[0].dtype()
                        + " " + parts[0].layout() + " along " + dim + "; expected one type, and sizes equal but along "
                        + dim);
            }
            shape[d] += size;
        }
        Tensor y = Tensor.empty(parts[0].dtype(), shape);
        long at = 0;
        for (Tensor part : parts) {
            new Tensor(y.storage(), y.layout().slice(d, at, part.size(d), 1)).copyFrom(part);
            at += part.size(d);
        }
        return Autograd.record(
                "cat",
                y,
                dy -> {
                    long from = 0;
                    for (Tensor part : parts) {
                        part.addGrad(narrow(dy, d, from, part.size(d)));
                        from += part.size(d);
                    }
                },
                parts);
    }

    static Tensor stack(int dim, Tensor... parts) {
        return cat(dim, Arrays.stream(parts).map(part -> unsqueeze(part, dim)).toArray(Tensor[]::new));
    }

    // ---- triangles and masks --------------------------------------------------------------------------------------

    /** The elements with {@code col - row <= diagonal}, 0 elsewhere. */
    static Tensor tril(Tensor x, long diagonal) {
        return Elementwise.where(upTo(x, diagonal), x, Tensor.zeros(x.dtype()));
    }

    /** The elements with {@code col - row >= diagonal}, 0 elsewhere. */
    static Tensor triu(Tensor x, long diagonal) {
        return Elementwise.where(upTo(x, diagonal - 1), Tensor.zeros(x.dtype()), x);
    }

    /** 1 where {@code col - row <= diagonal} in the last two dimensions of {@code x}. */
    private static Tensor upTo(Tensor x, long diagonal) {
        if (x.rank() < 2) {
            throw new TensorException("tril, triu: " + x.layout() + "; expected at least two dimensions");
        }
        Tensor rows = Tensor.arange(DType.FLOAT32, x.size(-2)).add((double) diagonal);
        return rows.unsqueeze(1).ge(Tensor.arange(DType.FLOAT32, x.size(-1)));
    }
}
