package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

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
    /** The columns of a panel of B. */
    static final int WIDTH = PackMatrix.PANEL;

    /** From one row of a panel of B to the next. */
    static final long ROW_BYTES = WIDTH * 4L;

    /** From one row to the next in what {@link #turn} writes. */
    static final long TURNED_ROW_BYTES = 32;

    /** 64 negative zeros, the number that changes nothing when added: a row of a panel, or four vectors. */
    static final long NOTHING = nothing();

    // Transposing 4 x 4 at a time needs no more than 128 bits and four registers.
    private static final VectorSpecies<Float> F4 = FloatVector.SPECIES_128;
    private static final VectorShuffle<Float> SWAP_PAIRS = VectorShuffle.fromValues(F4, 2, 3, 0, 1);
    private static final VectorShuffle<Float> SWAP_NEIGHBORS = VectorShuffle.fromValues(F4, 1, 0, 3, 2);
    private static final VectorMask<Float> SECOND_PAIR = VectorMask.fromValues(F4, false, false, true, true);
    private static final VectorMask<Float> ODD = VectorMask.fromValues(F4, false, true, false, true);

    private static final int COLUMNS = WIDTH - 1;

    private static final VectorSpecies<Float> F8 = FloatVector.SPECIES_256;

    private Panels() {}

    private static long nothing() {
        MemorySegment row = Arena.global().allocate(256, 64);
        for (int i = 0; i < 64; i++) {
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
        if (cols == WIDTH) {
            if (transposed) {
                transpose(WIDTH, k, b, ldb, panel, ROW_BYTES);
            } else {
                packRows(k, 1, b, ldb, panel, 0);
            }
        } else {
            packEdge(k, cols, b, transposed ? 4 : ldb, transposed ? ldb : 4, panel);
        }
    }

    private static void packEdge(int k, int cols, long b, long nextRow, long nextCol, long panel) {
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < WIDTH; j++) {
                setFloat(panel + i * ROW_BYTES + j * 4L, j < cols ? getFloat(b + i * nextRow + j * nextCol) : 0);
            }
        }
    }

    /**
     * Packs rows {@code 0} to {@code k - 1} of whole panels of {@code B[K, N]}.
     *
     * <p>Row by row over all panels: memory is read in order, as the prefetchers of processors expect.
     */
    static void packRows(int k, int panels, long b, long ldb, long to, long panelStride) {
        for (int i = 0; i < k; i++) {
            packRow(panels, b + i * ldb, to + i * ROW_BYTES, panelStride);
        }
    }

    private static void packRow(int panels, long from, long to, long panelStride) {
        for (int i = 0; i < panels; i++) {
            from &= ADDRESS;
            to &= ADDRESS;
            for (int j = 0; j < WIDTH; j += LANES) {
                store(load(from + (j & COLUMNS) * 4L), to + (j & COLUMNS) * 4L);
            }
            from += ROW_BYTES;
            to += panelStride;
        }
    }

    /** {@code to[rows, cols] = from[rows, cols]}. */
    static void copy(int rows, int cols, long from, long ldFrom, long to, long ldTo) {
        for (int i = 0; i < rows; i++) {
            copyRow(cols, from + i * ldFrom, to + i * ldTo);
        }
    }

    private static void copyRow(int cols, long from, long to) {
        from &= ADDRESS;
        to &= ADDRESS;
        int j = 0;
        for (; j <= cols - LANES; j += LANES) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            store(load(from + o), to + o);
        }
        for (; j <= cols - 4; j += 4) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            store4(load4(from + o), to + o);
        }
        // Not a loop: the compiler would prepare to vectorize it, which takes longer than three numbers.
        if (j < cols) {
            setFloat(to + j * 4L, getFloat(from + j * 4L));
        }
        if (j + 1 < cols) {
            setFloat(to + j * 4L + 4, getFloat(from + j * 4L + 4));
        }
        if (j + 2 < cols) {
            setFloat(to + j * 4L + 8, getFloat(from + j * 4L + 8));
        }
    }

    /** {@code to[cols, rows] = from[rows, cols]} transposed. */
    static void transpose(int rows, int cols, long from, long ldFrom, long to, long ldTo) {
        int wholeRows = rows & -4;
        int wholeCols = cols & -4;
        for (int i = 0; i < wholeRows; i += 4) {
            transpose4(wholeCols, from + i * ldFrom, ldFrom, to + i * 4L, ldTo);
        }
        if (wholeCols < cols) {
            transpose1(wholeRows, wholeCols, cols, from, ldFrom, to, ldTo);
        }
        if (wholeRows < rows) {
            transpose1(rows - wholeRows, 0, cols, from + wholeRows * ldFrom, ldFrom, to + wholeRows * 4L, ldTo);
        }
    }

    private static void transpose1(int rows, int firstCol, int cols, long from, long ldFrom, long to, long ldTo) {
        for (int i = 0; i < rows; i++) {
            for (int j = firstCol; j < cols; j++) {
                setFloat(to + j * ldTo + i * 4L, getFloat(from + i * ldFrom + j * 4L));
            }
        }
    }

    // Spelled out: where this is inlined into a large method, helpers would be calls that box their vectors.
    private static void transpose4(int cols, long from, long ldFrom, long to, long ldTo) {
        from &= ADDRESS;
        long from1 = from + ldFrom & ADDRESS;
        long from2 = from1 + ldFrom & ADDRESS;
        long from3 = from2 + ldFrom & ADDRESS;
        long t0 = to & ADDRESS;
        for (int j = 0; j < cols; j += 4) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            long t1 = t0 + ldTo & ADDRESS;
            long t2 = t1 + ldTo & ADDRESS;
            long t3 = t2 + ldTo & ADDRESS;
            FloatVector r0 = fromMemorySegment(F4, MEM, from + o, ORDER);
            FloatVector r1 = fromMemorySegment(F4, MEM, from1 + o, ORDER);
            FloatVector r2 = fromMemorySegment(F4, MEM, from2 + o, ORDER);
            FloatVector r3 = fromMemorySegment(F4, MEM, from3 + o, ORDER);
            FloatVector s0 = r0.blend(r2.rearrange(SWAP_PAIRS), SECOND_PAIR);
            FloatVector s2 = r0.rearrange(SWAP_PAIRS).blend(r2, SECOND_PAIR);
            FloatVector s1 = r1.blend(r3.rearrange(SWAP_PAIRS), SECOND_PAIR);
            FloatVector s3 = r1.rearrange(SWAP_PAIRS).blend(r3, SECOND_PAIR);
            s0.blend(s1.rearrange(SWAP_NEIGHBORS), ODD).intoMemorySegment(MEM, t0, ORDER);
            s0.rearrange(SWAP_NEIGHBORS).blend(s1, ODD).intoMemorySegment(MEM, t1, ORDER);
            s2.blend(s3.rearrange(SWAP_NEIGHBORS), ODD).intoMemorySegment(MEM, t2, ORDER);
            s2.rearrange(SWAP_NEIGHBORS).blend(s3, ODD).intoMemorySegment(MEM, t3, ORDER);
            t0 = t3 + ldTo & ADDRESS;
        }
    }

    private static FloatVector load4(long address) {
        return FloatVector.fromMemorySegment(F4, MEM, address, ORDER);
    }

    private static void store4(FloatVector v, long address) {
        v.intoMemorySegment(MEM, address, ORDER);
    }

    /** The bytes from one tile to the next of what {@link #turn} writes; the odd line spreads tiles over the cache's sets. */
    static long turnedStride(int k) {
        return k * TURNED_ROW_BYTES + 64;
    }

    /** Takes {@code A[M, K]} stored {@code [K, M]} apart into whole tiles of rows, {@code [K, 8]} each. */
    static void turn(int k, int tiles, long a, long lda, long to) {
        long stride = turnedStride(k);
        int whole = LANES == 16 ? k & -4 : 0;
        for (int i = 0; i < whole; i += 4) {
            turnRows(tiles, a + i * lda, lda, to + i * TURNED_ROW_BYTES, stride);
        }
        for (int i = whole; i < k; i++) {
            turnRow(tiles, a + i * lda, to + i * TURNED_ROW_BYTES, stride);
        }
    }

    /** Four rows at once, so that lines of the cache that are written are written whole. */
    private static void turnRows(int tiles, long from, long ld, long to, long stride) {
        for (int t = 0; t < tiles; t++) {
            from &= ADDRESS;
            to &= ADDRESS;
            long from1 = from + ld & ADDRESS;
            long from2 = from1 + ld & ADDRESS;
            long from3 = from2 + ld & ADDRESS;
            FloatVector.fromMemorySegment(F8, MEM, from, ORDER).intoMemorySegment(MEM, to, ORDER);
            FloatVector.fromMemorySegment(F8, MEM, from1, ORDER).intoMemorySegment(MEM, to + TURNED_ROW_BYTES, ORDER);
            FloatVector.fromMemorySegment(F8, MEM, from2, ORDER)
                    .intoMemorySegment(MEM, to + 2 * TURNED_ROW_BYTES, ORDER);
            FloatVector.fromMemorySegment(F8, MEM, from3, ORDER)
                    .intoMemorySegment(MEM, to + 3 * TURNED_ROW_BYTES, ORDER);
            from += GemmTiles.HEIGHT * 4L;
            to += stride;
        }
    }

    private static void turnRow(int tiles, long from, long to, long stride) {
        for (int t = 0; t < tiles; t++) {
            from &= ADDRESS;
            to &= ADDRESS;
            if (LANES == 16) {
                FloatVector.fromMemorySegment(F8, MEM, from, ORDER).intoMemorySegment(MEM, to, ORDER);
            } else {
                store4(load4(from), to);
                if (GemmTiles.HEIGHT == 8) {
                    store4(load4(from + 16), to + 16);
                } else {
                    setFloat(to + 16, getFloat(from + 16));
                    setFloat(to + 20, getFloat(from + 20));
                }
            }
            from += GemmTiles.HEIGHT * 4L;
            to += stride;
        }
    }

    /** The {@code rows} last rows, fewer than a tile: what stands in the missing ones is not used. */
    static void turnEdge(int k, int rows, long a, long lda, long to) {
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < rows; j++) {
                setFloat(to + i * TURNED_ROW_BYTES + j * 4L, getFloat(a + i * lda + j * 4L));
            }
        }
    }

    /** {@code d += q}, row by row, for whole vectors. */
    static void add(int rows, int cols, long d, long ldd, long q, long ldq) {
        for (int i = 0; i < rows; i++) {
            addRow(cols, d + i * ldd, q + i * ldq);
        }
    }

    private static void addRow(int cols, long d, long q) {
        d &= ADDRESS;
        q &= ADDRESS;
        for (int j = 0; j <= cols - LANES; j += LANES) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            store(load(d + o).add(load(q + o)), d + o);
        }
    }

    /** {@code d = (sums + p) + q}, row by row, for the part of a tile that is stored. */
    static void finish(int rows, int cols, long sums, long lds, long p, long ldp, long q, long ldq, long d, long ldd) {
        for (int i = 0; i < rows; i++) {
            finishRow(cols, sums + i * lds, p + i * ldp, q + i * ldq, d + i * ldd);
        }
    }

    private static void finishRow(int cols, long sums, long p, long q, long d) {
        sums &= ADDRESS;
        p &= ADDRESS;
        q &= ADDRESS;
        d &= ADDRESS;
        int j = 0;
        for (; j <= cols - LANES; j += LANES) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            store(load(sums + o).add(load(p + o)).add(load(q + o)), d + o);
        }
        for (; j <= cols - 4; j += 4) {
            long o = (j & Integer.MAX_VALUE) * 4L;
            store4(load4(sums + o).add(load4(p + o)).add(load4(q + o)), d + o);
        }
        if (j < cols) {
            finishOne(j * 4L, sums, p, q, d);
        }
        if (j + 1 < cols) {
            finishOne(j * 4L + 4, sums, p, q, d);
        }
        if (j + 2 < cols) {
            finishOne(j * 4L + 8, sums, p, q, d);
        }
    }

    private static void finishOne(long o, long sums, long p, long q, long d) {
        setFloat(d + o, (getFloat(sums + o) + getFloat(p + o)) + getFloat(q + o));
    }
}
