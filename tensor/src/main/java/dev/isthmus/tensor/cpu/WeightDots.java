package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static dev.isthmus.tensor.cpu.WeightKernels.SUMS;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The products of four rows of a stored weight with rows of A. Lanes run over columns; vectors narrower than the {@link
 * Rows#LANES} partial sums of an element make them in several passes.
 *
 * <p>{@code n} is a multiple of {@link Rows#LANES}; strides are bytes. Loads are spelled out, with masked addresses, for the
 * reasons that {@link Simd} gives.
 */
final class WeightDots {
    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());
    private static final VectorSpecies<Short> S =
            VectorSpecies.of(short.class, VectorShape.forBitSize(LANES * Short.SIZE));
    private static final VectorSpecies<Byte> B =
            VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, LANES * Byte.SIZE)));
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** The address of {@link #float16Table()}. */
    private static final long FLOAT16 = float16Table();

    /** Four bits of a number, put here, make it {@code 16 + q} with {@link #SIXTEEN}. */
    private static final int NIBBLE = 15 << 19;

    private static final int SIXTEEN = Float.floatToRawIntBits(16);

    private static final int SIGN = 1 << 31;

    private static final VectorMask<Float> FAR_8 = far(8);
    private static final VectorMask<Float> FAR_4 = far(4);
    private static final VectorMask<Float> FAR_2 = far(2);
    private static final VectorMask<Float> FAR_1 = far(1);
    private static final VectorShuffle<Float> SWAP_8 = swap(8);
    private static final VectorShuffle<Float> SWAP_4 = swap(4);
    private static final VectorShuffle<Float> SWAP_2 = swap(2);
    private static final VectorShuffle<Float> SWAP_1 = swap(1);

    private WeightDots() {}

    /** {@code sums [4, 16] += } the terms of one row of A and four rows of W. */
    static void dot(WeightFormat format, int n, long a, long w, long w1, long w2, long w3, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            long x = a + part * 4L;
            long s = sums + part * 4L;
            long f = part * 4L;
            long b = part * 2L;
            switch (format) {
                case F32 -> floats(n, Rows.BYTES, x, w + f, w1 + f, w2 + f, w3 + f, s);
                case BF16 -> bfloats(n, Rows.BYTES / 2, x, w + b, w1 + b, w2 + b, w3 + b, s);
                case F16 -> {
                    halves(n, Rows.BYTES / 2, x, w + b, w1 + b, s);
                    halves(n, Rows.BYTES / 2, x, w2 + b, w3 + b, s + 2 * SUMS);
                }
                case Q8_0, Q4_0 -> throw new IllegalArgumentException(format + " is packed");
            }
        }
    }

    private static void floats(int n, long step, long a, long w, long w1, long w2, long w3, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        step &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        FloatVector c2 = fromMemorySegment(F, MEM, sums + 2 * SUMS, ORDER);
        FloatVector c3 = fromMemorySegment(F, MEM, sums + 3 * SUMS, ORDER);
        for (int j = 0; j < n / Rows.LANES; j++) {
            long k = j * step;
            FloatVector x = fromMemorySegment(F, MEM, a + k, ORDER);
            c0 = fromMemorySegment(F, MEM, w + k, ORDER).fma(x, c0);
            c1 = fromMemorySegment(F, MEM, w1 + k, ORDER).fma(x, c1);
            c2 = fromMemorySegment(F, MEM, w2 + k, ORDER).fma(x, c2);
            c3 = fromMemorySegment(F, MEM, w3 + k, ORDER).fma(x, c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * SUMS, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * SUMS, ORDER);
    }

    private static void bfloats(int n, long step, long a, long w, long w1, long w2, long w3, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        step &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        FloatVector c2 = fromMemorySegment(F, MEM, sums + 2 * SUMS, ORDER);
        FloatVector c3 = fromMemorySegment(F, MEM, sums + 3 * SUMS, ORDER);
        for (int j = 0; j < n / Rows.LANES; j++) {
            long k = j * step;
            FloatVector x = fromMemorySegment(F, MEM, a + 2 * k, ORDER);
            IntVector i = (IntVector)
                    ShortVector.fromMemorySegment(S, MEM, w + k, ORDER).convertShape(ZERO_EXTEND_S2I, I, 0);
            c0 = i.lanewise(LSHL, 16).reinterpretAsFloats().fma(x, c0);
            i = (IntVector) ShortVector.fromMemorySegment(S, MEM, w1 + k, ORDER).convertShape(ZERO_EXTEND_S2I, I, 0);
            c1 = i.lanewise(LSHL, 16).reinterpretAsFloats().fma(x, c1);
            i = (IntVector) ShortVector.fromMemorySegment(S, MEM, w2 + k, ORDER).convertShape(ZERO_EXTEND_S2I, I, 0);
            c2 = i.lanewise(LSHL, 16).reinterpretAsFloats().fma(x, c2);
            i = (IntVector) ShortVector.fromMemorySegment(S, MEM, w3 + k, ORDER).convertShape(ZERO_EXTEND_S2I, I, 0);
            c3 = i.lanewise(LSHL, 16).reinterpretAsFloats().fma(x, c3);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
        c2.intoMemorySegment(MEM, sums + 2 * SUMS, ORDER);
        c3.intoMemorySegment(MEM, sums + 3 * SUMS, ORDER);
    }

    /**
     * Two rows at a time: of four, C2 boxes vectors once other code of the process has met more of the Vector API.
     *
     * <p>Every number as {@link #toFloats(IntVector)} makes it, which is spelled out: C2 inlines a method of its size for what it was seen
     * to be called, and now and then it has not seen that.
     */
    private static void halves(int n, long step, long a, long w, long w1, long sums) {
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        step &= STRIDE;
        FloatVector c0 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c1 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        for (int j = 0; j < n / Rows.LANES; j++) {
            long k = j * step;
            FloatVector x = fromMemorySegment(F, MEM, a + 2 * k, ORDER);
            IntVector bits = ((IntVector)
                            ShortVector.fromMemorySegment(S, MEM, w + k, ORDER).convertShape(S2I, I, 0))
                    .lanewise(LSHL, 13)
                    .and(SIGN | 0x7fff << 13);
            IntVector exponent = bits.and(31 << 23);
            IntVector grown = bits.add(112 << 23);
            FloatVector y = grown.reinterpretAsFloats();
            FloatVector surplus = bits.and(SIGN).or(113 << 23).reinterpretAsFloats();
            c0 = y.blend(
                            grown.add(112 << 23).reinterpretAsFloats(),
                            exponent.compare(VectorOperators.EQ, 31 << 23).cast(F))
                    .blend(
                            y.add(y).sub(surplus),
                            exponent.compare(VectorOperators.EQ, 0).cast(F))
                    .fma(x, c0);
            bits = ((IntVector)
                            ShortVector.fromMemorySegment(S, MEM, w1 + k, ORDER).convertShape(S2I, I, 0))
                    .lanewise(LSHL, 13)
                    .and(SIGN | 0x7fff << 13);
            exponent = bits.and(31 << 23);
            grown = bits.add(112 << 23);
            y = grown.reinterpretAsFloats();
            surplus = bits.and(SIGN).or(113 << 23).reinterpretAsFloats();
            c1 = y.blend(
                            grown.add(112 << 23).reinterpretAsFloats(),
                            exponent.compare(VectorOperators.EQ, 31 << 23).cast(F))
                    .blend(
                            y.add(y).sub(surplus),
                            exponent.compare(VectorOperators.EQ, 0).cast(F))
                    .fma(x, c1);
        }
        c0.intoMemorySegment(MEM, sums, ORDER);
        c1.intoMemorySegment(MEM, sums + SUMS, ORDER);
    }

    /** {@code sums [m, 4, 16] += } the terms of {@code m} rows of A and four rows of float32, four rows of A at a time. */
    static void floats(int m, int n, long a, long lda, long w, long w1, long w2, long w3, long sums) {
        int i = 0;
        for (; i <= m - 4; i += 4) {
            for (int part = 0; part < Rows.LANES; part += LANES) {
                long p = part * 4L;
                tile(n, Rows.BYTES, a + i * lda + p, lda, w + p, w1 + p, w2 + p, w3 + p, sums + i * 4 * SUMS + p);
            }
        }
        for (; i < m; i++) {
            dot(WeightFormat.F32, n, a + i * lda, w, w1, w2, w3, sums + i * 4 * SUMS);
        }
    }

    private static void tile(int n, long step, long a, long lda, long w, long w1, long w2, long w3, long sums) {
        long a1 = (a + lda) & ADDRESS;
        long a2 = (a + 2 * lda) & ADDRESS;
        long a3 = (a + 3 * lda) & ADDRESS;
        a &= ADDRESS;
        w &= ADDRESS;
        w1 &= ADDRESS;
        w2 &= ADDRESS;
        w3 &= ADDRESS;
        step &= STRIDE;
        FloatVector c00 = fromMemorySegment(F, MEM, sums, ORDER);
        FloatVector c01 = fromMemorySegment(F, MEM, sums + SUMS, ORDER);
        FloatVector c02 = fromMemorySegment(F, MEM, sums + 2 * SUMS, ORDER);
        FloatVector c03 = fromMemorySegment(F, MEM, sums + 3 * SUMS, ORDER);
        FloatVector c10 = fromMemorySegment(F, MEM, sums + 4 * SUMS, ORDER);
        FloatVector c11 = fromMemorySegment(F, MEM, sums + 5 * SUMS, ORDER);
        FloatVector c12 = fromMemorySegment(F, MEM, sums + 6 * SUMS, ORDER);
        FloatVector c13 = fromMemorySegment(F, MEM, sums + 7 * SUMS, ORDER);
        FloatVector c20 = fromMemorySegment(F, MEM, sums + 8 * SUMS, ORDER);
        FloatVector c21 = fromMemorySegment(F, MEM, sums + 9 * SUMS, ORDER);
        FloatVector c22 = fromMemorySegment(F, MEM, sums + 10 * SUMS, ORDER);
        FloatVector c23 = fromMemorySegment(F, MEM, sums + 11 * SUMS, ORDER);
        FloatVector c30 = fromMemorySegment(F, MEM, sums + 12 * SUMS, ORDER);
        FloatVector c31 = fromMemorySegment(F, MEM, sums + 13 * SUMS, ORDER);
        FloatVector c32 = fromMemorySegment(F, MEM, sums + 14 * SUMS, ORDER);
        FloatVector c33 = fromMemorySegment(F, MEM, sums + 15 * SUMS, ORDER);
        for (int j = 0; j < n / Rows.LANES; j++) {
            long k = j * step;
            FloatVector x0 = fromMemorySegment(F, MEM, a + k, ORDER);
            FloatVector x1 = fromMemorySegment(F, MEM, a1 + k, ORDER);
            FloatVector x2 = fromMemorySegment(F, MEM, a2 + k, ORDER);
            FloatVector x3 = fromMemorySegment(F, MEM, a3 + k, ORDER);
            FloatVector y = fromMemorySegment(F, MEM, w + k, ORDER);
            c00 = y.fma(x0, c00);
            c10 = y.fma(x1, c10);
            c20 = y.fma(x2, c20);
            c30 = y.fma(x3, c30);
            y = fromMemorySegment(F, MEM, w1 + k, ORDER);
            c01 = y.fma(x0, c01);
            c11 = y.fma(x1, c11);
            c21 = y.fma(x2, c21);
            c31 = y.fma(x3, c31);
            y = fromMemorySegment(F, MEM, w2 + k, ORDER);
            c02 = y.fma(x0, c02);
            c12 = y.fma(x1, c12);
            c22 = y.fma(x2, c22);
            c32 = y.fma(x3, c32);
            y = fromMemorySegment(F, MEM, w3 + k, ORDER);
            c03 = y.fma(x0, c03);
            c13 = y.fma(x1, c13);
            c23 = y.fma(x2, c23);
            c33 = y.fma(x3, c33);
        }
        c00.intoMemorySegment(MEM, sums, ORDER);
        c01.intoMemorySegment(MEM, sums + SUMS, ORDER);
        c02.intoMemorySegment(MEM, sums + 2 * SUMS, ORDER);
        c03.intoMemorySegment(MEM, sums + 3 * SUMS, ORDER);
        c10.intoMemorySegment(MEM, sums + 4 * SUMS, ORDER);
        c11.intoMemorySegment(MEM, sums + 5 * SUMS, ORDER);
        c12.intoMemorySegment(MEM, sums + 6 * SUMS, ORDER);
        c13.intoMemorySegment(MEM, sums + 7 * SUMS, ORDER);
        c20.intoMemorySegment(MEM, sums + 8 * SUMS, ORDER);
        c21.intoMemorySegment(MEM, sums + 9 * SUMS, ORDER);
        c22.intoMemorySegment(MEM, sums + 10 * SUMS, ORDER);
        c23.intoMemorySegment(MEM, sums + 11 * SUMS, ORDER);
        c30.intoMemorySegment(MEM, sums + 12 * SUMS, ORDER);
        c31.intoMemorySegment(MEM, sums + 13 * SUMS, ORDER);
        c32.intoMemorySegment(MEM, sums + 14 * SUMS, ORDER);
        c33.intoMemorySegment(MEM, sums + 15 * SUMS, ORDER);
    }

    // ---- sums -------------------------------------------------------------------------------------------------------

    /** Turns the partial sums of 16 elements, {@code [16, 16]}, into the elements, in the order of {@link Rows#fold}. */
    static void fold(long sums) {
        if (LANES < Rows.LANES) {
            for (int i = 0; i < Rows.LANES; i++) {
                Simd.setFloat(sums + i * 4L, Rows.fold(sums + i * SUMS));
            }
            return;
        }
        // Two elements share a vector, then four: lanes that a sum no longer needs hold those of another.
        for (int i = 0; i < 8; i++) {
            halve(sums, i, 8, FAR_8, SWAP_8);
        }
        for (int i = 0; i < 4; i++) {
            halve(sums, i, 4, FAR_4, SWAP_4);
        }
        for (int i = 0; i < 2; i++) {
            halve(sums, i, 2, FAR_2, SWAP_2);
        }
        halve(sums, 0, 1, FAR_1, SWAP_1);
    }

    private static void halve(long sums, int i, int apart, VectorMask<Float> far, VectorShuffle<Float> swap) {
        FloatVector x = fromMemorySegment(F, MEM, sums + i * SUMS, ORDER);
        FloatVector y = fromMemorySegment(F, MEM, sums + (i + apart) * SUMS, ORDER);
        x.blend(y, far).add(y.blend(x, far).rearrange(swap)).intoMemorySegment(MEM, sums + i * SUMS, ORDER);
    }

    private static VectorMask<Float> far(int bit) {
        return VectorMask.fromLong(
                F,
                switch (bit) {
                    case 8 -> 0xff00;
                    case 4 -> 0xf0f0;
                    case 2 -> 0xcccc;
                    default -> 0xaaaa;
                });
    }

    private static VectorShuffle<Float> swap(int bit) {
        return VectorShuffle.fromOp(F, lane -> (lane ^ bit) % LANES);
    }

    // ---- to float32 -------------------------------------------------------------------------------------------------

    /** Turns {@code n} numbers of a row, which begin with a block, into float32, exactly. */
    static void toFloats(WeightFormat format, int n, long from, long to) {
        switch (format) {
            case F32 -> Panels.copy(1, n, from, 0, to, 0);
            case BF16 -> bfloatsToFloats(n, from, to);
            case F16 -> halvesToFloats(n, from, to);
            case Q8_0 -> bytesToFloats(n, from, to);
            case Q4_0 -> nibblesToFloats(n, from, to);
        }
    }

    private static void bfloatsToFloats(int n, long from, long to) {
        for (int j = 0; j < n; j += LANES) {
            ((IntVector) ShortVector.fromMemorySegment(S, MEM, from + j * 2L, ORDER)
                            .convertShape(ZERO_EXTEND_S2I, I, 0))
                    .lanewise(LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(MEM, to + j * 4L, ORDER);
        }
    }

    private static void halvesToFloats(int n, long from, long to) {
        for (int j = 0; j < n; j += LANES) {
            IntVector half = (IntVector)
                    ShortVector.fromMemorySegment(S, MEM, from + j * 2L, ORDER).convertShape(S2I, I, 0);
            toFloats(half).intoMemorySegment(MEM, to + j * 4L, ORDER);
        }
    }

    /**
     * The float32 of float16 with their sign extended. The exponent grows by 127 - 15, which makes of {@code m 2^-24} without leading one
     * {@code 2^-15 + m 2^-25}: that is doubled and loses {@code 2^-14}. Of infinity and NaN the exponent grows once more. Nothing on
     * the way is too small for a leading one of its own, which would be slow.
     */
    private static FloatVector toFloats(IntVector half) {
        IntVector bits = half.lanewise(LSHL, 13).and(SIGN | 0x7fff << 13);
        IntVector exponent = bits.and(31 << 23);
        IntVector grown = bits.add(112 << 23);
        FloatVector y = grown.reinterpretAsFloats();
        FloatVector surplus = bits.and(SIGN).or(113 << 23).reinterpretAsFloats();
        return y.blend(
                        grown.add(112 << 23).reinterpretAsFloats(),
                        exponent.compare(VectorOperators.EQ, 31 << 23).cast(F))
                .blend(
                        y.add(y).sub(surplus),
                        exponent.compare(VectorOperators.EQ, 0).cast(F));
    }

    private static void bytesToFloats(int n, long from, long to) {
        for (int block = 0; block < n / 32; block++) {
            long at = from + block * 34L;
            FloatVector d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            for (int j = 0; j < 32; j += B.length()) {
                ByteVector b = ByteVector.fromMemorySegment(B, MEM, at + 2 + j, ORDER);
                long y = to + (block * 32L + j) * 4;
                ((FloatVector) b.convertShape(B2F, F, 0)).mul(d).intoMemorySegment(MEM, y, ORDER);
                if (B.length() > LANES) {
                    ((FloatVector) b.convertShape(B2F, F, 1)).mul(d).intoMemorySegment(MEM, y + Simd.BYTES, ORDER);
                }
            }
        }
    }

    private static void nibblesToFloats(int n, long from, long to) {
        for (int block = 0; block < n / 32; block++) {
            long at = from + block * 18L;
            FloatVector d = FloatVector.broadcast(F, MEM.get(FLOAT, FLOAT16 + (MEM.get(SHORT, at) & 0xffff) * 4L));
            FloatVector e = d.mul(-24);
            for (int j = 0; j < 16; j += B.length()) {
                ByteVector b = ByteVector.fromMemorySegment(B, MEM, at + 2 + j, ORDER);
                long y = to + (block * 32L + j) * 4;
                nibblesToFloats((IntVector) b.convertShape(ZERO_EXTEND_B2I, I, 0), d, e, y);
                if (B.length() > LANES) {
                    nibblesToFloats((IntVector) b.convertShape(ZERO_EXTEND_B2I, I, 1), d, e, y + Simd.BYTES);
                }
            }
        }
    }

    private static void nibblesToFloats(IntVector b, FloatVector d, FloatVector e, long to) {
        b.lanewise(LSHL, 19)
                .and(NIBBLE)
                .or(SIXTEEN)
                .reinterpretAsFloats()
                .fma(d, e)
                .intoMemorySegment(MEM, to, ORDER);
        b.lanewise(LSHL, 15)
                .and(NIBBLE)
                .or(SIXTEEN)
                .reinterpretAsFloats()
                .fma(d, e)
                .intoMemorySegment(MEM, to + 64, ORDER);
    }

    /** A table of all float16 as float32: for a scale, which comes alone, faster than the arithmetic. */
    private static long float16Table() {
        MemorySegment table = Arena.global().allocate(4L << 16, 64);
        for (int i = 0; i < 1 << 16; i++) {
            table.setAtIndex(ValueLayout.JAVA_FLOAT, i, Float.float16ToFloat((short) i));
        }
        return table.address();
    }
}
