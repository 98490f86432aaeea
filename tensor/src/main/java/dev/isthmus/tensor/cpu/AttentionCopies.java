package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.AttentionKernels.BLOCK;
import static dev.isthmus.tensor.cpu.AttentionTiles.HEIGHT;
import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Moves heads between the matrices of a call and scratch memory that is padded to whole tiles.
 *
 * <p>Loops run down a column of vectors, which is long where a row of a head is short. Strides are bytes.
 */
final class AttentionCopies {
    /** The bytes of a vector. */
    private static final long VECTOR = BYTES & STRIDE;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private AttentionCopies() {}

    static int roundUp(int n, int multiple) {
        return (n + multiple - 1) / multiple * multiple;
    }

    /** Copies {@code [rows, d]} to rows of whole blocks of columns and whole tiles of rows, zeros behind. */
    static void pack(int rows, int d, long from, long ldFrom, long to, long ldTo) {
        int x = 0;
        for (; x + 2 * LANES <= d; x += 2 * LANES) {
            copyTwo(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo);
        }
        for (; x < roundUp(d, BLOCK); x += LANES) {
            if (x + LANES <= d) {
                copy(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo);
            } else {
                copyFirst(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo, F.indexInRange(x, d));
            }
        }
        clear(to + rows * ldTo, (roundUp(rows, HEIGHT) - rows) * ldTo);
    }

    /** The same, with each row multiplied by its number of {@code factors [rows]}. */
    static void packScaled(int rows, int d, long from, long ldFrom, long factors, long to, long ldTo) {
        for (int x = 0; x < roundUp(d, BLOCK); x += LANES) {
            if (x + LANES <= d) {
                scale(rows, from + x * 4L, ldFrom, factors, to + x * 4L, ldTo);
            } else {
                copyFirst(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo, F.indexInRange(x, d));
                scale(rows, to + x * 4L, ldTo, factors, to + x * 4L, ldTo);
            }
        }
        clear(to + rows * ldTo, (roundUp(rows, HEIGHT) - rows) * ldTo);
    }

    /** Copies {@code [rows, d]} to {@code [d, BLOCK]}, zeros behind. */
    static void transpose(int rows, int d, long from, long ldFrom, long to) {
        if (rows < BLOCK) {
            clear(to, d * BLOCK * 4L);
        }
        Panels.transpose(rows, d, from, ldFrom, to, BLOCK * 4L);
    }

    /** Copies {@code [rows, d]} from scratch memory. */
    static void unpack(int rows, int d, long from, long ldFrom, long to, long ldTo) {
        int x = 0;
        for (; x + 2 * LANES <= d; x += 2 * LANES) {
            copyTwo(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo);
        }
        for (; x < d; x += LANES) {
            if (x + LANES <= d) {
                copy(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo);
            } else {
                storeFirst(rows, from + x * 4L, ldFrom, to + x * 4L, ldTo, F.indexInRange(x, d));
            }
        }
    }

    /** Multiplies each row of {@code [rows, d]} by its number of {@code factors [rows]}. */
    static void scaleRows(int rows, int d, long factors, long x, long ld) {
        int vectors = (d + LANES - 1) / LANES;
        for (int r = 0; r < rows; r++) {
            FloatVector factor = FloatVector.broadcast(F, MEM.get(FLOAT, factors + r * 4L));
            long row = x + r * ld & ADDRESS;
            for (int j = 0; j < vectors; j++) {
                long at = row + j * VECTOR;
                fromMemorySegment(F, MEM, at, ORDER).mul(factor).intoMemorySegment(MEM, at, ORDER);
            }
        }
    }

    /** Copies {@code rows} numbers that lie {@code step} bytes apart to {@code [BLOCK]}, zeros behind. */
    static void gather(int rows, long from, long step, long to) {
        for (int r = 0; r < BLOCK; r++) {
            MEM.set(FLOAT, to + r * 4L, r < rows ? MEM.get(FLOAT, from + r * step) : 0);
        }
    }

    /** The other way. */
    static void scatter(int rows, long from, long to, long step) {
        for (int r = 0; r < rows; r++) {
            MEM.set(FLOAT, to + r * step, MEM.get(FLOAT, from + r * 4L));
        }
    }

    static void clear(long address, long bytes) {
        FloatVector zero = FloatVector.zero(F);
        address &= ADDRESS;
        int n = (int) (bytes / BYTES);
        for (int i = 0; i < n; i++) {
            zero.intoMemorySegment(MEM, address + i * VECTOR, ORDER);
        }
    }

    private static void copy(int rows, long from, long ldFrom, long to, long ldTo) {
        from &= ADDRESS;
        to &= ADDRESS;
        ldFrom &= STRIDE;
        ldTo &= STRIDE;
        for (int r = 0; r < rows; r++) {
            fromMemorySegment(F, MEM, from + r * ldFrom, ORDER).intoMemorySegment(MEM, to + r * ldTo, ORDER);
        }
    }

    /** Two vectors of each row: with 512 bits a pair of lines of the cache, which come from memory together. */
    private static void copyTwo(int rows, long from, long ldFrom, long to, long ldTo) {
        from &= ADDRESS;
        to &= ADDRESS;
        ldFrom &= STRIDE;
        ldTo &= STRIDE;
        for (int r = 0; r < rows; r++) {
            long f = from + r * ldFrom;
            long t = to + r * ldTo;
            fromMemorySegment(F, MEM, f, ORDER).intoMemorySegment(MEM, t, ORDER);
            fromMemorySegment(F, MEM, f + BYTES, ORDER).intoMemorySegment(MEM, t + BYTES, ORDER);
        }
    }

    /** One vector of each row times the row's factor. */
    private static void scale(int rows, long from, long ldFrom, long factors, long to, long ldTo) {
        from &= ADDRESS;
        to &= ADDRESS;
        factors &= ADDRESS;
        ldFrom &= STRIDE;
        ldTo &= STRIDE;
        for (int r = 0; r < rows; r++) {
            FloatVector factor = FloatVector.broadcast(F, MEM.get(FLOAT, factors + (r & Integer.MAX_VALUE) * 4L));
            fromMemorySegment(F, MEM, from + r * ldFrom, ORDER)
                    .mul(factor)
                    .intoMemorySegment(MEM, to + r * ldTo, ORDER);
        }
    }

    private static void copyFirst(int rows, long from, long ldFrom, long to, long ldTo, VectorMask<Float> lanes) {
        from &= ADDRESS;
        to &= ADDRESS;
        ldFrom &= STRIDE;
        ldTo &= STRIDE;
        for (int r = 0; r < rows; r++) {
            fromMemorySegment(F, MEM, from + r * ldFrom, ORDER, lanes).intoMemorySegment(MEM, to + r * ldTo, ORDER);
        }
    }

    private static void storeFirst(int rows, long from, long ldFrom, long to, long ldTo, VectorMask<Float> lanes) {
        from &= ADDRESS;
        to &= ADDRESS;
        ldFrom &= STRIDE;
        ldTo &= STRIDE;
        for (int r = 0; r < rows; r++) {
            fromMemorySegment(F, MEM, from + r * ldFrom, ORDER).intoMemorySegment(MEM, to + r * ldTo, ORDER, lanes);
        }
    }
}
