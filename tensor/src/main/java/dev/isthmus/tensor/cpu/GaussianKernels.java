package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The error function, and the exact GELU that is made of it.
 *
 * <p>{@code erfc(t) = e^(-t^2) k p(k)}, {@code k = 1 / (1 + t / 2)}, for {@code t >= 0} (the form of Abramowitz and Stegun
 * 7.1.26, its polynomial fitted anew to the precision of float32). The exponentials go through memory in pieces, since C2 would
 * not inline all of it into one loop.
 */
final class GaussianKernels {
    private static final float SQRT_HALF = (float) Math.sqrt(0.5);
    private static final float DENSITY = (float) (1 / Math.sqrt(2 * Math.PI));
    private static final float ERF_SLOPE = (float) (2 / Math.sqrt(Math.PI));

    private GaussianKernels() {}

    /** {@code y = e^(f x^2)}. */
    private static void exponentials(int n, long x, float f, long y) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = load(x + i * 4L);
            store(VectorMath.exp(v.mul(v).mul(f)), y + i * 4L);
        }
    }

    /** {@code erfc(t) e^(t^2)}. */
    private static FloatVector scaledErfc(FloatVector t) {
        FloatVector k = broadcast(F, 1).div(t.mul(0.5f).add(1));
        return broadcast(F, -0x1.e459f6p-5f)
                .fma(k, broadcast(F, 0x1.23af58p-2f))
                .fma(k, broadcast(F, -0x1.f3795cp-2f))
                .fma(k, broadcast(F, 0x1.1d684cp-2f))
                .fma(k, broadcast(F, -0x1.bb99ecp-6f))
                .fma(k, broadcast(F, 0x1.9f7e4ep-3f))
                .fma(k, broadcast(F, 0x1.f1c708p-3f))
                .fma(k, broadcast(F, 0x1.2128bep-2f))
                .fma(k, broadcast(F, 0x1.20db2ap-2f))
                .mul(k);
    }

    /** The distribution function, {@code erfc(-x / sqrt(2)) / 2}, from {@code e = e^(-x^2 / 2)}. */
    private static FloatVector distribution(FloatVector x, FloatVector e) {
        FloatVector tail = scaledErfc(x.abs().mul(SQRT_HALF)).mul(e).mul(0.5f);
        return tail.blend(broadcast(F, 1).sub(tail), x.compare(VectorOperators.GT, 0));
    }

    private static long piece() {
        return Scratch.address(Scratch.Use.CONSTANTS, RowLoop.PIECE * 4L);
    }

    static void erf(int count, long x, long y) {
        long e = piece();
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            exponentials(n, x + i * 4L, -1, e);
            erf(n, x + i * 4L, e, y + i * 4L);
        }
    }

    private static void erf(int n, long xAt, long eAt, long y) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector square = x.mul(x);
            FloatVector near = broadcast(F, -0x1.57632ap-11f)
                    .fma(square, broadcast(F, 0x1.4d6912p-8f))
                    .fma(square, broadcast(F, -0x1.b77414p-6f))
                    .fma(square, broadcast(F, 0x1.ce2854p-4f))
                    .fma(square, broadcast(F, -0x1.812730p-2f))
                    .fma(square, broadcast(F, 0x1.06eba8p-3f))
                    .fma(x, x);
            FloatVector far = broadcast(F, 1).sub(scaledErfc(x.abs()).mul(load(eAt + i * 4L)));
            far = far.blend(far.neg(), x.compare(VectorOperators.LT, 0));
            store(far.blend(near, square.compare(VectorOperators.LT, 0.64f)), y + i * 4L);
        }
    }

    static void gelu(int count, long x, long y) {
        long e = piece();
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            exponentials(n, x + i * 4L, -0.5f, e);
            gelu(n, x + i * 4L, e, y + i * 4L);
        }
    }

    private static void gelu(int n, long xAt, long eAt, long y) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            store(x.mul(distribution(x, load(eAt + i * 4L))), y + i * 4L);
        }
    }

    /** {@code 2 / sqrt(pi) e^(-x^2)}. */
    static void erfBackward(int count, long x, long dy, long dx) {
        long e = piece();
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            exponentials(n, x + i * 4L, -1, e);
            scale(n, e, dy + i * 4L, dx + i * 4L);
        }
    }

    private static void scale(int n, long e, long dy, long dx) {
        for (int i = 0; i < n; i += LANES) {
            store(load(dy + i * 4L).mul(load(e + i * 4L).mul(ERF_SLOPE)), dx + i * 4L);
        }
    }

    /** {@code Phi(x) + x phi(x)}. */
    static void geluBackward(int count, long x, long dy, long dx) {
        long e = piece();
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            exponentials(n, x + i * 4L, -0.5f, e);
            geluBackward(n, x + i * 4L, e, dy + i * 4L, dx + i * 4L);
        }
    }

    private static void geluBackward(int n, long xAt, long eAt, long dy, long dx) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector e = load(eAt + i * 4L);
            FloatVector slope = x.mul(DENSITY).fma(e, distribution(x, e));
            store(load(dy + i * 4L).mul(slope), dx + i * 4L);
        }
    }
}
