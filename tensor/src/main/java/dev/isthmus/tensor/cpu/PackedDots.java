package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.PackWeight.ROWS;
import static dev.isthmus.tensor.cpu.PackedWeights.BLOCK;
import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.LSHR;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The products of four panels of a packed weight with a row of A; lanes are rows of the weight.
 *
 * <p>A few bits become a float without a conversion: put where a float has its mantissa, below the exponent of {@code 2^23}, an integer
 * q is {@code 2^23 + q}, and four bits further up, below that of {@code 2^19}, it is {@code 2^19 + q}. One subtraction then leaves
 * {@code q - 8}, or {@code q - 128}, exactly.
 */
final class PackedDots {
    /** One number of each row of a panel as it is summed, and the step from vector to vector of its packed numbers. */
    static final long PANEL_ROW = ROWS * 4L;

    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private static final IntVector NIBBLE = IntVector.broadcast(I, 15), NEXT_NIBBLE = IntVector.broadcast(I, 15 << 4);
    private static final IntVector BYTE = IntVector.broadcast(I, 255), NEXT_BYTE = IntVector.broadcast(I, 255 << 8);
    private static final IntVector AT_0 = bits(0x1p23f), AT_4 = bits(0x1p19f), AT_8 = bits(0x1p15f);
    private static final FloatVector NIBBLE_0 = FloatVector.broadcast(F, 0x1p23f + 8);
    private static final FloatVector NIBBLE_4 = FloatVector.broadcast(F, 0x1p19f + 8);
    private static final FloatVector BYTE_0 = FloatVector.broadcast(F, 0x1p23f + 128);
    private static final FloatVector BYTE_8 = FloatVector.broadcast(F, 0x1p15f + 128);

    /** What the sums of a block begin with. */
    private static final long ZEROS = Arena.global().allocate(PANEL_ROW, 64).address();

    /** Eight numbers of a block are a part; covers every one. */
    private static final int PARTS = BLOCK / 8 - 1;

    private PackedDots() {}

    private static IntVector bits(float power) {
        return IntVector.broadcast(I, Float.floatToRawIntBits(power));
    }

    /** {@code sums [4, 16]} of {@code k} numbers of A and four panels, whose scales stand {@code scales} bytes behind their beginning. */
    static void dot(WeightFormat format, int k, long a, long w, long w1, long w2, long w3, long scales, long sums) {
        AttentionCopies.clear(sums, 4 * PANEL_ROW);
        long blockBytes = BLOCK * PackedWeights.bits(format) / 32 * PANEL_ROW;
        for (int block = 0; block < k / BLOCK; block++) {
            long x = a + block * (BLOCK * 4L);
            long q = block * blockBytes;
            long d = scales + block * PANEL_ROW - q;
            for (int lane = 0; lane < ROWS; lane += LANES) {
                long o = q + lane * 4L;
                if (format == WeightFormat.Q4_0) {
                    nibbles(PARTS + 1, x, w + o, w1 + o, w2 + o, w3 + o, d, sums + lane * 4L);
                } else {
                    bytes(PARTS + 1, x, w + o, w1 + o, w2 + o, w3 + o, d, sums + lane * 4L);
                }
            }
        }
    }

