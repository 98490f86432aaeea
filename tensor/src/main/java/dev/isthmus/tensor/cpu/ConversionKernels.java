package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.first;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Copy;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Copies between float32 and the types that are stored in fewer bytes: bfloat16, float16 and bool. */
final class ConversionKernels {
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_PREFERRED.withShape(F.vectorShape());
    private static final VectorSpecies<Short> S =
            ShortVector.SPECIES_PREFERRED.withShape(VectorShape.forBitSize(F.vectorBitSize() / 2));

    private static final int SIGN = 0x8000;
    private static final int INFINITY = 0x7c00;
    private static final int NAN = 0x7e00;

    /** The float32 exponent of a number less the float16 exponent of the same number. */
    private static final int BIAS = 127 - 15;

    private ConversionKernels() {}

    /** Whether there is a vector form. */
    static boolean has(Copy c) {
        DType small = c.to().dtype() == DType.FLOAT32 ? c.from().dtype() : c.to().dtype();
        boolean one = c.from().dtype() == DType.FLOAT32 || c.to().dtype() == DType.FLOAT32;
        if (c.accumulate() || !one || !small.isHalf() && small != DType.BOOL) {
            return false;
        }
        RowLoop loop = new RowLoop(c.shape(), c.strideFrom(), c.strideTo());
        return loop.step(0) == 1 && loop.step(1) == 1;
    }

    static void convert(Copy c) {
        RowLoop loop = new RowLoop(c.shape(), c.strideFrom(), c.strideTo());
        loop.run((n, at) -> {
            long from = c.from().plus(at[0]).address();
            long to = c.to().plus(at[1]).address();
            switch (c.from().dtype()) {
                case BFLOAT16 -> fromBFloat16(n, from, to);
                case FLOAT16 -> fromFloat16(n, from, to);
                case BOOL -> fromBool(n, from, to);
                default -> {
                    switch (c.to().dtype()) {
                        case BFLOAT16 -> toBFloat16(n, from, to);
                        case FLOAT16 -> toFloat16(n, from, to);
                        default -> toBool(n, from, to);
                    }
                }
            }
        });
    }

    private static IntVector loadShorts(long address) {
        return (IntVector) ShortVector.fromMemorySegment(S, MEM, address, ORDER)
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0);
    }

    private static void storeShorts(IntVector v, long address) {
        ((ShortVector) v.convertShape(VectorOperators.I2S, S, 0)).intoMemorySegment(MEM, address, ORDER);
    }

    private static short getShort(long address) {
        return MEM.get(ValueLayout.JAVA_SHORT_UNALIGNED, address);
    }

    private static void setShort(long address, short value) {
        MEM.set(ValueLayout.JAVA_SHORT_UNALIGNED, address, value);
    }

    private static void fromBFloat16(int n, long from, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(loadShorts(from + i * 2L).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), to + i * 4L);
        }
        for (; i < n; i++) {
            Simd.setFloat(to + i * 4L, BFloat16.toFloat(getShort(from + i * 2L)));
        }
    }

    private static void toBFloat16(int n, long from, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector x = load(from + i * 4L);
            IntVector bits = x.blend(Float.NaN, x.test(VectorOperators.IS_NAN)).reinterpretAsInts();
            IntVector even = bits.lanewise(VectorOperators.LSHR, 16).and(1);
            storeShorts(bits.add(even).add(0x7fff).lanewise(VectorOperators.LSHR, 16), to + i * 2L);
        }
        for (; i < n; i++) {
            setShort(to + i * 2L, BFloat16.of(Simd.getFloat(from + i * 4L)));
        }
    }

    /**
     * The bits of a finite number, moved to where float32 has its own and read as one, are it but for a factor of {@code
     * 2^BIAS}, subnormal numbers included.
     */
    private static void fromFloat16(int n, long from, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            IntVector h = loadShorts(from + i * 2L);
            IntVector bits = h.and(SIGN - 1).lanewise(VectorOperators.LSHL, 13);
            FloatVector x = bits.reinterpretAsFloats().mul(0x1p112f);
            FloatVector special = bits.or(0x7f800000).reinterpretAsFloats();
            IntVector sign = h.and(SIGN).lanewise(VectorOperators.LSHL, 16);
            FloatVector y = x.blend(special, x.compare(VectorOperators.GE, 0x1p16f));
            store(y.reinterpretAsInts().or(sign).reinterpretAsFloats(), to + i * 4L);
        }
        for (; i < n; i++) {
            Simd.setFloat(to + i * 4L, Float.float16ToFloat(getShort(from + i * 2L)));
        }
    }

    /**
     * Numbers that are normal in float16 are rounded as integers: what is cut off plus 1/2 carries into what stays. Adding 1/2
     * to a smaller number rounds it to a multiple of {@code 2^-24}, the unit of the subnormal ones.
     */
    private static void toFloat16(int n, long from, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector x = load(from + i * 4L);
            FloatVector size = x.abs();
            IntVector bits = size.reinterpretAsInts();
            IntVector even = bits.lanewise(VectorOperators.LSHR, 13).and(1);
            IntVector normal = bits.add(even).add(0xfff - (BIAS << 23)).lanewise(VectorOperators.LSHR, 13);
            IntVector small = size.add(0.5f).reinterpretAsInts().sub(Float.floatToRawIntBits(0.5f));
            FloatVector y = normal.reinterpretAsFloats()
                    .blend(small.reinterpretAsFloats(), size.compare(VectorOperators.LT, 0x1p-14f))
                    .blend(Float.intBitsToFloat(INFINITY), size.compare(VectorOperators.GE, 65520))
                    .blend(Float.intBitsToFloat(NAN), x.test(VectorOperators.IS_NAN));
            IntVector sign =
                    x.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(SIGN);
            storeShorts(y.reinterpretAsInts().or(sign), to + i * 2L);
        }
        for (; i < n; i++) {
            setShort(to + i * 2L, Float.floatToFloat16(Simd.getFloat(from + i * 4L)));
        }
    }

    private static void fromBool(int n, long from, long to) {
        FloatVector zero = FloatVector.zero(F);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            store(zero.blend(1, BoolKernels.mask(from + i)), to + i * 4L);
        }
        if (i < n) {
            store(zero.blend(1, BoolKernels.mask(from + i, n - i)), to + i * 4L, first(n - i));
        }
    }

    private static void toBool(int n, long from, long to) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            BoolKernels.storeMask(load(from + i * 4L).compare(VectorOperators.NE, 0), to + i);
        }
        if (i < n) {
            VectorMask<Float> rest = first(n - i);
            BoolKernels.storeMask(load(from + i * 4L, rest).compare(VectorOperators.NE, 0), to + i, n - i);
        }
    }
}
