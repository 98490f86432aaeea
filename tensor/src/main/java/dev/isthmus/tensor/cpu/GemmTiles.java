package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * The innermost loops of the matrix product: a few rows of A times two vectors of a panel's columns, over one block of K.
 *
 * <p>Each element is {@code (sum + p) + q}, the sum a chain of fused multiply-adds in order of k from zero. {@code p} and {@code
 * q} are what came before, a bias, the old value, or {@link Panels#NOTHING}; their row strides may be 0. Strides are bytes.
 *
 * <p>Sixteen accumulators are the most that the C1 compiler can take; with more it may leave a method boxing its vectors.
 */
final class GemmTiles {
    /** The rows of the large tile. AVX2 has 16 registers and takes 6 x 2 vectors; AVX-512 and NEON have 32. */
    static final int HEIGHT = Simd.LANES == 8 ? 6 : 8;

    /** The columns of a tile. */
    static final int WIDTH = 2 * Simd.LANES;

    /** The rows of the small tile. */
    static final int SMALL = 4;

    private static final long ROW = Panels.ROW_BYTES;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private GemmTiles() {}

    /** {@value #SMALL} rows, or {@link #HEIGHT}. */
    static void tile(int height, int k, long a, long lda, long b, long d, long ldd) {
        if (height == SMALL) {
            tile4(k, a, lda, b, d, ldd);
        } else if (HEIGHT == 6) {
            tile6(k, a, lda, b, d, ldd);
        } else {
            tile8(k, a, lda, b, d, ldd);
        }
    }

    private static void tile8(int k, long a, long lda, long b, long d, long ldd) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        long a6 = a5 + lda;
        long a7 = a6 + lda;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        FloatVector c40 = zero, c41 = zero, c50 = zero, c51 = zero, c60 = zero, c61 = zero, c70 = zero, c71 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b + i * ROW);
            FloatVector b1 = load(b + i * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + i * 4L));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + i * 4L));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + i * 4L));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + i * 4L));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + i * 4L));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + i * 4L));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a6 + i * 4L));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a7 + i * 4L));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
        }
        c00.intoMemorySegment(MEM, d, ORDER);
        c01.intoMemorySegment(MEM, d + BYTES, ORDER);
        c10.intoMemorySegment(MEM, d + ldd, ORDER);
        c11.intoMemorySegment(MEM, d + ldd + BYTES, ORDER);
        c20.intoMemorySegment(MEM, d + 2 * ldd, ORDER);
        c21.intoMemorySegment(MEM, d + 2 * ldd + BYTES, ORDER);
        c30.intoMemorySegment(MEM, d + 3 * ldd, ORDER);
        c31.intoMemorySegment(MEM, d + 3 * ldd + BYTES, ORDER);
        c40.intoMemorySegment(MEM, d + 4 * ldd, ORDER);
        c41.intoMemorySegment(MEM, d + 4 * ldd + BYTES, ORDER);
        c50.intoMemorySegment(MEM, d + 5 * ldd, ORDER);
        c51.intoMemorySegment(MEM, d + 5 * ldd + BYTES, ORDER);
        c60.intoMemorySegment(MEM, d + 6 * ldd, ORDER);
        c61.intoMemorySegment(MEM, d + 6 * ldd + BYTES, ORDER);
        c70.intoMemorySegment(MEM, d + 7 * ldd, ORDER);
        c71.intoMemorySegment(MEM, d + 7 * ldd + BYTES, ORDER);
    }

    private static void tile6(int k, long a, long lda, long b, long d, long ldd) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero;
        FloatVector c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b + i * ROW);
            FloatVector b1 = load(b + i * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + i * 4L));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + i * 4L));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + i * 4L));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + i * 4L));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + i * 4L));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + i * 4L));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        c00.intoMemorySegment(MEM, d, ORDER);
        c01.intoMemorySegment(MEM, d + BYTES, ORDER);
        c10.intoMemorySegment(MEM, d + ldd, ORDER);
        c11.intoMemorySegment(MEM, d + ldd + BYTES, ORDER);
        c20.intoMemorySegment(MEM, d + 2 * ldd, ORDER);
        c21.intoMemorySegment(MEM, d + 2 * ldd + BYTES, ORDER);
        c30.intoMemorySegment(MEM, d + 3 * ldd, ORDER);
        c31.intoMemorySegment(MEM, d + 3 * ldd + BYTES, ORDER);
        c40.intoMemorySegment(MEM, d + 4 * ldd, ORDER);
        c41.intoMemorySegment(MEM, d + 4 * ldd + BYTES, ORDER);
        c50.intoMemorySegment(MEM, d + 5 * ldd, ORDER);
        c51.intoMemorySegment(MEM, d + 5 * ldd + BYTES, ORDER);
    }

    private static void tile4(int k, long a, long lda, long b, long d, long ldd) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b + i * ROW);
            FloatVector b1 = load(b + i * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + i * 4L));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + i * 4L));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + i * 4L));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + i * 4L));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
        }
        c00.intoMemorySegment(MEM, d, ORDER);
        c01.intoMemorySegment(MEM, d + BYTES, ORDER);
        c10.intoMemorySegment(MEM, d + ldd, ORDER);
        c11.intoMemorySegment(MEM, d + ldd + BYTES, ORDER);
        c20.intoMemorySegment(MEM, d + 2 * ldd, ORDER);
        c21.intoMemorySegment(MEM, d + 2 * ldd + BYTES, ORDER);
        c30.intoMemorySegment(MEM, d + 3 * ldd, ORDER);
        c31.intoMemorySegment(MEM, d + 3 * ldd + BYTES, ORDER);
    }

    /** One row of A times four tiles' columns, at {@code b0} to {@code b3}: the sums alone go to {@code d}, side by side. */
    static void row(int k, long a, long b0, long b1, long b2, long b3, long d) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector c0 = zero, c1 = zero, c2 = zero, c3 = zero, c4 = zero, c5 = zero, c6 = zero, c7 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + i * 4L));
            c0 = x.fma(load(b0 + i * ROW), c0);
            c1 = x.fma(load(b0 + i * ROW + BYTES), c1);
            c2 = x.fma(load(b1 + i * ROW), c2);
            c3 = x.fma(load(b1 + i * ROW + BYTES), c3);
            c4 = x.fma(load(b2 + i * ROW), c4);
            c5 = x.fma(load(b2 + i * ROW + BYTES), c5);
            c6 = x.fma(load(b3 + i * ROW), c6);
            c7 = x.fma(load(b3 + i * ROW + BYTES), c7);
        }
        c0.intoMemorySegment(MEM, d, ORDER);
        c1.intoMemorySegment(MEM, d + BYTES, ORDER);
        c2.intoMemorySegment(MEM, d + 2L * BYTES, ORDER);
        c3.intoMemorySegment(MEM, d + 3L * BYTES, ORDER);
        c4.intoMemorySegment(MEM, d + 4L * BYTES, ORDER);
        c5.intoMemorySegment(MEM, d + 5L * BYTES, ORDER);
        c6.intoMemorySegment(MEM, d + 6L * BYTES, ORDER);
        c7.intoMemorySegment(MEM, d + 7L * BYTES, ORDER);
    }

    /** {@code d = (sums + p) + q} for {@code rows} x {@code cols} of a tile at an edge. */
    static void finish(
            int rows, int cols, long sums, long lds, long p, long ldp, long q, long ldq, long d, long ldd) {
        int whole = F.loopBound(cols);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < whole; j += Simd.LANES) {
                long o = j * 4L;
                store(load(sums + i * lds + o).add(load(p + i * ldp + o)).add(load(q + i * ldq + o)), d + i * ldd + o);
            }
            for (int j = whole; j < cols; j++) {
                long o = j * 4L;
                Simd.setFloat(
                        d + i * ldd + o,
                        (Simd.getFloat(sums + i * lds + o) + Simd.getFloat(p + i * ldp + o))
                                + Simd.getFloat(q + i * ldq + o));
            }
        }
    }

    /** {@code c = d + c}. */
    static void add(int rows, int cols, long d, long ldd, long c, long ldc) {
        int whole = F.loopBound(cols);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < whole; j += Simd.LANES) {
                long o = i * ldc + j * 4L;
                store(load(d + i * ldd + j * 4L).add(load(c + o)), c + o);
            }
            for (int j = whole; j < cols; j++) {
                long o = i * ldc + j * 4L;
                Simd.setFloat(c + o, Simd.getFloat(d + i * ldd + j * 4L) + Simd.getFloat(c + o));
            }
        }
    }
}
