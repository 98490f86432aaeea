package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Embedding;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import dev.isthmus.tensor.KernelCall.Gather;
import dev.isthmus.tensor.KernelCall.Scatter;
import dev.isthmus.tensor.KernelCall.Sort;
import dev.isthmus.tensor.Tensor.GradTarget;
import dev.isthmus.tensor.Tensor.Sorted;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Elements picked by index, and their gradients: what one direction gathers the other scatters. */
final class Indexing {
    private Indexing() {}

    static Tensor gather(Tensor x, int dim, Tensor index) {
        int d = x.layout().dim(dim);
        requireWithin("gather", index, x, d);
        check("gather", index, x.size(d), dim);
        return pick("gather", x, d, index);
    }

    /** {@code y[i] = x[i with index[i] at d]}; {@code dx[i with index[i] at d] += dy[i]}. */
    private static Tensor pick(String op, Tensor x, int d, Tensor index) {
        Tensor y = Tensor.empty(x.dtype(), index.shape());
        y.run(new Gather(
                index.shape(),
                d,
                x.alive().buffer(),
                x.layout().strides(),
                index.alive().buffer(),
                index.layout().strides(),
                y.buffer()));
        return Autograd.record(
                op,
                y,
                dy -> {
                    GradTarget into = Movement.zeroed(x);
                    scatter(into.target(), d, index, dy, true);
                },
                x);
    }

    /** {@code to[i with index[i] at d] = src[i]}, or {@code +=}. */
    private static void scatter(Tensor to, int d, Tensor index, Tensor src, boolean accumulate) {
        to.run(new Scatter(
                index.shape(),
                d,
                to.buffer(),
                to.layout().strides(),
                index.alive().buffer(),
                index.layout().strides(),
                src.alive().buffer(),
                src.layout().strides(),
                accumulate));
    }

    static Tensor indexSelect(Tensor x, int dim, Tensor index) {
        int d = x.layout().dim(dim);
        check("indexSelect", index, x.size(d), dim);
        long[] shape = x.shape();
        shape[d] = index.count();
        return pick("index_select", x, d, along("indexSelect", index, d, shape));
    }

    static Tensor takeAlongDim(Tensor x, Tensor indices, int dim) {
        int d = x.layout().dim(dim);
        if (indices.rank() != x.rank()) {
            throw new TensorException("takeAlongDim: indices of " + indices.layout() + " into " + x.layout()
                    + "; expected as many dimensions");
        }
        check("takeAlongDim", indices, x.size(d), dim);
        long[] one = x.shape();
        one[d] = 1;
        long[] shape = Layout.broadcast("takeAlongDim", one, indices.shape());
        long[] whole = shape.clone();
        whole[d] = x.size(d);
        return pick("take_along_dim", x.expand(whole), d, indices.expand(shape));
    }

    /** {@code dx} is {@code dy} where nothing was written, {@code dsrc} is {@code dy} where it was. */
    static Tensor scatter(Tensor x, int dim, Tensor index, Tensor source) {
        int d = x.layout().dim(dim);
        Tensor src = covered("scatter", x, d, index, source);
        check("scatter", index, x.size(d), dim);
        Tensor y = Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
        scatter(y, d, index, src, false);
        return Autograd.record(
                "scatter",
                y,
                dy -> {
                    if (x.requiresGrad()) {
                        Tensor dx = Tensor.empty(dy.dtype(), dy.shape()).copyFrom(dy);
                        scatter(dx, d, index, Tensor.zeros(dy.dtype()).expand(index.shape()), false);
                        x.addGrad(dx);
                    }
                    if (src.requiresGrad()) {
                        src.addGrad(pick("gather", dy, d, index));
                    }
                },
                x,
                src);
    }

    /** {@code dx = dy}, {@code dsrc[i] = dy[i with index[i] at d]}. */
    static Tensor scatterAdd(Tensor x, int dim, Tensor index, Tensor source) {
        int d = x.layout().dim(dim);
        Tensor src = covered("scatterAdd", x, d, index, source);
        check("scatterAdd", index, x.size(d), dim);
        return added("scatter_add", x, d, index, src);
    }

