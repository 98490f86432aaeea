package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.PackMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Copies matrices into the order in which the tiles of a product read them. Strides are bytes. */
final class Panels {
    static final int WIDTH = PackMatrix.PANEL;

    /** From one row of a panel to the next. */
    static final long ROW_BYTES = WIDTH * 4L;

    /** A row of negative zeros: the number that changes nothing when added. */
    static final long NOTHING = nothing();

    // A transposition of 4 x 4 blocks is as fast as wider ones, and the same for all widths.
    private static final VectorSpecies<Float> F4 = FloatVector.SPECIES_128;
    private static final VectorShuffle<Float> SWAP_PAIRS = VectorShuffle.fromValues(F4, 2, 3, 0, 1);
    private static final VectorShuffle<Float> SWAP_NEIGHBORS = VectorShuffle.fromValues(F4, 1, 0, 3, 2);
    private static final VectorMask<Float> SECOND_PAIR = VectorMask.fromValues(F4, false, false, true, true);
    private static final VectorMask<Float> ODD = VectorMask.fromValues(F4, false, true, false, true);

    private Panels() {}

    private static long nothing() {
        MemorySegment row = Arena.global().allocate(ROW_BYTES, 64);
        for (int i = 0; i < WIDTH; i++) {
            row.setAtIndex(ValueLayout.JAVA_FLOAT, i, -0.0f);
        }
        return row.address();
    }

    /** The number of panels of {@code n} columns. */
    static int count(int n) {
        return (n + WIDTH - 1) / WIDTH;
    }

    /** Packs rows {@code 0} to {@code k - 1} of {@code cols} columns at {@code b}, stored {@code [K, N]} or transposed. */
    static void pack(boolean transposed, int k, int cols, long b, long ldb, long panel) {
        if (cols < WIDTH) {
            clear(k, panel);
        }
        if (transposed) {
            transpose(cols, k, b, ldb, panel, ROW_BYTES);
        } else {
            copy(k, cols, b, ldb, panel, ROW_BYTES);
        }
    }

    private static void clear(int k, long panel) {
        FloatVector zero = FloatVector.zero(Simd.F);
        for (int i = 0; i < k * (WIDTH / LANES); i++) {
            store(zero, panel + (long) i * BYTES);
        }
    }

    /** {@code to[rows, cols] = from[rows, cols]}. */
    static void copy(int rows, int cols, long from, long ldFrom, long to, long ldTo) {
        int whole = Simd.F.loopBound(cols);
        for (int i = 0; i < rows; i++) {
            long f = from + i * ldFrom;
            long t = to + i * ldTo;
            for (int j = 0; j < whole; j += LANES) {
                store(load(f + j * 4L), t + j * 4L);
            }
            for (int j = whole; j < cols; j++) {
                setFloat(t + j * 4L, getFloat(f + j * 4L));
            }
        }
    }

    /** {@code to[cols, rows] = from[rows, cols]} transposed. */
    static void transpose(int rows, int cols, long from, long ldFrom, long to, long ldTo) {
        int wholeRows = rows & -4;
        int wholeCols = cols & -4;
        for (int i = 0; i < wholeRows; i += 4) {
            transpose4(wholeCols, from + i * ldFrom, ldFrom, to + i * 4L, ldTo);
            transpose1(4, wholeCols, cols, from + i * ldFrom, ldFrom, to + i * 4L, ldTo);
        }
        transpose1(rows - wholeRows, 0, cols, from + wholeRows * ldFrom, ldFrom, to + wholeRows * 4L, ldTo);
    }

    private static void transpose1(int rows, int firstCol, int cols, long from, long ldFrom, long to, long ldTo) {
        for (int i = 0; i < rows; i++) {
            for (int j = firstCol; j < cols; j++) {
                setFloat(to + j * ldTo + i * 4L, getFloat(from + i * ldFrom + j * 4L));
            }
        }
    }

    private static void transpose4(int cols, long from, long ldFrom, long to, long ldTo) {
        long from1 = from + ldFrom;
        long from2 = from1 + ldFrom;
        long from3 = from2 + ldFrom;
        long t = to;
        for (int j = 0; j < cols; j += 4) {
            FloatVector r0 = load4(from + j * 4L);
            FloatVector r1 = load4(from1 + j * 4L);
            FloatVector r2 = load4(from2 + j * 4L);
            FloatVector r3 = load4(from3 + j * 4L);
            FloatVector s0 = r0.blend(r2.rearrange(SWAP_PAIRS), SECOND_PAIR);
            FloatVector s2 = r0.rearrange(SWAP_PAIRS).blend(r2, SECOND_PAIR);
            FloatVector s1 = r1.blend(r3.rearrange(SWAP_PAIRS), SECOND_PAIR);
            FloatVector s3 = r1.rearrange(SWAP_PAIRS).blend(r3, SECOND_PAIR);
            store4(s0.blend(s1.rearrange(SWAP_NEIGHBORS), ODD), t);
            store4(s0.rearrange(SWAP_NEIGHBORS).blend(s1, ODD), t + ldTo);
            store4(s2.blend(s3.rearrange(SWAP_NEIGHBORS), ODD), t + 2 * ldTo);
            store4(s2.rearrange(SWAP_NEIGHBORS).blend(s3, ODD), t + 3 * ldTo);
            t += 4 * ldTo;
        }
    }

    private static FloatVector load4(long address) {
        return FloatVector.fromMemorySegment(F4, MEM, address, ORDER);
    }

    private static void store4(FloatVector v, long address) {
        v.intoMemorySegment(MEM, address, ORDER);
    }
}
