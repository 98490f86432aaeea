package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.first;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Scan;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Reductions and cumulative sums of float32 numbers.
 *
 * <p>A row is summed in blocks of {@value #BLOCK} numbers, each in the order of {@link Rows}, and the blocks in double precision.
 * Where the numbers of a sum lie {@code inner} apart, they are added row by row in blocks of {@value #DEPTH} rows. Neither order
 * depends on the number of threads or the width of the vectors.
 */
final class ReductionKernels {
    private static final int BLOCK = 4096;
    private static final int DEPTH = 256;
    private static final int COLUMNS = 1024;

    private ReductionKernels() {}

    /** Whether there is a vector form. */
    static boolean has(Reduce c) {
        boolean index = c.op() == ReduceOp.ARGMAX || c.op() == ReduceOp.ARGMIN;
        return c.dim() > 0 && (c.inner() == 1 || !index);
    }

    static void reduce(Reduce c) {
        if (c.inner() == 1) {
            rows(c);
        } else {
            columns(c);
        }
    }

    // ---- along rows -------------------------------------------------------------------------------------------------

    /** Long rows are cut into parts, so that all threads have some. */
    private static void rows(Reduce c) {
        long parts = (c.dim() + Elements.CHUNK - 1) / Elements.CHUNK;
        int perTask = parts > 1 ? 1 : (int) Math.max(1, Elements.CHUNK / c.dim());
        int units = Math.toIntExact(c.outer() * parts);
        double[] folds = new double[parts > 1 ? units : 0];
        WorkerPool.parallel((units + perTask - 1) / perTask, task -> {
            for (int u = task * perTask; u < Math.min(units, (task + 1L) * perTask); u++) {
                long from = u % parts * Elements.CHUNK;
                int n = (int) Math.min(Elements.CHUNK, c.dim() - from);
                long x = c.x().plus(u / parts * c.dim() + from).address();
                double fold = row(c.op(), n, x);
                if (parts > 1) {
                    folds[u] = fold;
                } else {
                    put(c, u, fold, 0, x);
                }
            }
        });
        for (int o = 0; parts > 1 && o < c.outer(); o++) {
            int at = Math.toIntExact(o * parts);
            double fold = folds[at];
            int part = 0;
            for (int i = 1; i < parts; i++) {
                double next = combine(c.op(), fold, folds[at + i]);
                if (next != fold && !Double.isNaN(fold)) {
                    part = i;
                }
                fold = next;
            }
            long from = (long) part * Elements.CHUNK;
            put(c, o, fold, from, c.x().plus(o * c.dim() + from).address());
        }
    }

    private static void put(Reduce c, long row, double fold, long from, long x) {
        long out = c.out().plus(row).address();
        if (c.op() == ReduceOp.ARGMAX || c.op() == ReduceOp.ARGMIN) {
            int n = (int) Math.min(Elements.CHUNK, c.dim() - from);
            MEM.set(ValueLayout.JAVA_INT_UNALIGNED, out, Math.toIntExact(from + find(n, x, (float) fold)));
        } else {
            setFloat(out, (float) fold);
        }
    }

    private static double combine(ReduceOp op, double a, double b) {
        return switch (op) {
            case SUM -> a + b;
            case PROD -> a * b;
            case MAX, ARGMAX -> Math.max(a, b);
            case MIN, ARGMIN -> Math.min(a, b);
        };
    }

    private static double row(ReduceOp op, int n, long x) {
        double fold = op == ReduceOp.PROD ? 1 : op == ReduceOp.SUM ? 0 : getFloat(x);
        for (int i = 0; i < n; i += BLOCK) {
            fold = combine(op, fold, block(op, Math.min(BLOCK, n - i), x + i * 4L));
        }
        return fold;
    }

    private static double block(ReduceOp op, int n, long x) {
        if (op == ReduceOp.PROD) {
            return product(n, x);
        }
        long lanes = Scratch.address(Scratch.Use.LANES, Rows.BYTES);
        switch (op) {
            case SUM -> sums(n, x, lanes);
            case MAX, ARGMAX -> largest(n, x, lanes);
            default -> smallest(n, x, lanes);
        }
        if (op == ReduceOp.SUM) {
            return Rows.fold(lanes);
        }
        double fold = getFloat(lanes);
        for (int j = 1; j < Rows.LANES; j++) {
            fold = combine(op, fold, getFloat(lanes + j * 4L));
        }
        return fold;
    }

    private static double product(int n, long x) {
        double product = 1;
        for (int i = 0; i < n; i++) {
            product *= getFloat(x + i * 4L);
        }
        return product;
    }

    private static void sums(int n, long x, long lanes) {
        int whole = n & -Rows.LANES;
        for (int j = 0; j < Rows.LANES; j += LANES) {
            FloatVector sum = FloatVector.zero(F);
            for (int i = j; i < whole; i += Rows.LANES) {
                sum = sum.add(load(x + i * 4L));
            }
            if (whole + j < n) {
                sum = sum.add(load(x + (whole + j) * 4L, first(n - whole - j)));
            }
            store(sum, lanes + j * 4L);
        }
    }

    private static void largest(int n, long x, long lanes) {
        int whole = n & -Rows.LANES;
        for (int j = 0; j < Rows.LANES; j += LANES) {
            FloatVector most = Simd.repeat(x);
            for (int i = j; i < whole; i += Rows.LANES) {
                most = most.max(load(x + i * 4L));
            }
            if (whole + j < n) {
                VectorMask<Float> rest = first(n - whole - j);
                most = most.blend(most.max(load(x + (whole + j) * 4L, rest)), rest);
            }
            store(most, lanes + j * 4L);
        }
    }

    private static void smallest(int n, long x, long lanes) {
        int whole = n & -Rows.LANES;
        for (int j = 0; j < Rows.LANES; j += LANES) {
            FloatVector least = Simd.repeat(x);
            for (int i = j; i < whole; i += Rows.LANES) {
                least = least.min(load(x + i * 4L));
            }
            if (whole + j < n) {
                VectorMask<Float> rest = first(n - whole - j);
                least = least.blend(least.min(load(x + (whole + j) * 4L, rest)), rest);
            }
            store(least, lanes + j * 4L);
        }
    }

    /** The index of the first number that equals {@code value}, which is among them; of the first NaN if it is one. */
    private static int find(int n, long x, float value) {
        boolean nan = Float.isNaN(value);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector v = load(x + i * 4L);
            VectorMask<Float> found = nan ? v.test(VectorOperators.IS_NAN) : v.compare(VectorOperators.EQ, value);
            if (found.anyTrue()) {
                return i + found.firstTrue();
            }
        }
        while (nan ? !Float.isNaN(getFloat(x + i * 4L)) : getFloat(x + i * 4L) != value) {
            i++;
        }
        return i;
    }

    // ---- across rows ------------------------------------------------------------------------------------------------

    private static void columns(Reduce c) {
        int pieces = Math.toIntExact((c.inner() + COLUMNS - 1) / COLUMNS);
        WorkerPool.parallel(Math.toIntExact(c.outer() * pieces), task -> {
            long o = task / pieces;
            long col = (long) (task % pieces) * COLUMNS;
            int n = (int) Math.min(COLUMNS, c.inner() - col);
            long x = c.x().plus(o * c.dim() * c.inner() + col).address();
            long out = c.out().plus(o * c.inner() + col).address();
            long row = c.inner() * 4;
            long block = Scratch.address(Scratch.Use.ROW_A, COLUMNS * 4L);
            for (long d = 0; d < c.dim(); d++) {
                long to = d < DEPTH ? out : block;
                if (d % DEPTH == 0) {
                    Panels.copy(1, n, x + d * row, 0, to, 0);
                } else {
                    into(c.op(), n, x + d * row, to);
                }
                if (d >= DEPTH && (d % DEPTH == DEPTH - 1 || d == c.dim() - 1)) {
                    into(c.op(), n, block, out);
                }
            }
        });
    }

    /** {@code to = fold(to, x)}. */
    private static void into(ReduceOp op, int n, long x, long to) {
        switch (op) {
            case SUM -> add(n, to, x, to);
            case PROD -> multiply(n, to, x, to);
            case MAX -> max(n, to, x, to);
            case MIN -> min(n, to, x, to);
            default -> throw new IllegalArgumentException(op.name());
        }
    }

    private static void add(int n, long a, long b, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(load(a + i * 4L).add(load(b + i * 4L)), to + i * 4L);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            store(load(a + i * 4L, rest).add(load(b + i * 4L, rest)), to + i * 4L, rest);
        }
    }

    private static void multiply(int n, long a, long b, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(load(a + i * 4L).mul(load(b + i * 4L)), to + i * 4L);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            store(load(a + i * 4L, rest).mul(load(b + i * 4L, rest)), to + i * 4L, rest);
        }
    }

    private static void max(int n, long a, long b, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(load(a + i * 4L).max(load(b + i * 4L)), to + i * 4L);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            store(load(a + i * 4L, rest).max(load(b + i * 4L, rest)), to + i * 4L, rest);
        }
    }

    private static void min(int n, long a, long b, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(load(a + i * 4L).min(load(b + i * 4L)), to + i * 4L);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            store(load(a + i * 4L, rest).min(load(b + i * 4L, rest)), to + i * 4L, rest);
        }
    }

    // ---- cumulative -------------------------------------------------------------------------------------------------

    static void scan(Scan c) {
        if (c.inner() == 1) {
            Rows.parallel(
                    Math.toIntExact(c.outer()), Math.toIntExact(Math.min(Integer.MAX_VALUE, c.dim())), (from, to) -> {
                        for (int o = from; o < to; o++) {
                            scanRow(
                                    c,
                                    c.x().plus(o * c.dim()).address(),
                                    c.y().plus(o * c.dim()).address());
                        }
                    });
            return;
        }
        int pieces = Math.toIntExact((c.inner() + COLUMNS - 1) / COLUMNS);
        WorkerPool.parallel(Math.toIntExact(c.outer() * pieces), task -> {
            long col = (long) (task % pieces) * COLUMNS;
            int n = (int) Math.min(COLUMNS, c.inner() - col);
            long at = task / pieces * c.dim() * c.inner() + col;
            long row = (c.reverse() ? -4 : 4) * c.inner();
            long start = c.reverse() ? (c.dim() - 1) * c.inner() : 0;
            long x = c.x().plus(at + start).address();
            long y = c.y().plus(at + start).address();
            for (long d = 0; d < c.dim(); d++) {
                if (d == 0) {
                    Panels.copy(1, n, x, 0, y, 0);
                } else if (c.op() == ReduceOp.SUM) {
                    add(n, y + (d - 1) * row, x + d * row, y + d * row);
                } else {
                    multiply(n, y + (d - 1) * row, x + d * row, y + d * row);
                }
            }
        });
    }

    private static void scanRow(Scan c, long x, long y) {
        long step = c.reverse() ? -4 : 4;
        long at = c.reverse() ? (c.dim() - 1) * 4 : 0;
        double sum = 0;
        double product = 1;
        for (long i = 0; i < c.dim(); i++) {
            float v = getFloat(x + at);
            sum += v;
            product *= v;
            setFloat(y + at, (float) (c.op() == ReduceOp.SUM ? sum : product));
            at += step;
        }
    }
}