    static Tensor indexAdd(Tensor x, int dim, Tensor index, Tensor source) {
        int d = x.layout().dim(dim);
        long[] shape = x.shape();
        shape[d] = index.count();
        if (!Arrays.equals(shape, source.shape())) {
            throw new TensorException("indexAdd: a source of " + source.layout() + " for " + index.count()
                    + " indices into " + x.layout() + "; expected shape " + Arrays.toString(shape));
        }
        Elementwise.requireSameType("indexAdd", x, source);
        check("indexAdd", index, x.size(d), dim);
        return added("index_add", x, d, along("indexAdd", index, d, shape), source);
    }

    private static Tensor added(String op, Tensor x, int d, Tensor index, Tensor src) {
        Tensor y = Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
        scatter(y, d, index, src, true);
        return Autograd.record(
                op,
                y,
                dy -> {
                    x.addGrad(dy);
                    if (src.requiresGrad()) {
                        src.addGrad(pick("gather", dy, d, index));
                    }
                },
                x,
                src);
    }

    /** {@code dtable[ids[i]] += dy[i]}, in the order of i. */
    static Tensor embedding(Tensor weight, Tensor ids) {
        if (weight.rank() != 2) {
            throw new TensorException("embedding: a table of " + weight.layout() + "; expected two dimensions");
        }
        Tensor table = weight.alive().contiguous();
        int words = Layout.intSize(table.size(0));
        int cols = Layout.intSize(table.size(1));
        int rows = Layout.intSize(ids.count());
        check("embedding", ids, words, 0);
        Tensor index = ids.to(DType.INT32).contiguous();
        Tensor y = Tensor.empty(table.dtype(), Layout.with(ids.shape(), ids.rank(), cols));
        y.run(new Embedding(rows, cols, table.buffer(), index.buffer(), y.buffer(), false));
        return Autograd.record(
                "embedding",
                y,
                dy -> {
                    GradTarget into = table.gradInto();
                    dy.run(new EmbeddingBackward(
                            rows,
                            cols,
                            words,
                            index.buffer(),
                            dy.buffer(),
                            into.target().buffer(),
                            into.accumulate()));
                },
                table);
    }

    // ---- order ----------------------------------------------------------------------------------------------------

    static Sorted sort(Tensor x, int dim, boolean descending) {
        return topk(x, x.size(dim), dim, descending);
    }

    /** The gradient of an element goes to the place where it was found. */
    static Sorted topk(Tensor x, long k, int dim, boolean descending) {
        Tensor indices = order(x, k, dim, descending);
        return new Sorted(pick("sort", x, x.layout().dim(dim), indices), indices);
    }

    /** The places of the first {@code k} elements in order along a dimension; equal ones stay in their order. */
    static Tensor order(Tensor x, long k, int dim, boolean descending) {
        int d = x.layout().dim(dim);
        if (k < 0 || k > x.size(d)) {
            throw new TensorException("topk: " + k + " elements along dimension " + dim + " of " + x.layout());
        }
        Tensor rows = x.alive().detach().transpose(d, -1).contiguous();
        long[] shape = rows.shape();
        shape[shape.length - 1] = k;
        Tensor index = Tensor.empty(DType.INT32, shape);
        int cols = Layout.intSize(x.size(d));
        int count = Layout.intSize(x.count() / Math.max(1, cols));
        index.run(new Sort(count, cols, (int) k, descending, rows.buffer(), index.buffer()));
        return index.transpose(d, -1);
    }

    // ---- masks ----------------------------------------------------------------------------------------------------

    static Tensor oneHot(Tensor index, long classes) {
        check("oneHot", index, classes, -1);
        long[] shape = Layout.with(index.shape(), index.rank(), classes);
        Tensor y = Tensor.zeros(DType.INT64, shape);
        Tensor last = index.unsqueeze(-1);
        scatter(y, index.rank(), last, Tensor.full(DType.INT64, 1).expand(last.shape()), false);
        return y;
    }

