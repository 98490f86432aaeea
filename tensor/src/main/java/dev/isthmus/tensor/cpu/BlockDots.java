package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static dev.isthmus.tensor.cpu.WeightDots.FLOAT16;
import static dev.isthmus.tensor.cpu.WeightDots.NIBBLE;
import static dev.isthmus.tensor.cpu.WeightDots.SIXTEEN;
import static dev.isthmus.tensor.cpu.WeightKernels.SUMS;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The products of a row of A with rows of a weight that is stored in blocks of 32 numbers with a scale, a float16, before them.
 *
 * <p>Each block has two vectors of a pass: those at {@code part} and at {@code part + 16}. {@code n} is a multiple of 32; {@code step} and {@code
 * next} are the bytes of a block and of as many numbers of A. Every vector operation counts: C2 boxes vectors where a method has many.
 */
final class BlockDots {
    private static final VectorSpecies<Byte> B =
            VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, LANES * Byte.SIZE)));
    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** {@code q - 8} for {@code q} from 0 to 15; a vector of them where there is one of so many. */
    private static final FloatVector NUMBERS = FloatVector.zero(F).addIndex(1).sub(8);

    private BlockDots() {}

    /** {@code sums [4, 16] += } the terms of Q8_0. */
    static void bytes(int n, int part, long step, long next, long a, long w, long w1, long w2, long w3, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        step &= STRIDE;
        next &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        FloatVector c2 = fromMemorySegment(F, MEM, sums + 2 * SUMS, ORDER);
        FloatVector c3 = fromMemorySegment(F, MEM, sums + 3 * SUMS, ORDER);
        long q = LANES == Rows.LANES ? 2 : (part & (Rows.LANES - 1)) + 2;
        for (int block = 0; block < n / 32; block++) {
            long k = block * step;
            long y = a + block * next;
            FloatVector x0 = fromMemorySegment(F, MEM, y, ORDER);
            FloatVector x1 = fromMemorySegment(F, MEM, y + Rows.BYTES, ORDER);
            long at = w + k;
            FloatVector d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            FloatVector b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(B2F, F, 0);
            c0 = b.mul(d).fma(x0, c0);
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q + 16, ORDER).convertShape(B2F, F, 0);
            c0 = b.mul(d).fma(x1, c0);
            at = w1 + k;
            d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(B2F, F, 0);
            c1 = b.mul(d).fma(x0, c1);
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q + 16, ORDER).convertShape(B2F, F, 0);
            c1 = b.mul(d).fma(x1, c1);
            at = w2 + k;
            d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(B2F, F, 0);
            c2 = b.mul(d).fma(x0, c2);
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q + 16, ORDER).convertShape(B2F, F, 0);
            c2 = b.mul(d).fma(x1, c2);
            at = w3 + k;
            d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(B2F, F, 0);
            c3 = b.mul(d).fma(x0, c3);
            b = (FloatVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q + 16, ORDER).convertShape(B2F, F, 0);
            c3 = b.mul(d).fma(x1, c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * SUMS, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * SUMS, ORDER);
    }

    /** {@code sums [4, 16] += } the terms of Q4_0. */
    static void nibbles(int n, int part, long step, long next, long a, long w, long w1, long w2, long w3, long sums) {
        if (LANES == Rows.LANES) {
            selected(n, step, next, a, w, w1, w2, w3, sums);
        } else {
            shifted(n, part, step, next, a, w, w1, sums);
            shifted(n, part, step, next, a, w2, w3, sums + 2 * SUMS);
        }
    }

    /** A vector holds all that a block may contain, {@code d (q - 8)}, and four bits choose. */
    private static void selected(int n, long step, long next, long a, long w, long w1, long w2, long w3, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        step &= STRIDE;
        next &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        FloatVector c2 = fromMemorySegment(F, MEM, sums + 2 * SUMS, ORDER);
        FloatVector c3 = fromMemorySegment(F, MEM, sums + 3 * SUMS, ORDER);
        FloatVector numbers = NUMBERS;
        for (int block = 0; block < n / 32; block++) {
            long k = block * step;
            long y = a + block * next;
            FloatVector x0 = fromMemorySegment(F, MEM, y, ORDER);
            FloatVector x1 = fromMemorySegment(F, MEM, y + Rows.BYTES, ORDER);
            long at = w + k;
            IntVector d = numbers.mul(MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L))
                    .reinterpretAsInts();
            IntVector b = (IntVector)
                    ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c0 = b.selectFrom(d).reinterpretAsFloats().fma(x0, c0);
            c0 = b.lanewise(LSHR, 4).selectFrom(d).reinterpretAsFloats().fma(x1, c0);
            at = w1 + k;
            d = numbers.mul(MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L))
                    .reinterpretAsInts();
            b = (IntVector) ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c1 = b.selectFrom(d).reinterpretAsFloats().fma(x0, c1);
            c1 = b.lanewise(LSHR, 4).selectFrom(d).reinterpretAsFloats().fma(x1, c1);
            at = w2 + k;
            d = numbers.mul(MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L))
                    .reinterpretAsInts();
            b = (IntVector) ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c2 = b.selectFrom(d).reinterpretAsFloats().fma(x0, c2);
            c2 = b.lanewise(LSHR, 4).selectFrom(d).reinterpretAsFloats().fma(x1, c2);
            at = w3 + k;
            d = numbers.mul(MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L))
                    .reinterpretAsInts();
            b = (IntVector) ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c3 = b.selectFrom(d).reinterpretAsFloats().fma(x0, c3);
            c3 = b.lanewise(LSHR, 4).selectFrom(d).reinterpretAsFloats().fma(x1, c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * SUMS, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * SUMS, ORDER);
    }

    /** {@code d (q - 8)} is computed as {@code d (16 + q) - 24 d}, which is exact. */
    private static void shifted(int n, int part, long step, long next, long a, long w, long w1, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        step &= STRIDE;
        next &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        long q = (part & (Rows.LANES - 1)) + 2;
        for (int block = 0; block < n / 32; block++) {
            long k = block * step;
            long y = a + block * next;
            FloatVector x0 = fromMemorySegment(F, MEM, y, ORDER);
            FloatVector x1 = fromMemorySegment(F, MEM, y + Rows.BYTES, ORDER);
            long at = w + k;
            FloatVector d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            FloatVector e = d.mul(-24);
            IntVector b = (IntVector)
                    ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c0 = b.lanewise(LSHL, 19)
                    .and(NIBBLE)
                    .or(SIXTEEN)
                    .reinterpretAsFloats()
                    .fma(d, e)
                    .fma(x0, c0);
            c0 = b.lanewise(LSHL, 15)
                    .and(NIBBLE)
                    .or(SIXTEEN)
                    .reinterpretAsFloats()
                    .fma(d, e)
                    .fma(x1, c0);
            at = w1 + k;
            d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            e = d.mul(-24);
            b = (IntVector) ByteVector.fromMemorySegment(B, MEM, at + q, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c1 = b.lanewise(LSHL, 19)
                    .and(NIBBLE)
                    .or(SIXTEEN)
                    .reinterpretAsFloats()
                    .fma(d, e)
                    .fma(x0, c1);
            c1 = b.lanewise(LSHL, 15)
                    .and(NIBBLE)
                    .or(SIXTEEN)
                    .reinterpretAsFloats()
                    .fma(d, e)
                    .fma(x1, c1);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
    }
}
