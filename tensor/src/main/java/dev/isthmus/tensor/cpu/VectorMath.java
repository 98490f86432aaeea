package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions of vectors as polynomials: the same bits on every JDK, processor and vector width.
 *
 * <p>The library behind {@code lanewise(EXP)} and its kin differs between platforms and falls back to scalar code on some.
 */
final class VectorMath {
    private static final float LOG2_E = 0x1.715476p0f;
    private static final float LN2_HIGH = 0x1.62e430p-1f;
    private static final float LN2_LOW = -0x1.05c610p-29f;
    /** Adding this rounds to an integer and leaves it, plus 126, in the lowest bits of the sum. */
    private static final float ROUND = 0x1.8p23f + 126;

    private VectorMath() {}

    /**
     * {@code e^x} to about one unit in the last place; results below {@code 2^-125} are 0, so no denormals arise.
     *
     * <p>{@code e^x = 2^n e^r} with {@code |r| <= ln(2) / 2}. The polynomial gives {@code 2 e^r} and the scale is {@code
     * 2^(n-1)}, which reaches both ends of the range without a second step.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector t = FloatVector.broadcast(F, LOG2_E).fma(x, FloatVector.broadcast(F, ROUND));
        FloatVector n = t.sub(ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(F, -LN2_HIGH), x);
        r = n.fma(FloatVector.broadcast(F, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(F, 0x1.6a23cep-9f)
                .fma(r, FloatVector.broadcast(F, 0x1.123a2p-6f))
                .fma(r, FloatVector.broadcast(F, 0x1.5558f2p-4f))
                .fma(r, FloatVector.broadcast(F, 0x1.555492p-2f))
                .fma(r, FloatVector.broadcast(F, 0x1.fffffcp-1f))
                .fma(r, FloatVector.broadcast(F, 2))
                .fma(r, FloatVector.broadcast(F, 2));
        FloatVector scale = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        return p.mul(scale)
                .blend(0, x.compare(VectorOperators.LT, -87f))
                .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, 88.72284f));
    }
}
