package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
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

    private static final int SQRT_HALF_BITS = Float.floatToRawIntBits((float) Math.sqrt(0.5));

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

    /**
     * {@code ln x} to about one unit in the last place, denormals included; -infinity at 0, NaN below.
     *
     * <p>{@code x = 2^e m} with {@code sqrt(1/2) <= m < sqrt(2)}; with {@code f = m - 1}, {@code ln m = f - f^2 / 2 + f^3 p(f)}.
     */
    static FloatVector log(FloatVector x) {
        VectorMask<Float> small = x.compare(VectorOperators.LT, Float.MIN_NORMAL);
        IntVector bits = x.blend(x.mul(0x1p23f), small).reinterpretAsInts();
        IntVector exponent = bits.sub(SQRT_HALF_BITS).lanewise(VectorOperators.ASHR, 23);
        FloatVector f = bits.sub(exponent.lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats().sub(1f);
        FloatVector e = (FloatVector) exponent.convertShape(VectorOperators.I2F, F, 0);
        e = e.blend(e.sub(23f), small);
        FloatVector p = FloatVector.broadcast(F, -0x1.38b5a2p-4f)
                .fma(f, FloatVector.broadcast(F, 0x1.055b82p-3f))
                .fma(f, FloatVector.broadcast(F, -0x1.0d8546p-3f))
                .fma(f, FloatVector.broadcast(F, 0x1.22da1ap-3f))
                .fma(f, FloatVector.broadcast(F, -0x1.547244p-3f))
                .fma(f, FloatVector.broadcast(F, 0x1.99a008p-3f))
                .fma(f, FloatVector.broadcast(F, -0x1.000226p-2f))
                .fma(f, FloatVector.broadcast(F, 0x1.555554p-2f));
        FloatVector square = f.mul(f);
        FloatVector low = p.mul(f).fma(square, e.mul(LN2_LOW));
        FloatVector y = e.fma(FloatVector.broadcast(F, LN2_HIGH), square.fma(FloatVector.broadcast(F, -0.5f), low).add(f));
        return y.blend(Float.NEGATIVE_INFINITY, x.compare(VectorOperators.EQ, 0f))
                .blend(Float.NaN, x.compare(VectorOperators.LT, 0f))
                .blend(x, x.test(VectorOperators.IS_FINITE).not().and(x.compare(VectorOperators.LT, 0f).not()));
    }

    /** The same for one number. */
    static float log(float x) {
        return log(FloatVector.broadcast(F, x)).lane(0);
    }

    /** {@code 1 / (1 + e^-x)}. */
    static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(F, 1).div(exp(x.neg()).add(1));
    }

    /** {@code tanh x = 1 - 2 / (e^(2|x|) + 1)} with the sign of x, and near 0 an odd polynomial, which cancels nothing. */
    static FloatVector tanh(FloatVector x) {
        FloatVector square = x.mul(x);
        FloatVector p = FloatVector.broadcast(F, 0x1.0da91ap-6f)
                .fma(square, FloatVector.broadcast(F, -0x1.af96acp-5f))
                .fma(square, FloatVector.broadcast(F, 0x1.10d01ap-3f))
                .fma(square, FloatVector.broadcast(F, -0x1.55545ap-2f));
        FloatVector near = p.mul(square).fma(x, x);
        FloatVector one = FloatVector.broadcast(F, 1);
        FloatVector far = one.sub(FloatVector.broadcast(F, 2).div(exp(x.add(x)).add(1)));
        return far.blend(near, square.compare(VectorOperators.LT, 0.55f * 0.55f));
    }
}
