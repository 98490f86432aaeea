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

    /** Covers every block of a row. */
    private static final int BLOCKS = 0xFFFFFF;

    private PackedDots() {}

    private static IntVector bits(float power) {
        return IntVector.broadcast(I, Float.floatToRawIntBits(power));
    }

    /** {@code sums [4, 16]} of {@code k} numbers of A and four panels, whose scales stand {@code scales} bytes behind their beginning. */
    static void dot(WeightFormat format, int k, long a, long w, long w1, long w2, long w3, long scales, long sums) {
        int blocks = k / BLOCK;
        for (int lane = 0; lane < ROWS; lane += LANES) {
            long o = lane * 4L;
            if (format == WeightFormat.Q4_0) {
                nibbles(blocks, a, w + o, w1 + o, w2 + o, w3 + o, scales, sums + o);
            } else {
                bytes(blocks, a, w + o, w1 + o, w2 + o, w3 + o, scales, sums + o);
            }
        }
    }

    /** Eight numbers are an int of each row. */
    private static void nibbles(int blocks, long a, long w, long w1, long w2, long w3, long scales, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        scales &= STRIDE;
        FloatVector c0 = FloatVector.zero(F);
        FloatVector c1 = FloatVector.zero(F);
        FloatVector c2 = FloatVector.zero(F);
        FloatVector c3 = FloatVector.zero(F);
        for (int block = 0; block < blocks; block++) {
            long o = block & BLOCKS;
            long d = scales + o * PANEL_ROW;
            FloatVector s0 = FloatVector.zero(F);
            FloatVector s1 = FloatVector.zero(F);
            FloatVector s2 = FloatVector.zero(F);
            FloatVector s3 = FloatVector.zero(F);
            for (int part = 0; part < 4; part++) {
                long p = part & 3;
                long x = a + o * (4 * BLOCK) + p * 32;
                long q = o * (4 * PANEL_ROW) + p * PANEL_ROW;
                FloatVector x0 = FloatVector.broadcast(F, MEM.get(FLOAT, x));
                FloatVector x1 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 4));
                FloatVector x2 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 8));
                FloatVector x3 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 12));
                FloatVector x4 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 16));
                FloatVector x5 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 20));
                FloatVector x6 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 24));
                FloatVector x7 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 28));
                IntVector v = IntVector.fromMemorySegment(I, MEM, w + q, ORDER);
                s0 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s0);
                s0 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s0);
                s0 = v.lanewise(LSHR, 8).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s0);
                s0 = v.lanewise(LSHR, 8).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s0);
                s0 = v.lanewise(LSHR, 16).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s0);
                s0 = v.lanewise(LSHR, 16).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s0);
                s0 = v.lanewise(LSHR, 24).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s0);
                s0 = v.lanewise(LSHR, 24).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s0);
                v = IntVector.fromMemorySegment(I, MEM, w1 + q, ORDER);
                s1 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s1);
                s1 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s1);
                s1 = v.lanewise(LSHR, 8).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s1);
                s1 = v.lanewise(LSHR, 8).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s1);
                s1 = v.lanewise(LSHR, 16).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s1);
                s1 = v.lanewise(LSHR, 16).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s1);
                s1 = v.lanewise(LSHR, 24).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s1);
                s1 = v.lanewise(LSHR, 24).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s1);
                v = IntVector.fromMemorySegment(I, MEM, w2 + q, ORDER);
                s2 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s2);
                s2 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s2);
                s2 = v.lanewise(LSHR, 8).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s2);
                s2 = v.lanewise(LSHR, 8).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s2);
                s2 = v.lanewise(LSHR, 16).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s2);
                s2 = v.lanewise(LSHR, 16).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s2);
                s2 = v.lanewise(LSHR, 24).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s2);
                s2 = v.lanewise(LSHR, 24).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s2);
                v = IntVector.fromMemorySegment(I, MEM, w3 + q, ORDER);
                s3 = v.and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x0, s3);
                s3 = v.and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x1, s3);
                s3 = v.lanewise(LSHR, 8).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x2, s3);
                s3 = v.lanewise(LSHR, 8).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x3, s3);
                s3 = v.lanewise(LSHR, 16).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x4, s3);
                s3 = v.lanewise(LSHR, 16).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x5, s3);
                s3 = v.lanewise(LSHR, 24).and(NIBBLE).or(AT_0).reinterpretAsFloats().sub(NIBBLE_0).fma(x6, s3);
                s3 = v.lanewise(LSHR, 24).and(NEXT_NIBBLE).or(AT_4).reinterpretAsFloats().sub(NIBBLE_4).fma(x7, s3);
            }
            c0 = s0.fma(fromMemorySegment(F, MEM, w + d, ORDER), c0);
            c1 = s1.fma(fromMemorySegment(F, MEM, w1 + d, ORDER), c1);
            c2 = s2.fma(fromMemorySegment(F, MEM, w2 + d, ORDER), c2);
            c3 = s3.fma(fromMemorySegment(F, MEM, w3 + d, ORDER), c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + PANEL_ROW, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * PANEL_ROW, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * PANEL_ROW, ORDER);
    }

    /** Four numbers are an int of each row. */
    private static void bytes(int blocks, long a, long w, long w1, long w2, long w3, long scales, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        scales &= STRIDE;
        FloatVector c0 = FloatVector.zero(F);
        FloatVector c1 = FloatVector.zero(F);
        FloatVector c2 = FloatVector.zero(F);
        FloatVector c3 = FloatVector.zero(F);
        for (int block = 0; block < blocks; block++) {
            long o = block & BLOCKS;
            long d = scales + o * PANEL_ROW;
            FloatVector s0 = FloatVector.zero(F);
            FloatVector s1 = FloatVector.zero(F);
            FloatVector s2 = FloatVector.zero(F);
            FloatVector s3 = FloatVector.zero(F);
            for (int part = 0; part < 4; part++) {
                long p = part & 3;
                long x = a + o * (4 * BLOCK) + p * 32;
                long q = o * (8 * PANEL_ROW) + p * (2 * PANEL_ROW);
                FloatVector x0 = FloatVector.broadcast(F, MEM.get(FLOAT, x));
                FloatVector x1 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 4));
                FloatVector x2 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 8));
                FloatVector x3 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 12));
                FloatVector x4 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 16));
                FloatVector x5 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 20));
                FloatVector x6 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 24));
                FloatVector x7 = FloatVector.broadcast(F, MEM.get(FLOAT, x + 28));
                IntVector v = IntVector.fromMemorySegment(I, MEM, w + q, ORDER);
                s0 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s0);
                s0 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s0);
                s0 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s0);
                s0 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s0);
                v = IntVector.fromMemorySegment(I, MEM, w + q + PANEL_ROW, ORDER);
                s0 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s0);
                s0 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s0);
                s0 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s0);
                s0 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s0);
                v = IntVector.fromMemorySegment(I, MEM, w1 + q, ORDER);
                s1 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s1);
                s1 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s1);
                s1 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s1);
                s1 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s1);
                v = IntVector.fromMemorySegment(I, MEM, w1 + q + PANEL_ROW, ORDER);
                s1 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s1);
                s1 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s1);
                s1 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s1);
                s1 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s1);
                v = IntVector.fromMemorySegment(I, MEM, w2 + q, ORDER);
                s2 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s2);
                s2 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s2);
                s2 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s2);
                s2 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s2);
                v = IntVector.fromMemorySegment(I, MEM, w2 + q + PANEL_ROW, ORDER);
                s2 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s2);
                s2 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s2);
                s2 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s2);
                s2 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s2);
                v = IntVector.fromMemorySegment(I, MEM, w3 + q, ORDER);
                s3 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x0, s3);
                s3 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x1, s3);
                s3 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x2, s3);
                s3 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x3, s3);
                v = IntVector.fromMemorySegment(I, MEM, w3 + q + PANEL_ROW, ORDER);
                s3 = v.and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x4, s3);
                s3 = v.and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x5, s3);
                s3 = v.lanewise(LSHR, 16).and(BYTE).or(AT_0).reinterpretAsFloats().sub(BYTE_0).fma(x6, s3);
                s3 = v.lanewise(LSHR, 16).and(NEXT_BYTE).or(AT_8).reinterpretAsFloats().sub(BYTE_8).fma(x7, s3);
            }
            c0 = s0.fma(fromMemorySegment(F, MEM, w + d, ORDER), c0);
            c1 = s1.fma(fromMemorySegment(F, MEM, w1 + d, ORDER), c1);
            c2 = s2.fma(fromMemorySegment(F, MEM, w2 + d, ORDER), c2);
            c3 = s3.fma(fromMemorySegment(F, MEM, w3 + d, ORDER), c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + PANEL_ROW, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * PANEL_ROW, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * PANEL_ROW, ORDER);
    }
}
