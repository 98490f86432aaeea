package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
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

    /** {@code C = scale (A B)}. */
    static void store(int k, float scale, long a, long rowA, long colA, long b, long rowB, long c, long rowC) {
        a &= ADDRESS;
        b &= ADDRESS;
        c &= ADDRESS;
        rowA &= STRIDE;
        colA &= STRIDE;
        rowB &= STRIDE;
        rowC &= STRIDE;
        long a1 = a + rowA;
        long a2 = a1 + rowA;
        long a3 = a2 + rowA;
        long a4 = a3 + rowA;
        long a5 = a4 + rowA;
        long a6 = a5 + rowA;
        long a7 = a6 + rowA;
        FloatVector c00 = FloatVector.zero(F),
                c01 = c00,
                c10 = c00,
                c11 = c00,
                c20 = c00,
                c21 = c00,
                c30 = c00,
                c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            long x = i * colA;
            FloatVector b0 = fromMemorySegment(F, MEM, b + i * rowB, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + i * rowB + BYTES, ORDER);
            FloatVector v = FloatVector.broadcast(F, MEM.get(FLOAT, a + x));
            c00 = v.fma(b0, c00);
            c01 = v.fma(b1, c01);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + x));
            c10 = v.fma(b0, c10);
            c11 = v.fma(b1, c11);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + x));
            c20 = v.fma(b0, c20);
            c21 = v.fma(b1, c21);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + x));
            c30 = v.fma(b0, c30);
            c31 = v.fma(b1, c31);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + x));
            c40 = v.fma(b0, c40);
            c41 = v.fma(b1, c41);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + x));
            c50 = v.fma(b0, c50);
            c51 = v.fma(b1, c51);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a6 + x));
            c60 = v.fma(b0, c60);
            c61 = v.fma(b1, c61);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a7 + x));
            c70 = v.fma(b0, c70);
            c71 = v.fma(b1, c71);
        }
        FloatVector s = FloatVector.broadcast(F, scale);
        c00.mul(s).intoMemorySegment(MEM, c, ORDER);
        c01.mul(s).intoMemorySegment(MEM, c + BYTES, ORDER);
        c10.mul(s).intoMemorySegment(MEM, c + rowC, ORDER);
        c11.mul(s).intoMemorySegment(MEM, c + rowC + BYTES, ORDER);
        c20.mul(s).intoMemorySegment(MEM, c + 2 * rowC, ORDER);
        c21.mul(s).intoMemorySegment(MEM, c + 2 * rowC + BYTES, ORDER);
        c30.mul(s).intoMemorySegment(MEM, c + 3 * rowC, ORDER);
        c31.mul(s).intoMemorySegment(MEM, c + 3 * rowC + BYTES, ORDER);
        c40.mul(s).intoMemorySegment(MEM, c + 4 * rowC, ORDER);
        c41.mul(s).intoMemorySegment(MEM, c + 4 * rowC + BYTES, ORDER);
        c50.mul(s).intoMemorySegment(MEM, c + 5 * rowC, ORDER);
        c51.mul(s).intoMemorySegment(MEM, c + 5 * rowC + BYTES, ORDER);
        c60.mul(s).intoMemorySegment(MEM, c + 6 * rowC, ORDER);
        c61.mul(s).intoMemorySegment(MEM, c + 6 * rowC + BYTES, ORDER);
        c70.mul(s).intoMemorySegment(MEM, c + 7 * rowC, ORDER);
        c71.mul(s).intoMemorySegment(MEM, c + 7 * rowC + BYTES, ORDER);
    }

    /** {@code C += A B}. */
    static void add(int k, long a, long rowA, long colA, long b, long rowB, long c, long rowC) {
        a &= ADDRESS;
        b &= ADDRESS;
        c &= ADDRESS;
        rowA &= STRIDE;
        colA &= STRIDE;
        rowB &= STRIDE;
        rowC &= STRIDE;
        long a1 = a + rowA;
        long a2 = a1 + rowA;
        long a3 = a2 + rowA;
        long a4 = a3 + rowA;
        long a5 = a4 + rowA;
        long a6 = a5 + rowA;
        long a7 = a6 + rowA;
        FloatVector c00 = FloatVector.zero(F),
                c01 = c00,
                c10 = c00,
                c11 = c00,
                c20 = c00,
                c21 = c00,
                c30 = c00,
                c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            long x = i * colA;
            FloatVector b0 = fromMemorySegment(F, MEM, b + i * rowB, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + i * rowB + BYTES, ORDER);
            FloatVector v = FloatVector.broadcast(F, MEM.get(FLOAT, a + x));
            c00 = v.fma(b0, c00);
            c01 = v.fma(b1, c01);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + x));
            c10 = v.fma(b0, c10);
            c11 = v.fma(b1, c11);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + x));
            c20 = v.fma(b0, c20);
            c21 = v.fma(b1, c21);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + x));
            c30 = v.fma(b0, c30);
            c31 = v.fma(b1, c31);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + x));
            c40 = v.fma(b0, c40);
            c41 = v.fma(b1, c41);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + x));
            c50 = v.fma(b0, c50);
            c51 = v.fma(b1, c51);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a6 + x));
            c60 = v.fma(b0, c60);
            c61 = v.fma(b1, c61);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a7 + x));
            c70 = v.fma(b0, c70);
            c71 = v.fma(b1, c71);
        }
        fromMemorySegment(F, MEM, c, ORDER).add(c00).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c01).intoMemorySegment(MEM, c + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + rowC, ORDER).add(c10).intoMemorySegment(MEM, c + rowC, ORDER);
        fromMemorySegment(F, MEM, c + rowC + BYTES, ORDER).add(c11).intoMemorySegment(MEM, c + rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 2 * rowC, ORDER).add(c20).intoMemorySegment(MEM, c + 2 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 2 * rowC + BYTES, ORDER)
                .add(c21)
                .intoMemorySegment(MEM, c + 2 * rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 3 * rowC, ORDER).add(c30).intoMemorySegment(MEM, c + 3 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 3 * rowC + BYTES, ORDER)
                .add(c31)
                .intoMemorySegment(MEM, c + 3 * rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 4 * rowC, ORDER).add(c40).intoMemorySegment(MEM, c + 4 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 4 * rowC + BYTES, ORDER)
                .add(c41)
                .intoMemorySegment(MEM, c + 4 * rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 5 * rowC, ORDER).add(c50).intoMemorySegment(MEM, c + 5 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 5 * rowC + BYTES, ORDER)
                .add(c51)
                .intoMemorySegment(MEM, c + 5 * rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 6 * rowC, ORDER).add(c60).intoMemorySegment(MEM, c + 6 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 6 * rowC + BYTES, ORDER)
                .add(c61)
                .intoMemorySegment(MEM, c + 6 * rowC + BYTES, ORDER);
        fromMemorySegment(F, MEM, c + 7 * rowC, ORDER).add(c70).intoMemorySegment(MEM, c + 7 * rowC, ORDER);
        fromMemorySegment(F, MEM, c + 7 * rowC + BYTES, ORDER)
                .add(c71)
                .intoMemorySegment(MEM, c + 7 * rowC + BYTES, ORDER);
    }
}