    /** {@code sums += } a block, of which eight numbers are an int of each row; with a loop around the loop, C2 may box vectors. */
    private static void nibbles(int parts, long a, long w, long w1, long w2, long w3, long d, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        d &= STRIDE;
        sums &= ADDRESS;
        FloatVector s0 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s1 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s2 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s3 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        for (int part = 0; part < parts; part++) {
            long p = part & PARTS;
            long x = a + p * 32;
            long q = p * PANEL_ROW;
            FloatVector x0 = FloatVector.broadcast(F, MEM.get(FLOAT, x));
            FloatVector x1 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 4));
            FloatVector x2 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 8));
            FloatVector x3 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 12));
            FloatVector x4 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 16));
            FloatVector x5 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 20));
            FloatVector x6 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 24));
            FloatVector x7 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 28));
            IntVector u;
            IntVector v = IntVector.fromMemorySegment(I, MEM, w + q, ORDER);
            s0 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s0);
            s0 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s0);
            u = v.lanewise(LSHR, 8);
            s0 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s0);
            s0 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s0);
            u = v.lanewise(LSHR, 16);
            s0 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s0);
            s0 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s0);
            u = v.lanewise(LSHR, 24);
            s0 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s0);
            s0 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s0);
            v = IntVector.fromMemorySegment(I, MEM, w1 + q, ORDER);
            s1 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s1);
            s1 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s1);
            u = v.lanewise(LSHR, 8);
            s1 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s1);
            s1 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s1);
            u = v.lanewise(LSHR, 16);
            s1 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s1);
            s1 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s1);
            u = v.lanewise(LSHR, 24);
            s1 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s1);
            s1 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s1);
            v = IntVector.fromMemorySegment(I, MEM, w2 + q, ORDER);
            s2 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s2);
            s2 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s2);
            u = v.lanewise(LSHR, 8);
            s2 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s2);
            s2 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s2);
            u = v.lanewise(LSHR, 16);
            s2 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s2);
            s2 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s2);
            u = v.lanewise(LSHR, 24);
            s2 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s2);
            s2 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s2);
            v = IntVector.fromMemorySegment(I, MEM, w3 + q, ORDER);
            s3 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s3);
            s3 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s3);
            u = v.lanewise(LSHR, 8);
            s3 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s3);
            s3 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s3);
            u = v.lanewise(LSHR, 16);
            s3 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s3);
            s3 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s3);
            u = v.lanewise(LSHR, 24);
            s3 = u.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s3);
            s3 = u.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s3);
        }
        s0.fma(fromMemorySegment(F, MEM, w + d, ORDER), fromMemorySegment(F, MEM, sums, ORDER))
                .intoMemorySegment(MEM, sums, ORDER);
        s1.fma(fromMemorySegment(F, MEM, w1 + d, ORDER), fromMemorySegment(F, MEM, sums + PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + PANEL_ROW, ORDER);
        s2.fma(fromMemorySegment(F, MEM, w2 + d, ORDER), fromMemorySegment(F, MEM, sums + 2 * PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + 2 * PANEL_ROW, ORDER);
        s3.fma(fromMemorySegment(F, MEM, w3 + d, ORDER), fromMemorySegment(F, MEM, sums + 3 * PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + 3 * PANEL_ROW, ORDER);
    }

    /** The same where four numbers are an int. */
    private static void bytes(int parts, long a, long w, long w1, long w2, long w3, long d, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        d &= STRIDE;
        sums &= ADDRESS;
        FloatVector s0 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s1 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s2 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        FloatVector s3 = fromMemorySegment(F, MEM, ZEROS, ORDER);
        for (int part = 0; part < parts; part++) {
            long p = part & PARTS;
            long x = a + p * 32;
            long q = p * (2 * PANEL_ROW);
            FloatVector x0 = FloatVector.broadcast(F, MEM.get(FLOAT, x));
            FloatVector x1 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 4));
            FloatVector x2 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 8));
            FloatVector x3 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 12));
            FloatVector x4 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 16));
            FloatVector x5 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 20));
            FloatVector x6 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 24));
            FloatVector x7 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 28));
            IntVector u;
            IntVector v = IntVector.fromMemorySegment(I, MEM, w + q, ORDER);
            s0 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s0);
            s0 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s0);
            u = v.lanewise(LSHR, 16);
            s0 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s0);
            s0 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s0);
            v = IntVector.fromMemorySegment(I, MEM, w + q + PANEL_ROW, ORDER);
            s0 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s0);
            s0 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s0);
            u = v.lanewise(LSHR, 16);
            s0 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s0);
            s0 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s0);
            v = IntVector.fromMemorySegment(I, MEM, w1 + q, ORDER);
            s1 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s1);
            s1 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s1);
            u = v.lanewise(LSHR, 16);
            s1 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s1);
            s1 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s1);
            v = IntVector.fromMemorySegment(I, MEM, w1 + q + PANEL_ROW, ORDER);
            s1 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s1);
            s1 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s1);
            u = v.lanewise(LSHR, 16);
            s1 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s1);
            s1 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s1);
            v = IntVector.fromMemorySegment(I, MEM, w2 + q, ORDER);
            s2 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s2);
            s2 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s2);
            u = v.lanewise(LSHR, 16);
            s2 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s2);
            s2 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s2);
            v = IntVector.fromMemorySegment(I, MEM, w2 + q + PANEL_ROW, ORDER);
            s2 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s2);
            s2 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s2);
            u = v.lanewise(LSHR, 16);
            s2 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s2);
            s2 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s2);
            v = IntVector.fromMemorySegment(I, MEM, w3 + q, ORDER);
            s3 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s3);
            s3 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s3);
            u = v.lanewise(LSHR, 16);
            s3 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s3);
            s3 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s3);
            v = IntVector.fromMemorySegment(I, MEM, w3 + q + PANEL_ROW, ORDER);
            s3 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s3);
            s3 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s3);
            u = v.lanewise(LSHR, 16);
            s3 = u.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s3);
            s3 = u.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s3);
        }
        s0.fma(fromMemorySegment(F, MEM, w + d, ORDER), fromMemorySegment(F, MEM, sums, ORDER))
                .intoMemorySegment(MEM, sums, ORDER);
        s1.fma(fromMemorySegment(F, MEM, w1 + d, ORDER), fromMemorySegment(F, MEM, sums + PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + PANEL_ROW, ORDER);
        s2.fma(fromMemorySegment(F, MEM, w2 + d, ORDER), fromMemorySegment(F, MEM, sums + 2 * PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + 2 * PANEL_ROW, ORDER);
        s3.fma(fromMemorySegment(F, MEM, w3 + d, ORDER), fromMemorySegment(F, MEM, sums + 3 * PANEL_ROW, ORDER))
                .intoMemorySegment(MEM, sums + 3 * PANEL_ROW, ORDER);
    }
}
