package dev.isthmus.tensor;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * How a tensor lies in its storage: element {@code (i0, i1, ...)} is at {@code offset + i0 strides[0] + i1 strides[1] + ...}.
 *
 * <p>Counted in elements. A stride of 0 repeats an element along a dimension (broadcast).
 */
public record Layout(long[] shape, long[] strides, long offset) {
    /** The row-major layout of a shape. */
    public static Layout contiguous(long... shape) {
        long[] strides = new long[shape.length];
        long step = 1;
        for (int d = shape.length - 1; d >= 0; d--) {
            if (shape[d] < 0) {
                throw new TensorException("negative size in shape " + Arrays.toString(shape));
            }
            strides[d] = step;
            step = count(step, Math.max(1, shape[d]));
        }
        return new Layout(shape, strides, 0);
    }

    /** The number of dimensions. */
    public int rank() {
        return shape.length;
    }

    /** The number of elements. */
    public long count() {
        return count(shape);
    }

    /** The number of elements of a shape. */
    public static long count(long... shape) {
        long n = 1;
        try {
            for (long s : shape) {
                n = Math.multiplyExact(n, s);
            }
        } catch (ArithmeticException e) {
            throw new TensorException("a shape of " + Arrays.toString(shape) + " has 2^63 elements or more", e);
        }
        return n;
    }

    /**
     * A size that a kernel or a Java array counts with an {@code int}.
     *
     * @throws TensorException if it is 2^31 or more
     */
    static int intSize(long size) {
        if (size != (int) size) {
            throw new TensorException("a size of " + size
                    + " where at most 2^31 - 1 can be done at once; do it in parts, as" + " narrow() makes them");
        }
        return (int) size;
    }

    /** Whether the elements lie row by row without gaps, as a new tensor's do. */
    public boolean isContiguous() {
        long step = 1;
        for (int d = shape.length - 1; d >= 0; d--) {
            if (shape[d] != 1 && strides[d] != step) {
                return false;
            }
            step *= shape[d];
        }
        return true;
    }

    /** Dimension {@code dim} counted from the front, given from the front or (negative) from the back. */
    public int dim(int dim) {
        int d = dim < 0 ? dim + rank() : dim;
        if (d < 0 || d >= rank()) {
            throw new TensorException("dimension " + dim + " of a tensor of shape " + Arrays.toString(shape));
        }
        return d;
    }

    /** The layout with dimensions in another order. */
    Layout permute(int... dims) {
        long[] shapes = new long[rank()];
        long[] steps = new long[rank()];
        boolean[] seen = new boolean[rank()];
        if (dims.length != rank()) {
            throw new TensorException("permute: " + dims.length + " dimensions given for " + this);
        }
        for (int i = 0; i < dims.length; i++) {
            int d = dim(dims[i]);
            if (seen[d]) {
                throw new TensorException("permute: dimension " + dims[i] + " given twice");
            }
            seen[d] = true;
            shapes[i] = shape[d];
            steps[i] = strides[d];
        }
        return new Layout(shapes, steps, offset);
    }

    /** The layout of {@code length} steps of {@code step} along {@code dim}, from {@code start}. */
    Layout slice(int dim, long start, long length, long step) {
        int d = dim(dim);
        if (start < 0 || length < 0 || step < 1 || length > 0 && start + (length - 1) * step >= shape[d]) {
            throw new TensorException("slice of " + length + " from " + start + " in steps of " + step
                    + " along dimension " + dim + " of " + this);
        }
        long[] shapes = shape.clone();
        long[] steps = strides.clone();
        shapes[d] = length;
        steps[d] *= step;
        return new Layout(shapes, steps, offset + start * strides[d]);
    }

    /** The layout of the elements at {@code index} of dimension {@code dim}, which disappears. */
    Layout select(int dim, long index) {
        int d = dim(dim);
        if (index < -shape[d] || index >= shape[d]) {
            throw new TensorException("select: index " + index + " is outside dimension " + dim + " of " + this);
        }
        long i = index < 0 ? index + shape[d] : index;
        return new Layout(without(shape, d), without(strides, d), offset + i * strides[d]);
    }

