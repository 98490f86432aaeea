package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static dev.isthmus.tensor.cpu.WeightKernels.SUMS;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The products of two rows of a Q4_0 weight with a row of A, with vectors of {@link Rows#LANES} numbers.
 *
 * <p>Such a vector holds all 16 numbers that a block may have, {@code d (q - 8)}: four bits then are an index into it.
 */
final class NibbleDots {
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_512;
    private static final VectorSpecies<Byte> B = ByteVector.SPECIES_128;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private static final long BLOCK = 18, BLOCK_OF_A = 2 * Rows.BYTES;

    /** The numbers of a block whose scale is 1. */
    private static final long NUMBERS = numbers();

    private NibbleDots() {}

    /** {@code sums [2, 16] += } the terms of one row of A and two rows of W; {@code n} is a multiple of 32. */
    static void dot(int n, long a, long w, long w1, long sums) {
        dot(n, BLOCK, BLOCK_OF_A, a, w, w1, sums);
    }

    /** Two rows, as of {@link WeightDots}: of four C2 boxes vectors, in a process that has used other formats. */
    private static void dot(int n, long step, long next, long a, long w, long w1, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        step &= STRIDE;
        next &= STRIDE;
        FloatVector numbers = fromMemorySegment(F, MEM, NUMBERS, ORDER);
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        for (int block = 0; block < n / 32; block++) {
            long k = block * step;
            long y = a + block * next;
            FloatVector x0 = fromMemorySegment(F, MEM, y, ORDER);
            FloatVector x1 = fromMemorySegment(F, MEM, y + Rows.BYTES, ORDER);
            long at = w + k;
            float d = MEM.get(FLOAT, WeightDots.FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L);
            IntVector table = numbers.mul(FloatVector.broadcast(F, d)).reinterpretAsInts();
            IntVector q = (IntVector)
                    ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c0 = q.selectFrom(table).reinterpretAsFloats().fma(x0, c0);
            c0 = q.lanewise(LSHR, 4).selectFrom(table).reinterpretAsFloats().fma(x1, c0);
            at = w1 + k;
            d = MEM.get(FLOAT, WeightDots.FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L);
            table = numbers.mul(FloatVector.broadcast(F, d)).reinterpretAsInts();
            q = (IntVector) ByteVector.fromMemorySegment(B, MEM, at + 2, ORDER).convertShape(ZERO_EXTEND_B2I, I, 0);
            c1 = q.selectFrom(table).reinterpretAsFloats().fma(x0, c1);
            c1 = q.lanewise(LSHR, 4).selectFrom(table).reinterpretAsFloats().fma(x1, c1);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
    }

    private static long numbers() {
        MemorySegment numbers = Arena.global().allocate(Rows.BYTES, 64);
        for (int q = 0; q < Rows.LANES; q++) {
            numbers.setAtIndex(ValueLayout.JAVA_FLOAT, q, q - 8);
        }
        return numbers.address();
    }
}
