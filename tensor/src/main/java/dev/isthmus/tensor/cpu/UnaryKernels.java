package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;

import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Functions of one number. Each has a loop of its own, which the compiler needs to see. */
final class UnaryKernels {
    static final float GELU_SCALE = (float) Math.sqrt(8 / Math.PI);
    static final float GELU_CUBIC = 0.044715f;

    /** Beyond this, {@code tanh(softplus(x))} is 1 and {@code e^2x} may not be computed. */
    static final float MISH_LINEAR = 20;

    private UnaryKernels() {}

    /** Whether there is a vector form. */
    static boolean has(UnaryOp op) {
        return switch (op) {
            case FLOOR, CEIL, ROUND -> false;
            default -> true;
        };
    }

    static void unary(Unary c) {
        float p = (float) c.p();
        float q = (float) c.q();
        Elements.parallel(c.n(), (from, count) -> {
            long x = c.x().plus(from).address();
            long y = c.y().plus(from).address();
            Elements.vectors(count, 1, x, y, 0, 0, (n, a, b, _, _) -> unary(c.op(), n, a, b, p, q));
        });
    }

    private static void unary(UnaryOp op, int n, long x, long y, float p, float q) {
        switch (op) {
            case NEG -> neg(n, x, y);
            case EXP -> exp(n, x, y);
            case LOG -> log(n, x, y);
            case SQRT -> sqrt(n, x, y);
            case RSQRT -> rsqrt(n, x, y);
            case RECIPROCAL -> reciprocal(n, x, y);
            case ABS -> abs(n, x, y);
            case SQUARE -> square(n, x, y);
            case TANH -> tanh(n, x, y);
            case SIGMOID -> sigmoid(n, x, y);
            case RELU -> relu(n, x, y);
            case GELU_TANH -> geluTanh(n, x, y);
            case SILU -> silu(n, x, y);
            case AFFINE -> affine(n, x, y, p, q);
            case CLAMP -> clamp(n, x, y, p, q);
            case LOG1P -> log1p(n, x, y);
            case EXPM1 -> expm1(n, x, y);
            case SIN -> sin(n, x, y);
            case COS -> cos(n, x, y);
            case SIGN -> sign(n, x, y);
            case LOGSIGMOID -> logsigmoid(n, x, y);
            case MISH -> mish(n, x, y);
            case LEAKY_RELU -> leakyRelu(n, x, y, p);
            case ELU -> elu(n, x, y, p);
            case SOFTPLUS -> softplus(n, x, y, p, q);
            case ERF -> GaussianKernels.erf(n, x, y);
            case GELU -> GaussianKernels.gelu(n, x, y);
            case POW -> PowerKernels.pow(n, x, p, y);
            case FLOOR, CEIL, ROUND -> throw new IllegalArgumentException(op.name());
        }
    }

    static FloatVector one() {
        return FloatVector.broadcast(F, 1);
    }

    /** {@code (1 + tanh u) / 2 = sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3)} (Hendrycks and Gimpel 2016). */
    static FloatVector geluGate(FloatVector x, FloatVector square) {
        return VectorMath.sigmoid(x.mul(square.mul(GELU_SCALE * GELU_CUBIC).add(GELU_SCALE)));
    }

    /** {@code tanh(softplus(x)) = m / (m + 2), m = e^x (e^x + 2)}, for x up to {@link #MISH_LINEAR}. */
    static FloatVector mishGate(FloatVector x) {
        FloatVector e = VectorMath.exp(x.blend(MISH_LINEAR, x.compare(VectorOperators.GT, MISH_LINEAR)));
        FloatVector m = e.mul(e.add(2));
        return m.div(m.add(2));
    }

    private static void neg(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.neg().intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void exp(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.exp(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void log(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.log(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void sqrt(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.sqrt().intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void rsqrt(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            one().div(x.sqrt()).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void reciprocal(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            one().div(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void abs(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.abs().intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void square(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.mul(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void tanh(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.tanh(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void sigmoid(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.sigmoid(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void relu(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.blend(0, x.compare(VectorOperators.LT, 0)).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void geluTanh(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.mul(geluGate(x, x.mul(x))).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void silu(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.mul(VectorMath.sigmoid(x)).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void affine(int n, long xAt, long yAt, float p, float q) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.mul(p).add(q).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void clamp(int n, long xAt, long yAt, float p, float q) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector least = x.blend(p, x.compare(VectorOperators.LT, p));
            least.blend(q, least.compare(VectorOperators.GT, q)).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void log1p(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.log1p(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void expm1(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.expm1(x).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void sin(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.sine(x, 0).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void cos(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            VectorMath.sine(x, 1).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void sign(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector.zero(F)
                    .blend(1, x.compare(VectorOperators.GT, 0))
                    .blend(-1, x.compare(VectorOperators.LT, 0))
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void logsigmoid(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.blend(0, x.compare(VectorOperators.GT, 0))
                    .sub(VectorMath.log1pOfFraction(VectorMath.exp(x.abs().neg())))
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void mish(int n, long xAt, long yAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.mul(mishGate(x))
                    .blend(x, x.compare(VectorOperators.GT, MISH_LINEAR))
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void leakyRelu(int n, long xAt, long yAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.blend(x.mul(p), x.compare(VectorOperators.GT, 0).not()).intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void elu(int n, long xAt, long yAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            x.blend(VectorMath.expm1(x).mul(p), x.compare(VectorOperators.GT, 0).not())
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    /** {@code max(z, 0) + ln(1 + e^-|z|)} over p, {@code z = p x}. */
    private static void softplus(int n, long xAt, long yAt, float p, float q) {
        float inverse = 1 / p;
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector z = x.mul(p);
            FloatVector rest = VectorMath.log1pOfFraction(VectorMath.exp(z.abs().neg()));
            z.blend(0, z.compare(VectorOperators.LT, 0))
                    .add(rest)
                    .mul(inverse)
                    .blend(x, z.compare(VectorOperators.GT, q))
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }
}
