package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

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

    /** The bytes of as many numbers. */
    static final long BYTES = LANES * 4L;

    private static final VectorShuffle<Float> BY_8 = rotation(8);
    private static final VectorShuffle<Float> BY_4 = rotation(4);
    private static final VectorShuffle<Float> BY_2 = rotation(2);
    private static final VectorShuffle<Float> BY_1 = rotation(1);

    /**
     * The numbers of a task, at least and at most: memory is fastest where a thread goes through long stretches of it, and a call
     * is fastest where there are tasks enough to share out.
     */
    private static final int LEAST_ELEMENTS = 1 << 14, MOST_ELEMENTS = 1 << 17;

    /** The tasks of a thread that make the last ones end together. */
    private static final int SHARES = 16;

    private Rows() {}

    /** Work on some rows. */
    interface Range {
        /** Does rows {@code from} to {@code to - 1}. */
        void run(int from, int to);
    }

    /** Runs {@code body} for all rows, several at a time; the split must not change any result. */
    static void parallel(int rows, int cols, Range body) {
        int least = Math.max(1, LEAST_ELEMENTS / Math.max(1, cols));
        int most = Math.max(1, MOST_ELEMENTS / Math.max(1, cols));
        parallel(rows, Math.clamp(share(rows), least, most), (_, from, to) -> body.run(from, to));
    }

    /** The rows of a task where each thread has {@value #SHARES}; may be 0. */
    static int share(int rows) {
        return rows / (SHARES * WorkerPool.threads());
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
        for (int w = LANES / 2; w >= Simd.LANES; w /= 2) {
            for (int j = 0; j < w; j += Simd.LANES) {
                fromMemorySegment(F, MEM, sums + j * 4L, ORDER)
                        .add(fromMemorySegment(F, MEM, sums + (j + w) * 4L, ORDER))
                        .intoMemorySegment(MEM, sums + j * 4L, ORDER);
            }
        }
        FloatVector v = fromMemorySegment(F, MEM, sums, ORDER);
        if (Simd.LANES >= 16) {
            v = v.add(v.rearrange(BY_8));
        }
        if (Simd.LANES >= 8) {
            v = v.add(v.rearrange(BY_4));
        }
        v = v.add(v.rearrange(BY_2));
        return v.add(v.rearrange(BY_1)).lane(0);
    }

    private static VectorShuffle<Float> rotation(int by) {
        return VectorShuffle.fromOp(F, lane -> (lane + by) % Simd.LANES);
    }
}
