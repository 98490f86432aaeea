package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * The products inside attention: eight rows of A times two vectors of B's columns, over all of K in one chain.
 *
 * <p>Unlike the tiles of a matrix product they never split K, since the order of a sum over keys must not depend on where a
 * block begins. Everything lies in scratch memory padded to whole tiles. Strides are bytes.
 *
 * <p>The loads and stores are spelled out because C2 stops inlining helpers in a method of this size, and would box what is
 * passed to them. The Vector API's own methods are exempt, but not in every case the loop's: so nothing large stands before it.
 */
final class AttentionTiles {
    /** The rows of a tile. */
    static final int HEIGHT = 8;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private AttentionTiles() {}

    /** {@code C = scale (A B)}, A stored {@code [HEIGHT, K]}. */
    static void rows(int k, long a, long lda, long b, long ldb, long c, long ldc, float scale) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        long a6 = a5 + lda;
        long a7 = a6 + lda;
        FloatVector c00 = FloatVector.zero(F), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = fromMemorySegment(F, MEM, b, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + BYTES, ORDER);
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
            b += ldb;
        }
        FloatVector s = FloatVector.broadcast(F, scale);
        c00.mul(s).intoMemorySegment(MEM, c, ORDER);
        c01.mul(s).intoMemorySegment(MEM, c + BYTES, ORDER);
        c10.mul(s).intoMemorySegment(MEM, c + ldc, ORDER);
        c11.mul(s).intoMemorySegment(MEM, c + ldc + BYTES, ORDER);
        c20.mul(s).intoMemorySegment(MEM, c + 2 * ldc, ORDER);
        c21.mul(s).intoMemorySegment(MEM, c + 2 * ldc + BYTES, ORDER);
        c30.mul(s).intoMemorySegment(MEM, c + 3 * ldc, ORDER);
        c31.mul(s).intoMemorySegment(MEM, c + 3 * ldc + BYTES, ORDER);
        c40.mul(s).intoMemorySegment(MEM, c + 4 * ldc, ORDER);
        c41.mul(s).intoMemorySegment(MEM, c + 4 * ldc + BYTES, ORDER);
        c50.mul(s).intoMemorySegment(MEM, c + 5 * ldc, ORDER);
        c51.mul(s).intoMemorySegment(MEM, c + 5 * ldc + BYTES, ORDER);
        c60.mul(s).intoMemorySegment(MEM, c + 6 * ldc, ORDER);
        c61.mul(s).intoMemorySegment(MEM, c + 6 * ldc + BYTES, ORDER);
        c70.mul(s).intoMemorySegment(MEM, c + 7 * ldc, ORDER);
        c71.mul(s).intoMemorySegment(MEM, c + 7 * ldc + BYTES, ORDER);
    }

    /** {@code C += A B}, A stored {@code [HEIGHT, K]}. */
    static void addRows(int k, long a, long lda, long b, long ldb, long c, long ldc) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        long a6 = a5 + lda;
        long a7 = a6 + lda;
        FloatVector c00 = FloatVector.zero(F), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = fromMemorySegment(F, MEM, b, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + BYTES, ORDER);
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
            b += ldb;
        }
        fromMemorySegment(F, MEM, c, ORDER).add(c00).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c01).intoMemorySegment(MEM, c + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + ldc, ORDER).add(c10).intoMemorySegment(MEM, c + ldc, ORDER);
        fromMemorySegment(F, MEM, c + ldc + BYTES, ORDER).add(c11).intoMemorySegment(MEM, c + ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 2 * ldc, ORDER).add(c20).intoMemorySegment(MEM, c + 2 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 2 * ldc + BYTES, ORDER).add(c21).intoMemorySegment(MEM, c + 2 * ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 3 * ldc, ORDER).add(c30).intoMemorySegment(MEM, c + 3 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 3 * ldc + BYTES, ORDER).add(c31).intoMemorySegment(MEM, c + 3 * ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 4 * ldc, ORDER).add(c40).intoMemorySegment(MEM, c + 4 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 4 * ldc + BYTES, ORDER).add(c41).intoMemorySegment(MEM, c + 4 * ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 5 * ldc, ORDER).add(c50).intoMemorySegment(MEM, c + 5 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 5 * ldc + BYTES, ORDER).add(c51).intoMemorySegment(MEM, c + 5 * ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 6 * ldc, ORDER).add(c60).intoMemorySegment(MEM, c + 6 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 6 * ldc + BYTES, ORDER).add(c61).intoMemorySegment(MEM, c + 6 * ldc + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 7 * ldc, ORDER).add(c70).intoMemorySegment(MEM, c + 7 * ldc, ORDER);
        fromMemorySegment(F, MEM, c + 7 * ldc + BYTES, ORDER).add(c71).intoMemorySegment(MEM, c + 7 * ldc + BYTES, ORDER);
    }

    /** {@code C = A B}, A stored {@code [K, HEIGHT]}. */
    static void columns(int k, long a, long lda, long b, long ldb, long c, long ldc) {
        FloatVector c00 = FloatVector.zero(F), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = fromMemorySegment(F, MEM, b, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 20));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 24));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, a + 28));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            a += lda;
            b += ldb;
        }
        c00.intoMemorySegment(MEM, c, ORDER);
        c01.intoMemorySegment(MEM, c + BYTES, ORDER);
        c10.intoMemorySegment(MEM, c + ldc, ORDER);
        c11.intoMemorySegment(MEM, c + ldc + BYTES, ORDER);
        c20.intoMemorySegment(MEM, c + 2 * ldc, ORDER);
        c21.intoMemorySegment(MEM, c + 2 * ldc + BYTES, ORDER);
        c30.intoMemorySegment(MEM, c + 3 * ldc, ORDER);
        c31.intoMemorySegment(MEM, c + 3 * ldc + BYTES, ORDER);
        c40.intoMemorySegment(MEM, c + 4 * ldc, ORDER);
        c41.intoMemorySegment(MEM, c + 4 * ldc + BYTES, ORDER);
        c50.intoMemorySegment(MEM, c + 5 * ldc, ORDER);
        c51.intoMemorySegment(MEM, c + 5 * ldc + BYTES, ORDER);
        c60.intoMemorySegment(MEM, c + 6 * ldc, ORDER);
        c61.intoMemorySegment(MEM, c + 6 * ldc + BYTES, ORDER);
        c70.intoMemorySegment(MEM, c + 7 * ldc, ORDER);
        c71.intoMemorySegment(MEM, c + 7 * ldc + BYTES, ORDER);
    }
}
