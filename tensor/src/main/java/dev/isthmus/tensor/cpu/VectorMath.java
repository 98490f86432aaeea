package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

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

    private static final float E2 = 0x1.fffffcp-1f;
    private static final float E3 = 0x1.555492p-2f;
    private static final float E4 = 0x1.5558f2p-4f;
    private static final float E5 = 0x1.123a2p-6f;
    private static final float E6 = 0x1.6a23cep-9f;
    private static final float EXP_IS_ZERO = -87;
    private static final float EXP_IS_INFINITE = 88.72284f;

    private static final int SQRT_HALF_BITS = Float.floatToRawIntBits((float) Math.sqrt(0.5));

    /** The coefficients of {@link #log}, by the power of f. */
    private static final float LOG1 = 0x1.555554p-2f;

    private static final float LOG2 = -0x1.000226p-2f;
    private static final float LOG3 = 0x1.99a008p-3f;
    private static final float LOG4 = -0x1.547244p-3f;
    private static final float LOG5 = 0x1.22da1ap-3f;
    private static final float LOG6 = -0x1.0d8546p-3f;
    private static final float LOG7 = 0x1.055b82p-3f;
    private static final float LOG8 = -0x1.38b5a2p-4f;

    private static final float ATANH1 = 0x1.555558p-1f;
    private static final float ATANH2 = 0x1.9996a8p-2f;
    private static final float ATANH3 = 0x1.250972p-2f;
    private static final float ATANH4 = 0x1.b6d6ap-3f;
    private static final float ATANH5 = 0x1.f1aeeep-3f;

    private static final float SINE_LIMIT = 8192;
    private static final int ONE_BITS = Float.floatToRawIntBits(1);

    private VectorMath() {}

    /**
     * {@code e^x} to about one unit in the last place; results below {@code 2^-125} are 0, so no denormals arise.
     *
     * <p>{@code e^x = 2^n e^r} with {@code |r| <= ln(2) / 2}. The polynomial gives {@code 2 e^r} and the scale is {@code
     * 2^(n-1)}, which reaches both ends of the range without a second step.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector t = broadcast(F, LOG2_E).fma(x, broadcast(F, ROUND));
        FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), x);
        r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
        FloatVector p = broadcast(F, E6)
                .fma(r, broadcast(F, E5))
                .fma(r, broadcast(F, E4))
                .fma(r, broadcast(F, E3))
                .fma(r, broadcast(F, E2))
                .fma(r, broadcast(F, 2))
                .fma(r, broadcast(F, 2));
        return p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .blend(0, x.compare(VectorOperators.LT, EXP_IS_ZERO))
                .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_IS_INFINITE));
    }

    /**
     * {@code y = g e^(f x - c)} for {@code n} vectors that lie {@code step} bytes apart; {@code c} is the address of one vector.
     *
     * <p>It repeats {@link #exp(FloatVector)} because C2 stops inlining helpers in methods as large as its callers become, and
     * would then box every vector; the Vector API's own methods are exempt.
     */
    static void exp(int n, long step, long x, float f, long c, float g, long y) {
        x &= ADDRESS;
        y &= ADDRESS;
        step &= STRIDE;
        FloatVector shift = fromMemorySegment(F, MEM, c, ORDER);
        for (int i = 0; i < n; i++) {
            FloatVector v =
                    fromMemorySegment(F, MEM, x + i * step, ORDER).mul(f).sub(shift);
            FloatVector t = broadcast(F, LOG2_E).fma(v, broadcast(F, ROUND));
            FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), v);
            r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
            FloatVector p = broadcast(F, E6)
                    .fma(r, broadcast(F, E5))
                    .fma(r, broadcast(F, E4))
                    .fma(r, broadcast(F, E3))
                    .fma(r, broadcast(F, E2))
                    .fma(r, broadcast(F, 2))
                    .fma(r, broadcast(F, 2));
            p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(0, v.compare(VectorOperators.LT, EXP_IS_ZERO))
                    .blend(Float.POSITIVE_INFINITY, v.compare(VectorOperators.GT, EXP_IS_INFINITE))
                    .mul(g)
                    .intoMemorySegment(MEM, y + i * step, ORDER);
        }
    }

    /**
     * {@code y = e^(f x - c)}, of numbers that are 0 at most, for {@code n} vectors, which it adds to the one at {@code sum}; the one at
     * {@code max} becomes the larger of itself and {@code next}. Vectors of x and next lie {@code step} bytes apart, those of y {@code stepY}.
     */
    static void expSumAndMax(
            int n, long step, long x, float f, long c, long y, long stepY, long sum, long next, long max) {
        x &= ADDRESS;
        y &= ADDRESS;
        next &= ADDRESS;
        step &= STRIDE;
        stepY &= STRIDE;
        FloatVector shift = fromMemorySegment(F, MEM, c, ORDER);
        FloatVector s = fromMemorySegment(F, MEM, sum, ORDER);
        FloatVector m = fromMemorySegment(F, MEM, max, ORDER);
        for (int i = 0; i < n; i++) {
            FloatVector w = fromMemorySegment(F, MEM, next + i * step, ORDER);
            m = m.blend(w, w.compare(VectorOperators.GT, m));
            FloatVector v =
                    fromMemorySegment(F, MEM, x + i * step, ORDER).mul(f).sub(shift);
            FloatVector t = broadcast(F, LOG2_E).fma(v, broadcast(F, ROUND));
            FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), v);
            r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
            FloatVector p = broadcast(F, E6)
                    .fma(r, broadcast(F, E5))
                    .fma(r, broadcast(F, E4))
                    .fma(r, broadcast(F, E3))
                    .fma(r, broadcast(F, E2))
                    .fma(r, broadcast(F, 2))
                    .fma(r, broadcast(F, 2));
            p = p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(0, v.compare(VectorOperators.LT, EXP_IS_ZERO));
            s = s.add(p);
            p.intoMemorySegment(MEM, y + i * stepY, ORDER);
        }
        s.intoMemorySegment(MEM, sum, ORDER);
        m.intoMemorySegment(MEM, max, ORDER);
    }

    /** The same, but {@code y = x - c}. */
    static void shiftExpSumAndMax(int n, long step, long x, long c, long y, long sum, long next, long max) {
        x &= ADDRESS;
        y &= ADDRESS;
        next &= ADDRESS;
        step &= STRIDE;
        FloatVector shift = fromMemorySegment(F, MEM, c, ORDER);
        FloatVector s = fromMemorySegment(F, MEM, sum, ORDER);
        FloatVector m = fromMemorySegment(F, MEM, max, ORDER);
        for (int i = 0; i < n; i++) {
            FloatVector w = fromMemorySegment(F, MEM, next + i * step, ORDER);
            m = m.blend(w, w.compare(VectorOperators.GT, m));
            FloatVector v = fromMemorySegment(F, MEM, x + i * step, ORDER).sub(shift);
            FloatVector t = broadcast(F, LOG2_E).fma(v, broadcast(F, ROUND));
            FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), v);
            r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
            FloatVector p = broadcast(F, E6)
                    .fma(r, broadcast(F, E5))
                    .fma(r, broadcast(F, E4))
                    .fma(r, broadcast(F, E3))
                    .fma(r, broadcast(F, E2))
                    .fma(r, broadcast(F, 2))
                    .fma(r, broadcast(F, 2));
            p = p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(0, v.compare(VectorOperators.LT, EXP_IS_ZERO));
            s = s.add(p);
            v.intoMemorySegment(MEM, y + i * step, ORDER);
        }
        s.intoMemorySegment(MEM, sum, ORDER);
        m.intoMemorySegment(MEM, max, ORDER);
    }

    /**
     * {@code dx = dy + g e^y} of numbers y that are 0 at most, for {@code n} columns, a multiple of 2 {@link Rows#LANES}; the partial sums of
     * row {@code nextDy}, as many, go to {@code sums}, and of row {@code nextY} behind them, which only brings it into the cache.
     */
    static void addExpAndSum(int n, long y, float g, long dy, long dx, long nextY, long nextDy, long sums) {
        y &= ADDRESS;
        dy &= ADDRESS;
        dx &= ADDRESS;
        nextY &= ADDRESS;
        nextDy &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector s = FloatVector.zero(F);
            FloatVector u = s;
            FloatVector read = s;
            for (int j = part; j < n; j += 2 * Rows.LANES) {
                long k = (j & Integer.MAX_VALUE) * 4L;
                s = s.add(fromMemorySegment(F, MEM, nextDy + k, ORDER));
                read = read.add(fromMemorySegment(F, MEM, nextY + k, ORDER));
                FloatVector v = fromMemorySegment(F, MEM, y + k, ORDER);
                FloatVector t = broadcast(F, LOG2_E).fma(v, broadcast(F, ROUND));
                FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), v);
                r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
                FloatVector p = broadcast(F, E6)
                        .fma(r, broadcast(F, E5))
                        .fma(r, broadcast(F, E4))
                        .fma(r, broadcast(F, E3))
                        .fma(r, broadcast(F, E2))
                        .fma(r, broadcast(F, 2))
                        .fma(r, broadcast(F, 2));
                p = p.mul(t.reinterpretAsInts()
                                .lanewise(VectorOperators.LSHL, 23)
                                .reinterpretAsFloats())
                        .blend(0, v.compare(VectorOperators.LT, EXP_IS_ZERO));
                p.mul(g).add(fromMemorySegment(F, MEM, dy + k, ORDER)).intoMemorySegment(MEM, dx + k, ORDER);
                k += Rows.BYTES;
                u = u.add(fromMemorySegment(F, MEM, nextDy + k, ORDER));
                read = read.add(fromMemorySegment(F, MEM, nextY + k, ORDER));
                v = fromMemorySegment(F, MEM, y + k, ORDER);
                t = broadcast(F, LOG2_E).fma(v, broadcast(F, ROUND));
                r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), v);
                r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
                p = broadcast(F, E6)
                        .fma(r, broadcast(F, E5))
                        .fma(r, broadcast(F, E4))
                        .fma(r, broadcast(F, E3))
                        .fma(r, broadcast(F, E2))
                        .fma(r, broadcast(F, 2))
                        .fma(r, broadcast(F, 2));
                p = p.mul(t.reinterpretAsInts()
                                .lanewise(VectorOperators.LSHL, 23)
                                .reinterpretAsFloats())
                        .blend(0, v.compare(VectorOperators.LT, EXP_IS_ZERO));
                p.mul(g).add(fromMemorySegment(F, MEM, dy + k, ORDER)).intoMemorySegment(MEM, dx + k, ORDER);
            }
            s.intoMemorySegment(MEM, sums + part * 4L, ORDER);
            u.intoMemorySegment(MEM, sums + Rows.BYTES + part * 4L, ORDER);
            read.intoMemorySegment(MEM, sums + 2 * Rows.BYTES + part * 4L, ORDER);
        }
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
        FloatVector f = bits.sub(exponent.lanewise(VectorOperators.LSHL, 23))
                .reinterpretAsFloats()
                .sub(1f);
        FloatVector e = (FloatVector) exponent.convertShape(VectorOperators.I2F, F, 0);
        e = e.blend(e.sub(23f), small);
        FloatVector p = broadcast(F, LOG8)
                .fma(f, broadcast(F, LOG7))
                .fma(f, broadcast(F, LOG6))
                .fma(f, broadcast(F, LOG5))
                .fma(f, broadcast(F, LOG4))
                .fma(f, broadcast(F, LOG3))
                .fma(f, broadcast(F, LOG2))
                .fma(f, broadcast(F, LOG1));
        FloatVector square = f.mul(f);
        FloatVector low = p.mul(f).fma(square, e.mul(LN2_LOW));
        FloatVector y = e.fma(
                broadcast(F, LN2_HIGH), square.fma(broadcast(F, -0.5f), low).add(f));
        return y.blend(Float.NEGATIVE_INFINITY, x.compare(VectorOperators.EQ, 0f))
                .blend(Float.NaN, x.compare(VectorOperators.LT, 0f))
                .blend(
                        x,
                        x.test(VectorOperators.IS_FINITE)
                                .not()
                                .and(x.compare(VectorOperators.LT, 0f).not()));
    }

    /** The same for one number, the same bits: where it is taken once in a while, vectors are slow, since C2 has not seen them yet. */
    static float log(float x) {
        if (!(x > 0 && x < Float.POSITIVE_INFINITY)) {
            return x == 0 ? Float.NEGATIVE_INFINITY : x < 0 ? Float.NaN : x;
        }
        boolean small = x < Float.MIN_NORMAL;
        int bits = Float.floatToRawIntBits(small ? x * 0x1p23f : x);
        int exponent = bits - SQRT_HALF_BITS >> 23;
        float f = Float.intBitsToFloat(bits - (exponent << 23)) - 1;
        float e = small ? exponent - 23f : exponent;
        float p = Math.fma(LOG8, f, LOG7);
        p = Math.fma(p, f, LOG6);
        p = Math.fma(p, f, LOG5);
        p = Math.fma(p, f, LOG4);
        p = Math.fma(p, f, LOG3);
        p = Math.fma(p, f, LOG2);
        p = Math.fma(p, f, LOG1);
        float square = f * f;
        float low = Math.fma(p * f, square, e * LN2_LOW);
        return Math.fma(e, LN2_HIGH, Math.fma(square, -0.5f, low) + f);
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

    /** {@code e^x - 1} without cancellation: {@code 2^n (e^r - 1) + (2^n - 1)}, scaled as in {@link #exp(FloatVector)}. */
    static FloatVector expm1(FloatVector x) {
        FloatVector t = broadcast(F, LOG2_E).fma(x, broadcast(F, ROUND));
        FloatVector r = t.sub(ROUND).fma(broadcast(F, -LN2_HIGH), x);
        r = t.sub(ROUND).fma(broadcast(F, -LN2_LOW), r);
        FloatVector p = broadcast(F, 0x1.a17dfap-13f)
                .fma(r, broadcast(F, 0x1.6d4324p-10f))
                .fma(r, broadcast(F, 0x1.1110acp-7f))
                .fma(r, broadcast(F, 0x1.5554eap-5f))
                .fma(r, broadcast(F, 0x1.555556p-3f))
                .fma(r, broadcast(F, 0.5f));
        FloatVector half =
                t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        FloatVector y = half.fma(p.mul(r).fma(r, r), half.sub(0.5f)).mul(2);
        return y.blend(-1, x.compare(VectorOperators.LT, -17))
                .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_IS_INFINITE));
    }

    /** {@code ln(1 + x)}: the logarithm of the rounded sum {@code u}, corrected by what was lost in it, {@code (x - (u - 1)) / u}. */
    static FloatVector log1p(FloatVector x) {
        FloatVector u = x.add(1);
        FloatVector lost = x.sub(u.sub(1)).div(u);
        return log(u).add(lost.blend(0, lost.test(VectorOperators.IS_FINITE).not()));
    }

    /** {@code ln(1 + e) = 2 artanh(e / (2 + e))} for e in [0, 1]. */
    static FloatVector log1pOfFraction(FloatVector e) {
        FloatVector s = e.div(e.add(2));
        FloatVector square = s.mul(s);
        FloatVector p = broadcast(F, ATANH5)
                .fma(square, broadcast(F, ATANH4))
                .fma(square, broadcast(F, ATANH3))
                .fma(square, broadcast(F, ATANH2))
                .fma(square, broadcast(F, ATANH1));
        return p.mul(square).fma(s, s.add(s));
    }

    /**
     * {@code sin x}, for {@code quadrant} 1 {@code cos x}, for 2 {@code -sin x}: {@code x = k pi/2 + r}, pi/2 in three parts, and of {@code k +
     * quadrant} the lowest bit chooses the function of r, the next its sign.
     */
    static FloatVector sine(FloatVector x, int quadrant) {
        FloatVector t = broadcast(F, 0x1.45f306p-1f).fma(x, broadcast(F, 0x1.8p23f));
        FloatVector k = t.sub(0x1.8p23f);
        FloatVector r = k.fma(broadcast(F, -0x1.921fb6p0f), x);
        r = k.fma(broadcast(F, 0x1.777a5cp-25f), r);
        r = k.fma(broadcast(F, 0x1.ee59dap-50f), r);
        FloatVector square = r.mul(r);
        FloatVector sin = broadcast(F, -0x1.9ac7ccp-13f)
                .fma(square, broadcast(F, 0x1.110c22p-7f))
                .fma(square, broadcast(F, -0x1.555552p-3f));
        sin = sin.mul(square).fma(r, r);
        FloatVector cos = broadcast(F, 0x1.9bc726p-16f)
                .fma(square, broadcast(F, -0x1.6c129cp-10f))
                .fma(square, broadcast(F, 0x1.555554p-5f))
                .fma(square, broadcast(F, -0.5f))
                .fma(square, broadcast(F, 1));
        IntVector turns = t.reinterpretAsInts().add(quadrant);
        FloatVector odd = turns.lanewise(VectorOperators.LSHL, 31).or(ONE_BITS).reinterpretAsFloats();
        IntVector sign = turns.lanewise(VectorOperators.LSHL, 30).and(Integer.MIN_VALUE);
        FloatVector y = sin.blend(cos, odd.compare(VectorOperators.LT, 0));
        y = y.reinterpretAsInts().lanewise(VectorOperators.XOR, sign).reinterpretAsFloats();
        return x.abs().compare(VectorOperators.GT, SINE_LIMIT).anyTrue() ? preciseSine(x, quadrant, y) : y;
    }

    /** y, but by another way for the numbers beyond {@link #SINE_LIMIT}, where three parts of pi/2 are not enough; only for those. */
    private static FloatVector preciseSine(FloatVector x, int quadrant, FloatVector y) {
        float[] arguments = x.toArray();
        float[] values = y.toArray();
        for (int i = 0; i < values.length; i++) {
            if (Math.abs(arguments[i]) > SINE_LIMIT) {
                double sine = quadrant == 1 ? StrictMath.cos(arguments[i]) : StrictMath.sin(arguments[i]);
                values[i] = (float) (quadrant == 2 ? -sine : sine);
            }
        }
        return FloatVector.fromArray(F, values, 0);
    }
}
