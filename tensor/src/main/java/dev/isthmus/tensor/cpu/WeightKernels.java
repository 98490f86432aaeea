package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;

/**
 * Products with stored weights, {@value #GROUP} rows of a weight at a time, in chunks of {@value #CHUNK} columns.
 *
 * <p>A single row of A meets the weights as they are stored, at the speed of memory. For more rows, and where vectors are too
 * narrow, a chunk becomes float32 in scratch memory first. Partial sums stay in memory between chunks, so every path adds in the
 * order that {@link WeightMatMul} promises.
 */
final class WeightKernels {
    /** The rows of a weight that are done together. */
    static final int GROUP = 4;

    private static final int CHUNK = 1024;

    /** The partial sums of an element, in bytes. */
    static final long SUMS = Rows.BYTES;

    private static final int TASK_BYTES = 1 << 17;

    private WeightKernels() {}

    static void matMul(WeightMatMul c) {
        long groups = (c.n() + GROUP - 1) / GROUP;
        long bytes = Math.max(1, GROUP * c.format().rowBytes(c.k()) * c.m());
        int perTask = (int) Math.clamp(TASK_BYTES / bytes, 1, Math.max(1, groups / (4L * WorkerPool.threads())));
        Rows.parallel((int) groups, perTask, (_, from, to) -> {
            for (int group = from; group < to; group++) {
                group(c, group * GROUP);
            }
        });
    }

    static void unpack(UnpackWeight c) {
        int k = c.k();
        int whole = k & -Rows.LANES;
        long row = c.format().rowBytes(k);
        Rows.parallel(c.rows(), Math.max(1, TASK_BYTES / (4 * Math.max(1, k))), (_, from, to) -> {
            for (int i = from; i < to; i++) {
                long w = c.w().address() + ScalarWeight.row(c, i) * row;
                long out = c.out().address() + (long) i * k * 4;
                WeightDots.toFloats(c.format(), whole, w, out);
                for (int x = whole; x < k; x++) {
                    setFloat(out + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w, x));
                }
            }
        });
    }

    /** Columns {@code j} to {@code j + GROUP - 1} of C. */
    private static void group(WeightMatMul c, int j) {
        int k = c.k();
        int whole = k & -Rows.LANES;
        long sums = Scratch.address(Scratch.Use.SUMS, c.m() * GROUP * SUMS);
        AttentionCopies.clear(sums, c.m() * GROUP * SUMS);
        long floats = Scratch.address(Scratch.Use.ROW_A, (GROUP + 1) * CHUNK * 4L);
        long row = c.format().rowBytes(k);
        long w = c.w().address() + j * row;
        // Behind the last row it stands in for those that a group lacks.
        long w1 = c.n() - j > 1 ? w + row : w;
        long w2 = c.n() - j > 2 ? w1 + row : w1;
        long w3 = c.n() - j > 3 ? w2 + row : w2;
        boolean direct = c.m() == 1 && WeightDots.has(c.format());
        for (int i = 0; i < whole; i += CHUNK) {
            int n = Math.min(CHUNK, whole - i);
            long a = c.a().address() + i * 4L;
            long at = c.format().rowBytes(i);
            if (direct) {
                WeightDots.dot(c.format(), n, a, w + at, w1 + at, w2 + at, w3 + at, sums);
            } else if (c.format() == WeightFormat.F32) {
                WeightDots.floats(c.m(), n, a, c.lda() * 4, w + at, w1 + at, w2 + at, w3 + at, sums);
            } else {
                long next = n * 4L;
                WeightDots.toFloats(c.format(), n, w + at, floats);
                WeightDots.toFloats(c.format(), n, w1 + at, floats + next);
                WeightDots.toFloats(c.format(), n, w2 + at, floats + 2 * next);
                WeightDots.toFloats(c.format(), n, w3 + at, floats + 3 * next);
                WeightDots.floats(
                        c.m(), n, a, c.lda() * 4, floats, floats + next, floats + 2 * next, floats + 3 * next, sums);
            }
        }
        if (whole < k) {
            rest(c, whole, w, w1, w2, w3, floats, sums);
        }
        for (int i = 0; i < c.m(); i++) {
            for (int r = 0; r < Math.min(GROUP, c.n() - j); r++) {
                float sum = Rows.fold(sums + (i * GROUP + r) * SUMS);
                float y = c.bias() == null ? sum : sum + getFloat(c.bias().address() + (j + r) * 4L);
                setFloat(c.c().address() + (i * c.ldc() + j + r) * 4, y);
            }
        }
    }

    /** The last columns, fewer than the partial sums, with zeros behind them. */
    private static void rest(WeightMatMul c, int from, long w, long w1, long w2, long w3, long floats, long sums) {
        int n = c.k() - from;
        long next = Rows.BYTES;
        long a = floats + GROUP * next;
        AttentionCopies.clear(floats, (GROUP + 1) * next);
        for (int x = 0; x < n; x++) {
            setFloat(floats + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w, from + x));
            setFloat(floats + next + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w1, from + x));
            setFloat(floats + 2 * next + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w2, from + x));
            setFloat(floats + 3 * next + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w3, from + x));
        }
        for (int i = 0; i < c.m(); i++) {
            Panels.copy(1, n, c.a().address() + (i * c.lda() + from) * 4, 0, a, 0);
            WeightDots.floats(
                    1,
                    Rows.LANES,
                    a,
                    0,
                    floats,
                    floats + next,
                    floats + 2 * next,
                    floats + 3 * next,
                    sums + i * GROUP * SUMS);
        }
    }
}
