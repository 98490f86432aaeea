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
 * <p>There is one for each of the three kinds, because distances that the compiler knows become parts of the instructions that load:
 * each addition in the loop takes a turn of a unit that could have multiplied.
 *
 * <p>The loads and stores are spelled out because C2 stops inlining helpers in a method of this size, and would box what is
 * passed to them. The Vector API's own methods are exempt, but not in every case the loop's: so nothing large stands before it.
 */
final class AttentionTiles {
    /** The rows of a tile. */
    static final int HEIGHT = 8;

    /** The bytes of a row of {@value AttentionKernels#BLOCK}. */
    private static final long ROW = AttentionKernels.BLOCK * 4L;

    /** The bits that a step of K may have: what tells the compiler that its rows begin within 2 GiB, so that it adds in the load. */
    private static final int STEPS = 0xFFFFFF;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private AttentionTiles() {}

    /** {@code C = scale (A B)}: B and C as rows of {@value AttentionKernels#BLOCK}. */
    static void scores(int k, float scale, long a, long rowA, long b, long c) {
        a &= ADDRESS;
        b &= ADDRESS;
        long a1 = a + rowA & ADDRESS;
        long a2 = a1 + rowA & ADDRESS;
        long a3 = a2 + rowA & ADDRESS;
        long a4 = a3 + rowA & ADDRESS;
        long a5 = a4 + rowA & ADDRESS;
        long a6 = a5 + rowA & ADDRESS;
        long a7 = a6 + rowA & ADDRESS;
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
            long o = i & STEPS;
            FloatVector b0 = fromMemorySegment(F, MEM, b + o * ROW, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + o * ROW + BYTES, ORDER);
            FloatVector v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c00 = v.fma(b0, c00);
            c01 = v.fma(b1, c01);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a1 + o * 4));
            c10 = v.fma(b0, c10);
            c11 = v.fma(b1, c11);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a2 + o * 4));
            c20 = v.fma(b0, c20);
            c21 = v.fma(b1, c21);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a3 + o * 4));
            c30 = v.fma(b0, c30);
            c31 = v.fma(b1, c31);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a4 + o * 4));
            c40 = v.fma(b0, c40);
            c41 = v.fma(b1, c41);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a5 + o * 4));
            c50 = v.fma(b0, c50);
            c51 = v.fma(b1, c51);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a6 + o * 4));
            c60 = v.fma(b0, c60);
            c61 = v.fma(b1, c61);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a7 + o * 4));
            c70 = v.fma(b0, c70);
            c71 = v.fma(b1, c71);
        }
        c &= ADDRESS;
        FloatVector s = FloatVector.broadcast(F, scale);
        c00.mul(s).intoMemorySegment(MEM, c, ORDER);
        c01.mul(s).intoMemorySegment(MEM, c + BYTES, ORDER);
        c10.mul(s).intoMemorySegment(MEM, c + ROW, ORDER);
        c11.mul(s).intoMemorySegment(MEM, c + ROW + BYTES, ORDER);
        c20.mul(s).intoMemorySegment(MEM, c + 2 * ROW, ORDER);
        c21.mul(s).intoMemorySegment(MEM, c + 2 * ROW + BYTES, ORDER);
        c30.mul(s).intoMemorySegment(MEM, c + 3 * ROW, ORDER);
        c31.mul(s).intoMemorySegment(MEM, c + 3 * ROW + BYTES, ORDER);
        c40.mul(s).intoMemorySegment(MEM, c + 4 * ROW, ORDER);
        c41.mul(s).intoMemorySegment(MEM, c + 4 * ROW + BYTES, ORDER);
        c50.mul(s).intoMemorySegment(MEM, c + 5 * ROW, ORDER);
        c51.mul(s).intoMemorySegment(MEM, c + 5 * ROW + BYTES, ORDER);
        c60.mul(s).intoMemorySegment(MEM, c + 6 * ROW, ORDER);
        c61.mul(s).intoMemorySegment(MEM, c + 6 * ROW + BYTES, ORDER);
        c70.mul(s).intoMemorySegment(MEM, c + 7 * ROW, ORDER);
        c71.mul(s).intoMemorySegment(MEM, c + 7 * ROW + BYTES, ORDER);
    }

    /** {@code C += A B}: A as rows of {@value AttentionKernels#BLOCK}; those of B and C lie {@code ld} bytes apart. */
    static void add(int k, long a, long b, long c, long ld) {
        a &= ADDRESS;
        b &= ADDRESS;
        ld &= STRIDE;
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
            long o = i & STEPS;
            FloatVector b0 = fromMemorySegment(F, MEM, b + o * ld, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + o * ld + BYTES, ORDER);
            FloatVector v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * 4));
            c00 = v.fma(b0, c00);
            c01 = v.fma(b1, c01);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + ROW + o * 4));
            c10 = v.fma(b0, c10);
            c11 = v.fma(b1, c11);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 2 * ROW + o * 4));
            c20 = v.fma(b0, c20);
            c21 = v.fma(b1, c21);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 3 * ROW + o * 4));
            c30 = v.fma(b0, c30);
            c31 = v.fma(b1, c31);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 4 * ROW + o * 4));
            c40 = v.fma(b0, c40);
            c41 = v.fma(b1, c41);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 5 * ROW + o * 4));
            c50 = v.fma(b0, c50);
            c51 = v.fma(b1, c51);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 6 * ROW + o * 4));
            c60 = v.fma(b0, c60);
            c61 = v.fma(b1, c61);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + 7 * ROW + o * 4));
            c70 = v.fma(b0, c70);
            c71 = v.fma(b1, c71);
        }
        c &= ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c00).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c01).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c10).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c11).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c20).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c21).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c30).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c31).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c40).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c41).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c50).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c51).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c60).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c61).intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        fromMemorySegment(F, MEM, c, ORDER).add(c70).intoMemorySegment(MEM, c, ORDER);
        fromMemorySegment(F, MEM, c + BYTES, ORDER).add(c71).intoMemorySegment(MEM, c + BYTES, ORDER);
    }

    /** {@code C = A^T B}: A as rows of {@value AttentionKernels#BLOCK}; those of B and C lie {@code ld} bytes apart. */
    static void sums(int k, long a, long b, long c, long ld) {
        a &= ADDRESS;
        b &= ADDRESS;
        ld &= STRIDE;
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
            long o = i & STEPS;
            FloatVector b0 = fromMemorySegment(F, MEM, b + o * ld, ORDER);
            FloatVector b1 = fromMemorySegment(F, MEM, b + o * ld + BYTES, ORDER);
            FloatVector v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW));
            c00 = v.fma(b0, c00);
            c01 = v.fma(b1, c01);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 4));
            c10 = v.fma(b0, c10);
            c11 = v.fma(b1, c11);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 8));
            c20 = v.fma(b0, c20);
            c21 = v.fma(b1, c21);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 12));
            c30 = v.fma(b0, c30);
            c31 = v.fma(b1, c31);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 16));
            c40 = v.fma(b0, c40);
            c41 = v.fma(b1, c41);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 20));
            c50 = v.fma(b0, c50);
            c51 = v.fma(b1, c51);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 24));
            c60 = v.fma(b0, c60);
            c61 = v.fma(b1, c61);
            v = FloatVector.broadcast(F, MEM.get(FLOAT, a + o * ROW + 28));
            c70 = v.fma(b0, c70);
            c71 = v.fma(b1, c71);
        }
        c &= ADDRESS;
        c00.intoMemorySegment(MEM, c, ORDER);
        c01.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c10.intoMemorySegment(MEM, c, ORDER);
        c11.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c20.intoMemorySegment(MEM, c, ORDER);
        c21.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c30.intoMemorySegment(MEM, c, ORDER);
        c31.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c40.intoMemorySegment(MEM, c, ORDER);
        c41.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c50.intoMemorySegment(MEM, c, ORDER);
        c51.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c60.intoMemorySegment(MEM, c, ORDER);
        c61.intoMemorySegment(MEM, c + BYTES, ORDER);
        c = c + ld & ADDRESS;
        c70.intoMemorySegment(MEM, c, ORDER);
        c71.intoMemorySegment(MEM, c + BYTES, ORDER);
    }
}