    /** The layout of the elements {@code (i, i + offset)} of two dimensions, as a new last dimension. */
    Layout diagonal(long offset, int dim1, int dim2) {
        int rows = dim(dim1);
        int cols = dim(dim2);
        if (rows == cols) {
            throw new TensorException(
                    "diagonal: dimensions " + dim1 + " and " + dim2 + " of " + this + " are the same");
        }
        long row = Math.max(0, -offset);
        long col = Math.max(0, offset);
        long length = Math.max(0, Math.min(shape[rows] - row, shape[cols] - col));
        int rank = rank() - 1;
        long[] shapes = Arrays.copyOf(without(without(shape, Math.max(rows, cols)), Math.min(rows, cols)), rank);
        long[] steps = Arrays.copyOf(without(without(strides, Math.max(rows, cols)), Math.min(rows, cols)), rank);
        shapes[rank - 1] = length;
        steps[rank - 1] = strides[rows] + strides[cols];
        return new Layout(
                shapes, steps, length == 0 ? this.offset : this.offset + row * strides[rows] + col * strides[cols]);
    }

    /** The numbers without the one at {@code index}. */
    static long[] without(long[] numbers, int index) {
        long[] rest = Arrays.copyOf(numbers, numbers.length - 1);
        System.arraycopy(numbers, index + 1, rest, index, rest.length - index);
        return rest;
    }

    /** The numbers with another at {@code index}. */
    static long[] with(long[] numbers, int index, long number) {
        long[] more = Arrays.copyOf(numbers, numbers.length + 1);
        System.arraycopy(numbers, index, more, index + 1, numbers.length - index);
        more[index] = number;
        return more;
    }

    /** The same elements in another shape of as many, or null if no strides can say where they are. */
    @Nullable
    Layout view(long... to) {
        long[] steps = contiguous(to).strides;
        if (count() == 0) {
            return new Layout(to.clone(), steps, offset);
        }
        int open = to.length - 1;
        int d = rank() - 1;
        while (d >= 0) {
            long step = strides[d];
            long run = shape[d--];
            while (d >= 0 && (shape[d] == 1 || strides[d] == run * step)) {
                run *= shape[d--];
            }
            for (long done = 1; done < run; done *= to[open--]) {
                if (run / done % to[open] != 0) {
                    return null;
                }
                steps[open] = step * done;
            }
        }
        return new Layout(to.clone(), steps, offset);
    }

    /** The layout repeated to a larger shape: dimensions of size 1 and missing leading dimensions stretch. */
    Layout expand(long... to) {
        if (to.length < rank()) {
            throw new TensorException("cannot expand " + this + " to " + Arrays.toString(to));
        }
        long[] steps = new long[to.length];
        for (int i = 0; i < to.length; i++) {
            int d = i - (to.length - rank());
            long size = d < 0 ? 1 : shape[d];
            if (size != to[i] && size != 1) {
                throw new TensorException("cannot expand " + this + " to " + Arrays.toString(to));
            }
            steps[i] = size == to[i] && d >= 0 ? strides[d] : 0;
        }
        return new Layout(to.clone(), steps, offset);
    }

    /** The shape that two shapes broadcast to, as PyTorch does. */
    static long[] broadcast(String op, long[] a, long[] b) {
        long[] out = new long[Math.max(a.length, b.length)];
        for (int i = 1; i <= out.length; i++) {
            long x = i <= a.length ? a[a.length - i] : 1;
            long y = i <= b.length ? b[b.length - i] : 1;
            if (x != y && x != 1 && y != 1) {
                throw new TensorException(
                        op + ": shapes " + Arrays.toString(a) + " and " + Arrays.toString(b) + " do not broadcast");
            }
            out[out.length - i] = x == 1 ? y : x;
        }
        return out;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Layout o
                && Arrays.equals(shape, o.shape)
                && Arrays.equals(strides, o.strides)
                && offset == o.offset;
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(shape) + 31 * Arrays.hashCode(strides) + Long.hashCode(offset);
    }

    @Override
    public String toString() {
        return "shape " + Arrays.toString(shape);
    }
}
