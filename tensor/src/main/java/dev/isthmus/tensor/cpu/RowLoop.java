package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import jdk.incubator.vector.FloatVector;

/**
 * The rows of some arrays of one shape and any strides: dimensions that lie one behind the other in all arrays become one.
 *
 * <p>Rows are cut into pieces that fit the first-level cache, and pieces become tasks for the threads. Kernels see rows without
 * gaps: {@link #row} copies the others.
 */
final class RowLoop {
    /** The most elements of a piece. */
    static final int PIECE = 4096;

    /** The least elements of a piece: less would share cache lines. */
    private static final int LINE = 16;

    /** The most pieces that a row is cut into because its elements are much work. */
    private static final int PIECES = 16;

    private static final int TASK_ELEMENTS = 1 << 14;

    private final long[] shape;
    private final long[][] strides;
    private final int dims;

    RowLoop(long[] shape, long[]... strides) {
        this.shape = new long[Math.max(1, shape.length)];
        this.strides = new long[strides.length][this.shape.length];
        int last = -1;
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] == 1) {
                continue;
            }
            if (last >= 0 && continues(strides, last, i, shape[i])) {
                this.shape[last] *= shape[i];
            } else {
                this.shape[++last] = shape[i];
            }
            for (int x = 0; x < strides.length; x++) {
                this.strides[x][last] = strides[x][i];
            }
        }
        if (last < 0) {
            last = 0;
            this.shape[0] = 1;
        }
        this.dims = last + 1;
    }

    private boolean continues(long[][] from, int last, int next, long size) {
        for (int x = 0; x < from.length; x++) {
            if (strides[x][last] != from[x][next] * size) {
                return false;
            }
        }
        return true;
    }

    /** The strides of a shape that lies row by row without gaps. */
    static long[] dense(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    /** The number of dimensions that remain; at least one. */
    int dims() {
        return dims;
    }

    /** The size of dimension {@code i}. */
    long size(int i) {
        return shape[i];
    }

    /** The elements of array {@code x} from one index of dimension {@code i} to the next. */
    long stride(int x, int i) {
        return strides[x][i];
    }

    /** The elements from one number of a row to the next in array {@code x}. */
    long step(int x) {
        return strides[x][dims - 1];
    }

    /** Work on a piece of a row. */
    interface Body {
        /** Does {@code n} elements that begin at {@code at[x]} in array {@code x}. */
        void run(int n, long[] at);
    }

    /** Runs {@code body} for every piece, on all threads. */
    void run(Body body) {
        run(1, body);
    }

    /** Runs {@code body} for every piece, on all threads, where an element is as much work as {@code weight} usual ones. */
    void run(long weight, Body body) {
        int outer = dims - 1;
        long size = shape[outer];
        long elements = TASK_ELEMENTS / Math.clamp(weight, 1, TASK_ELEMENTS);
        int most = Math.clamp(Math.max(elements, size / PIECES & -LINE), LINE, PIECE);
        long pieces = (size + most - 1) / most;
        long units = pieces;
        for (int i = 0; i < outer; i++) {
            units *= shape[i];
        }
        long count = units;
        long perTask = Math.max(1, elements / Math.clamp(size, 1, most));
        WorkerPool.parallel(Math.toIntExact((count + perTask - 1) / perTask), task -> {
            long u = task * perTask;
            long end = Math.min(count, u + perTask);
            long piece = u % pieces;
            long[] index = new long[outer];
            long[] row = start(u / pieces, index);
            long[] at = new long[row.length];
            for (; u < end; u++) {
                long first = piece * most;
                for (int x = 0; x < at.length; x++) {
                    at[x] = row[x] + first * strides[x][dims - 1];
                }
                body.run((int) Math.min(most, size - first), at);
                if (++piece == pieces) {
                    piece = 0;
                    advance(index, row);
                }
            }
        });
    }

    /** Where row {@code number} begins in each array; sets its index. */
    private long[] start(long number, long[] index) {
        long[] row = new long[strides.length];
        for (int i = index.length - 1; i >= 0; i--) {
            index[i] = number % shape[i];
            number /= shape[i];
            for (int x = 0; x < row.length; x++) {
                row[x] += index[i] * strides[x][i];
            }
        }
        return row;
    }

    private void advance(long[] index, long[] row) {
        for (int i = index.length - 1; i >= 0; i--) {
            boolean over = ++index[i] == shape[i];
            for (int x = 0; x < row.length; x++) {
                row[x] += over ? strides[x][i] * (1 - shape[i]) : strides[x][i];
            }
            if (!over) {
                return;
            }
            index[i] = 0;
        }
    }

    /** The address of {@code n} numbers without gaps that equal those at {@code address}, a copy if need be. */
    static long row(Scratch.Use use, int n, long address, long step) {
        if (step == 1) {
            return address;
        }
        long row = Scratch.address(use, PIECE * 4L);
        if (step == 0) {
            fill(n, row, getFloat(address));
        } else {
            for (int i = 0; i < n; i++) {
                setFloat(row + i * 4L, getFloat(address + i * step * 4));
            }
        }
        return row;
    }

    private static void fill(int n, long row, float value) {
        FloatVector v = FloatVector.broadcast(Simd.F, value);
        for (int i = 0; i < n; i += LANES) {
            store(v, row + i * 4L);
        }
    }
}
