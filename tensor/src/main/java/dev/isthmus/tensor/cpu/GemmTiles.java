package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;

import dev.isthmus.tensor.KernelCall.MatMul;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * The innermost loops of the matrix product: a few rows of A times two vectors of a panel's columns, over one block of K.
 *
 * <p>Each element is a chain of fused multiply-adds in order of k from zero; to it a tile adds {@code p}: what came before, a
 * bias, or {@link Panels#NOTHING}, whose row strides are 0. Strides are bytes.
 *
 * <p>Sixteen accumulators are the most that the C1 compiler can take, and their last lines call the Vector API itself: see
 * {@link Simd}. Each loop is too large to be unrolled, which matters: unrolled, the reads of A would be vectorized in pairs, at
 * a third of the speed.
 */
final class GemmTiles {
    /** The rows of a tile. AVX2 has 16 registers and takes 6 x 2 vectors; AVX-512 and NEON have 32. */
    static final int HEIGHT = Simd.LANES == 8 ? 6 : 8;

    /** The columns of a tile. */
    static final int WIDTH = 2 * Simd.LANES;

    private static final long ROW = Panels.ROW_BYTES;
    private static final long TURNED_ROW = Panels.TURNED_ROW_BYTES;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Covers every step of K, of which there are at most {@link MatMul#K_BLOCK}. */
    private static final int DEPTHS = 0xFFFF;

    private GemmTiles() {}

    /** {@link #HEIGHT} rows of A. */
    static void tile(int k, long a, long lda, long b, long p, long ldp, long d, long ldd) {
        if (HEIGHT == 6) {
            tile6(k, a, lda, b, p, ldp, d, ldd);
        } else {
            tile8(k, a, lda, b, p, ldp, d, ldd);
        }
    }

    /** {@link #HEIGHT} rows of A as {@link Panels#turn} writes them. */
    static void turnedTile(int k, long a, long b, long p, long ldp, long d, long ldd) {
        if (HEIGHT == 6) {
            turnedTile6(k, a, b, p, ldp, d, ldd);
        } else {
            turnedTile8(k, a, b, p, ldp, d, ldd);
        }
    }

    private static void tile8(int k, long a, long lda, long b, long p, long ldp, long d, long ldd) {
        a &= ADDRESS;
        b &= ADDRESS;
        long a1 = a + lda & ADDRESS;
        long a2 = a1 + lda & ADDRESS;
        long a3 = a2 + lda & ADDRESS;
        long a4 = a3 + lda & ADDRESS;
        long a5 = a4 + lda & ADDRESS;
        long a6 = a5 + lda & ADDRESS;
        long a7 = a6 + lda & ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        FloatVector c40 = zero, c41 = zero, c50 = zero, c51 = zero, c60 = zero, c61 = zero, c70 = zero, c71 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector b0 = load(b + o * ROW);
            FloatVector b1 = load(b + o * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + o * 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + o * 4));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + o * 4));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + o * 4));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + o * 4));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a6 + o * 4));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a7 + o * 4));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
        }
        p &= ADDRESS;
        d &= ADDRESS;
        c00.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c01.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c10.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c11.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c20.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c21.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c30.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c31.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c40.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c41.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c50.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c51.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c60.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c61.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c70.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c71.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
    }

    private static void turnedTile8(int k, long a, long b, long p, long ldp, long d, long ldd) {
        a &= ADDRESS;
        b &= ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        FloatVector c40 = zero, c41 = zero, c50 = zero, c51 = zero, c60 = zero, c61 = zero, c70 = zero, c71 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector b0 = load(b + o * ROW);
            FloatVector b1 = load(b + o * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 20));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 24));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 28));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
        }
        p &= ADDRESS;
        d &= ADDRESS;
        c00.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c01.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c10.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c11.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c20.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c21.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c30.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c31.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c40.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c41.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c50.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c51.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c60.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c61.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c70.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c71.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
    }

    private static void tile6(int k, long a, long lda, long b, long p, long ldp, long d, long ldd) {
        a &= ADDRESS;
        b &= ADDRESS;
        long a1 = a + lda & ADDRESS;
        long a2 = a1 + lda & ADDRESS;
        long a3 = a2 + lda & ADDRESS;
        long a4 = a3 + lda & ADDRESS;
        long a5 = a4 + lda & ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero;
        FloatVector c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector b0 = load(b + o * ROW);
            FloatVector b1 = load(b + o * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + o * 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + o * 4));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + o * 4));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + o * 4));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + o * 4));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        p &= ADDRESS;
        d &= ADDRESS;
        c00.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c01.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c10.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c11.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c20.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c21.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c30.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c31.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c40.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c41.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c50.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c51.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
    }

    private static void turnedTile6(int k, long a, long b, long p, long ldp, long d, long ldd) {
        a &= ADDRESS;
        b &= ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero;
        FloatVector c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector b0 = load(b + o * ROW);
            FloatVector b1 = load(b + o * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * TURNED_ROW + 20));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        p &= ADDRESS;
        d &= ADDRESS;
        c00.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c01.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c10.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c11.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c20.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c21.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c30.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c31.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c40.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c41.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
        p = p + ldp & ADDRESS;
        d = d + ldd & ADDRESS;
        c50.add(FloatVector.fromMemorySegment(F, MEM, p, ORDER)).intoMemorySegment(MEM, d, ORDER);
        c51.add(FloatVector.fromMemorySegment(F, MEM, p + BYTES, ORDER)).intoMemorySegment(MEM, d + BYTES, ORDER);
    }

    /** Four rows of A times two tiles' columns, at {@code b0} and {@code b1}; the sums go to {@code d}, a row of both after another. */
    static void fourRows(int k, long a, long a1, long a2, long a3, long b0, long b1, long d) {
        a &= ADDRESS;
        a1 &= ADDRESS;
        a2 &= ADDRESS;
        a3 &= ADDRESS;
        b0 &= ADDRESS;
        b1 &= ADDRESS;
        d &= ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c00 = zero, c01 = zero, c02 = zero, c03 = zero, c10 = zero, c11 = zero, c12 = zero, c13 = zero;
        FloatVector c20 = zero, c21 = zero, c22 = zero, c23 = zero, c30 = zero, c31 = zero, c32 = zero, c33 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector v0 = load(b0 + o * ROW);
            FloatVector v1 = load(b0 + o * ROW + BYTES);
            FloatVector v2 = load(b1 + o * ROW);
            FloatVector v3 = load(b1 + o * ROW + BYTES);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c00 = x.fma(v0, c00);
            c01 = x.fma(v1, c01);
            c02 = x.fma(v2, c02);
            c03 = x.fma(v3, c03);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + o * 4));
            c10 = x.fma(v0, c10);
            c11 = x.fma(v1, c11);
            c12 = x.fma(v2, c12);
            c13 = x.fma(v3, c13);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + o * 4));
            c20 = x.fma(v0, c20);
            c21 = x.fma(v1, c21);
            c22 = x.fma(v2, c22);
            c23 = x.fma(v3, c23);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + o * 4));
            c30 = x.fma(v0, c30);
            c31 = x.fma(v1, c31);
            c32 = x.fma(v2, c32);
            c33 = x.fma(v3, c33);
        }
        c00.intoMemorySegment(MEM, d, ORDER);
        c01.intoMemorySegment(MEM, d + BYTES, ORDER);
        c02.intoMemorySegment(MEM, d + 2L * BYTES, ORDER);
        c03.intoMemorySegment(MEM, d + 3L * BYTES, ORDER);
        c10.intoMemorySegment(MEM, d + 4L * BYTES, ORDER);
        c11.intoMemorySegment(MEM, d + 5L * BYTES, ORDER);
        c12.intoMemorySegment(MEM, d + 6L * BYTES, ORDER);
        c13.intoMemorySegment(MEM, d + 7L * BYTES, ORDER);
        c20.intoMemorySegment(MEM, d + 8L * BYTES, ORDER);
        c21.intoMemorySegment(MEM, d + 9L * BYTES, ORDER);
        c22.intoMemorySegment(MEM, d + 10L * BYTES, ORDER);
        c23.intoMemorySegment(MEM, d + 11L * BYTES, ORDER);
        c30.intoMemorySegment(MEM, d + 12L * BYTES, ORDER);
        c31.intoMemorySegment(MEM, d + 13L * BYTES, ORDER);
        c32.intoMemorySegment(MEM, d + 14L * BYTES, ORDER);
        c33.intoMemorySegment(MEM, d + 15L * BYTES, ORDER);
    }

    /** One row of A times four tiles' columns, at {@code b0} to {@code b3}; the sums go to {@code d}, side by side. */
    static void oneRow(int k, long a, long b0, long b1, long b2, long b3, long d) {
        a &= ADDRESS;
        b0 &= ADDRESS;
        b1 &= ADDRESS;
        b2 &= ADDRESS;
        b3 &= ADDRESS;
        d &= ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        FloatVector c0 = zero, c1 = zero, c2 = zero, c3 = zero, c4 = zero, c5 = zero, c6 = zero, c7 = zero;
        for (int i = 0; i < k; i++) {
            long o = i & DEPTHS;
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c0 = x.fma(load(b0 + o * ROW), c0);
            c1 = x.fma(load(b0 + o * ROW + BYTES), c1);
            c2 = x.fma(load(b1 + o * ROW), c2);
            c3 = x.fma(load(b1 + o * ROW + BYTES), c3);
            c4 = x.fma(load(b2 + o * ROW), c4);
            c5 = x.fma(load(b2 + o * ROW + BYTES), c5);
            c6 = x.fma(load(b3 + o * ROW), c6);
            c7 = x.fma(load(b3 + o * ROW + BYTES), c7);
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
}
