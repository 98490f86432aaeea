package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * {@code x^p = e^(p ln x)}, the logarithm as a sum of two float32 numbers, since its error is multiplied by p.
 *
 * <p>Where x is not a positive finite number, or p not finite, the standard library's function is used.
 */
final class PowerKernels {
    private static final int SQRT_HALF_BITS = Float.floatToRawIntBits((float) Math.sqrt(0.5));
    private static final float LN2_HIGH = 0x1.62e430p-1f;
    private static final float LN2_LOW = -0x1.05c610p-29f;

    private PowerKernels() {}

    /** {@code y = x^p} for each x. */
    static void pow(int count, long x, float p, long y) {
        long powers = Scratch.address(Scratch.Use.ROW_B, RowLoop.PIECE * 4L);
        fill(Math.min(count, RowLoop.PIECE), powers, p);
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            piece(Math.min(RowLoop.PIECE, count - i), x + i * 4L, powers, y + i * 4L);
        }
    }

    /** {@code dx = dy p x^(p - 1)}. */
    static void powBackward(int count, long x, float p, long dy, long dx) {
        long powers = Scratch.address(Scratch.Use.ROW_B, RowLoop.PIECE * 4L);
        long slope = Scratch.address(Scratch.Use.ROW_C, RowLoop.PIECE * 4L);
        fill(Math.min(count, RowLoop.PIECE), powers, p - 1);
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            piece(n, x + i * 4L, powers, slope);
            scale(n, slope, p, dy + i * 4L, dx + i * 4L);
        }
    }

    /** {@code y = x^p} for pairs; at most a piece. */
    static void piece(int n, long x, long p, long y) {
        long high = Scratch.address(Scratch.Use.CONSTANTS, 2 * RowLoop.PIECE * 4L);
        long low = high + RowLoop.PIECE * 4L;
        logarithms(n, x, p, high, low);
        exponentials(n, high, low);
        finish(n, x, p, high, y);
    }

    private static void fill(int n, long to, float value) {
        for (int i = 0; i < n; i += LANES) {
            store(broadcast(F, value), to + i * 4L);
        }
    }

    private static void scale(int n, long slope, float p, long dy, long dx) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector s = p == 0 ? FloatVector.zero(F) : load(slope + i * 4L).mul(p);
            store(load(dy + i * 4L).mul(s), dx + i * 4L);
        }
    }

    /** {@code p ln x = high + low}, with {@code ln x = e ln 2 + f - f^2 / 2 + f^3 q(f)} as in {@link VectorMath#log}. */
    private static void logarithms(int n, long xAt, long pAt, long high, long low) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMask<Float> small = x.compare(VectorOperators.LT, Float.MIN_NORMAL);
            IntVector bits = x.blend(x.mul(0x1p23f), small).reinterpretAsInts();
            IntVector exponent = bits.sub(SQRT_HALF_BITS).lanewise(VectorOperators.ASHR, 23);
            FloatVector f = bits.sub(exponent.lanewise(VectorOperators.LSHL, 23))
                    .reinterpretAsFloats()
                    .sub(1f);
            FloatVector e = (FloatVector) exponent.convertShape(VectorOperators.I2F, F, 0);
            e = e.blend(e.sub(23f), small);
            FloatVector q = broadcast(F, -0x1.38b5a2p-4f)
                    .fma(f, broadcast(F, 0x1.055b82p-3f))
                    .fma(f, broadcast(F, -0x1.0d8546p-3f))
                    .fma(f, broadcast(F, 0x1.22da1ap-3f))
                    .fma(f, broadcast(F, -0x1.547244p-3f))
                    .fma(f, broadcast(F, 0x1.99a008p-3f))
                    .fma(f, broadcast(F, -0x1.000226p-2f))
                    .fma(f, broadcast(F, 0x1.555554p-2f));
            FloatVector square = f.mul(f);
            FloatVector squareRest = f.fma(f, square.neg());
            FloatVector main = e.mul(LN2_HIGH);
            FloatVector rest = e.fma(broadcast(F, LN2_HIGH), main.neg());
            FloatVector a = main.add(f);
            FloatVector b = a.sub(main);
            rest = rest.add(main.sub(a.sub(b)).add(f.sub(b)));
            FloatVector half = square.mul(-0.5f);
            FloatVector sum = a.add(half);
            b = sum.sub(a);
            rest = rest.add(a.sub(sum.sub(b)).add(half.sub(b)));
            FloatVector cubic = q.mul(f).mul(square);
            a = sum.add(cubic);
            b = a.sub(sum);
            rest = rest.add(sum.sub(a.sub(b)).add(cubic.sub(b)));
            rest = rest.add(squareRest.mul(-0.5f)).add(e.mul(LN2_LOW));
            FloatVector p = load(pAt + i * 4L);
            FloatVector h = p.mul(a);
            store(h, high + i * 4L);
            store(p.fma(a, h.neg()).add(p.mul(rest)), low + i * 4L);
        }
    }

    /** {@code high = e^high (1 + low)} to first order. */
    private static void exponentials(int n, long high, long low) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector e = VectorMath.exp(load(high + i * 4L));
            FloatVector more = e.mul(load(low + i * 4L));
            store(e.add(more.blend(0, more.test(VectorOperators.IS_FINITE).not())), high + i * 4L);
        }
    }

    private static void finish(int n, long xAt, long pAt, long power, long y) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector x = load(xAt + o);
            VectorMask<Float> usual = x.compare(VectorOperators.GT, 0)
                    .and(x.test(VectorOperators.IS_FINITE))
                    .and(load(pAt + o).test(VectorOperators.IS_FINITE));
            if (!usual.allTrue()) {
                for (int j = 0; j < LANES; j++) {
                    if (!usual.laneIsSet(j)) {
                        double unusual = StrictMath.pow(getFloat(xAt + o + j * 4L), getFloat(pAt + o + j * 4L));
                        setFloat(power + o + j * 4L, (float) unusual);
                    }
                }
            }
            store(load(power + o), y + o);
        }
    }
}
