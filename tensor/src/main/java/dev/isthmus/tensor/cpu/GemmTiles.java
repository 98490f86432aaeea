package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.repeat;
import static dev.isthmus.tensor.cpu.Simd.store;

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

    private GemmTiles() {}

    /** {@value #SMALL} rows, or {@link #HEIGHT}. */
    static void tile(
            int height, int k, long a, long lda, long b, long p, long ldp, long q, long ldq, long d, long ldd) {
        if (height == SMALL) {
            tile4(k, a, lda, b, p, ldp, q, ldq, d, ldd);
        } else if (HEIGHT == 6) {
            tile6(k, a, lda, b, p, ldp, q, ldq, d, ldd);
        } else {
            tile8(k, a, lda, b, p, ldp, q, ldq, d, ldd);
        }
    }

    private static void put(FloatVector lo, FloatVector hi, long p, long q, long d) {
        store(lo.add(load(p)).add(load(q)), d);
        store(hi.add(load(p + BYTES)).add(load(q + BYTES)), d + BYTES);
    }

    private static void tile8(int k, long a, long lda, long b, long p, long ldp, long q, long ldq, long d, long ldd) {
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
            FloatVector x = repeat(a + i * 4L);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a1 + i * 4L);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a2 + i * 4L);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a3 + i * 4L);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = repeat(a4 + i * 4L);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = repeat(a5 + i * 4L);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = repeat(a6 + i * 4L);
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = repeat(a7 + i * 4L);
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
        }
        put(c00, c01, p, q, d);
        put(c10, c11, p + ldp, q + ldq, d + ldd);
        put(c20, c21, p + 2 * ldp, q + 2 * ldq, d + 2 * ldd);
        put(c30, c31, p + 3 * ldp, q + 3 * ldq, d + 3 * ldd);
        put(c40, c41, p + 4 * ldp, q + 4 * ldq, d + 4 * ldd);
        put(c50, c51, p + 5 * ldp, q + 5 * ldq, d + 5 * ldd);
        put(c60, c61, p + 6 * ldp, q + 6 * ldq, d + 6 * ldd);
        put(c70, c71, p + 7 * ldp, q + 7 * ldq, d + 7 * ldd);
    }

    private static void tile6(int k, long a, long lda, long b, long p, long ldp, long q, long ldq, long d, long ldd) {
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
            FloatVector x = repeat(a + i * 4L);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a1 + i * 4L);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a2 + i * 4L);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a3 + i * 4L);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = repeat(a4 + i * 4L);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = repeat(a5 + i * 4L);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        put(c00, c01, p, q, d);
        put(c10, c11, p + ldp, q + ldq, d + ldd);
        put(c20, c21, p + 2 * ldp, q + 2 * ldq, d + 2 * ldd);
        put(c30, c31, p + 3 * ldp, q + 3 * ldq, d + 3 * ldd);
        put(c40, c41, p + 4 * ldp, q + 4 * ldq, d + 4 * ldd);
        put(c50, c51, p + 5 * ldp, q + 5 * ldq, d + 5 * ldd);
    }

    private static void tile4(int k, long a, long lda, long b, long p, long ldp, long q, long ldq, long d, long ldd) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b + i * ROW);
            FloatVector b1 = load(b + i * ROW + BYTES);
            FloatVector x = repeat(a + i * 4L);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a1 + i * 4L);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a2 + i * 4L);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a3 + i * 4L);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
        }
        put(c00, c01, p, q, d);
        put(c10, c11, p + ldp, q + ldq, d + ldd);
        put(c20, c21, p + 2 * ldp, q + 2 * ldq, d + 2 * ldd);
        put(c30, c31, p + 3 * ldp, q + 3 * ldq, d + 3 * ldd);
    }

    /** One row of A times four tiles' columns, at {@code b0} to {@code b3}: the sums alone go to {@code d}, side by side. */
    static void row(int k, long a, long b0, long b1, long b2, long b3, long d) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector c0 = zero, c1 = zero, c2 = zero, c3 = zero, c4 = zero, c5 = zero, c6 = zero, c7 = zero;
        for (int i = 0; i < k; i++) {
            FloatVector x = repeat(a + i * 4L);
            c0 = x.fma(load(b0 + i * ROW), c0);
            c1 = x.fma(load(b0 + i * ROW + BYTES), c1);
            c2 = x.fma(load(b1 + i * ROW), c2);
            c3 = x.fma(load(b1 + i * ROW + BYTES), c3);
            c4 = x.fma(load(b2 + i * ROW), c4);
            c5 = x.fma(load(b2 + i * ROW + BYTES), c5);
            c6 = x.fma(load(b3 + i * ROW), c6);
            c7 = x.fma(load(b3 + i * ROW + BYTES), c7);
        }
        store(c0, d);
        store(c1, d + BYTES);
        store(c2, d + 2L * BYTES);
        store(c3, d + 3L * BYTES);
        store(c4, d + 4L * BYTES);
        store(c5, d + 5L * BYTES);
        store(c6, d + 6L * BYTES);
        store(c7, d + 7L * BYTES);
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
