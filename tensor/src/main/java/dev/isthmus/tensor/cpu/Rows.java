package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

/**
 * What kernels over rows share: how rows become tasks, and one order of additions for every vector width.
 *
 * <p>The sum of a row is {@value #LANES} partial sums, of the columns that are equal modulo {@value #LANES}, folded in halves. A
 * vector of that many lanes makes them in one go, narrower ones in several, with the same result. ({@code reduceLanes(ADD)}
 * has no fixed order.)
 */
final class Rows {
    /** The partial sums of a row. */
    static final int LANES = 16;

    private static final int TASK_ELEMENTS = 1 << 14;

    private Rows() {}

    /** Work on some rows. */
    interface Range {
        /** Does rows {@code from} to {@code to - 1}. */
        void run(int from, int to);
    }

    /** Runs {@code body} for all rows, several at a time; the split must not change any result. */
    static void parallel(int rows, int cols, Range body) {
        parallel(rows, Math.max(1, TASK_ELEMENTS / Math.max(1, cols)), (_, from, to) -> body.run(from, to));
    }

    /** Work on one chunk of rows. */
    interface Chunk {
        /** Does rows {@code from} to {@code to - 1}, which are chunk {@code index}. */
        void run(int index, int from, int to);
    }

    /** Runs {@code body} for each chunk of {@code size} rows. */
    static void parallel(int rows, int size, Chunk body) {
        WorkerPool.parallel(
                (rows + size - 1) / size, i -> body.run(i, i * size, (int) Math.min(rows, (i + 1L) * size)));
    }

    /** The sum of {@value #LANES} numbers, in halves; overwrites some. */
    static float fold(long sums) {
        for (int w = LANES / 2; w > 0; w /= 2) {
            for (int j = 0; j < w; j++) {
                setFloat(sums + j * 4L, getFloat(sums + j * 4L) + getFloat(sums + (j + w) * 4L));
            }
        }
        return getFloat(sums);
    }
}