    static Tensor nonzero(Tensor x) {
        long[] places = places(x);
        long[] shape = x.shape();
        Tensor y = Tensor.empty(DType.INT64, places.length, shape.length);
        MemorySegment to = y.segment();
        for (int i = 0; i < places.length; i++) {
            long[] place = place(places[i], shape);
            MemorySegment.copy(place, 0, to, ValueLayout.JAVA_LONG, (long) i * place.length * 8, place.length);
        }
        return y;
    }

    static Tensor maskedSelect(Tensor x, Tensor mask) {
        long[] shape = Layout.broadcast("maskedSelect", x.shape(), mask.shape());
        long[] places = places(mask.expand(shape));
        Tensor index = Tensor.empty(DType.INT64, places.length);
        MemorySegment.copy(places, 0, index.segment(), ValueLayout.JAVA_LONG, 0, places.length);
        return pick("masked_select", x.expand(shape).reshape(-1), 0, index);
    }

    /** The row-major numbers of the elements that are not zero. */
    private static long[] places(Tensor x) {
        double[] values = x.toDoubles();
        long[] places = new long[values.length];
        int n = 0;
        for (int i = 0; i < values.length; i++) {
            if (values[i] != 0) {
                places[n++] = i;
            }
        }
        return Arrays.copyOf(places, n);
    }

    // ---- checks ---------------------------------------------------------------------------------------------------

    /** An index of one dimension, which says what is picked along {@code d}, repeated along all others. */
    private static Tensor along(String op, Tensor index, int d, long[] shape) {
        if (index.rank() > 1) {
            throw new TensorException(op + ": an index of " + index.layout() + "; expected one dimension");
        }
        long[] column = new long[shape.length];
        Arrays.fill(column, 1);
        column[d] = index.count();
        return index.detach().reshape(column).expand(shape);
    }

    /** The part of {@code source} that {@code index} covers. */
    private static Tensor covered(String op, Tensor x, int d, Tensor index, Tensor source) {
        requireWithin(op, index, x, d);
        requireWithin(op, index, source, -1);
        Elementwise.requireSameType(op, x, source);
        Tensor src = source;
        for (int i = 0; i < index.rank(); i++) {
            src = src.size(i) == index.size(i) ? src : src.narrow(i, 0, index.size(i));
        }
        return src;
    }

    private static void requireWithin(String op, Tensor index, Tensor x, int free) {
        boolean fits = index.rank() == x.rank();
        for (int i = 0; fits && i < index.rank(); i++) {
            fits = i == free || index.size(i) <= x.size(i);
        }
        if (!fits) {
            throw new TensorException(op + ": an index of " + index.layout() + " for " + x.layout()
                    + "; expected as many dimensions, none larger" + (free < 0 ? "" : " but dimension " + free));
        }
    }

    /**
     * Throws if an index is outside of a dimension of {@code size}.
     *
     * @throws TensorException that names the index, its place and the size
     */
    static void check(String op, Tensor index, long size, int dim) {
        if (index.dtype() != DType.INT32 && index.dtype() != DType.INT64) {
            throw new TensorException(op + ": an index of " + index.dtype() + "; expected INT32 or INT64");
        }
        MemorySegment numbers = index.alive().detach().contiguous().segment();
        boolean wide = index.dtype() == DType.INT64;
        long count = index.count();
        for (long i = 0; i < count; i++) {
            long n = wide ? numbers.getAtIndex(ValueLayout.JAVA_LONG, i) : numbers.getAtIndex(ValueLayout.JAVA_INT, i);
            if (n < 0 || n >= size) {
                throw new TensorException(op + ": index " + n + " at " + Arrays.toString(place(i, index.shape()))
                        + " is outside dimension " + dim + ", whose size is " + size);
            }
        }
    }

    private static long[] place(long number, long[] shape) {
        long[] place = new long[shape.length];
        for (int d = shape.length - 1; d >= 0; d--) {
            place[d] = number % shape[d];
            number /= shape[d];
        }
        return place;
    }
}
