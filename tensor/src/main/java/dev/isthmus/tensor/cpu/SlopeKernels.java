package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Gradients of the functions of one number: {@code dx (+)= dy f'(x)}, each with a loop of its own. */
final class SlopeKernels {
    private SlopeKernels() {}

    static void backward(UnaryBackward c) {
        float p = (float) c.p();
        float q = (float) c.q();
        Elements.parallel(c.n(), (from, count) -> {
            long x = c.x().plus(from).address();
            long dy = c.dy().plus(from).address();
            long dx = c.dx().plus(from).address();
            Elements.vectors(count, 2, x, dy, dx, 0, (n, a, b, y, _) -> {
                if (c.accumulate()) {
                    add(c.op(), n, a, b, y, p, q);
                } else {
                    overwrite(c.op(), n, a, b, y, p, q);
                }
            });
        });
    }

    private static void add(UnaryOp op, int count, long x, long dy, long dx, float p, float q) {
        long piece = Scratch.address(Scratch.Use.ROW_A, RowLoop.PIECE * 4L);
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            overwrite(op, n, x + i * 4L, dy + i * 4L, piece, p, q);
            ElementwiseKernels.add(n, piece, dx + i * 4L, dx + i * 4L);
        }
    }

    private static void overwrite(UnaryOp op, int n, long x, long dy, long dx, float p, float q) {
        switch (op) {
            case NEG -> neg(n, dy, dx);
            case EXP -> exp(n, x, dy, dx);
            case LOG -> log(n, x, dy, dx);
            case SQRT -> sqrt(n, x, dy, dx);
            case SQUARE -> square(n, x, dy, dx);
            case TANH -> tanh(n, x, dy, dx);
            case SIGMOID -> sigmoid(n, x, dy, dx);
            case RELU -> relu(n, x, dy, dx);
            case GELU_TANH -> geluTanh(n, x, dy, dx);
            case SILU -> silu(n, x, dy, dx);
            case AFFINE -> affine(n, dy, dx, p);
            case RSQRT -> rsqrt(n, x, dy, dx);
            case RECIPROCAL -> reciprocal(n, x, dy, dx);
            case ABS -> abs(n, x, dy, dx);
            case LOG1P -> log1p(n, x, dy, dx);
            case EXPM1 -> expm1(n, x, dy, dx);
            case SIN -> sin(n, x, dy, dx);
            case COS -> cos(n, x, dy, dx);
            case LOGSIGMOID -> logsigmoid(n, x, dy, dx);
            case MISH -> mish(n, x, dy, dx);
            case LEAKY_RELU -> leakyRelu(n, x, dy, dx, p);
            case ELU -> elu(n, x, dy, dx, p);
            case CLAMP -> clamp(n, x, dy, dx, p, q);
            case SOFTPLUS -> softplus(n, x, dy, dx, p, q);
            case ERF -> GaussianKernels.erfBackward(n, x, dy, dx);
            case GELU -> GaussianKernels.geluBackward(n, x, dy, dx);
            case POW -> PowerKernels.powBackward(n, x, p, dy, dx);
            case SIGN, FLOOR, CEIL, ROUND -> zero(n, dx);
        }
    }

    /** {@code s (1 + x (1 - s) (2u)')}. */
    private static FloatVector geluSlope(FloatVector x) {
        FloatVector square = x.mul(x);
        FloatVector s = UnaryKernels.geluGate(x, square);
        FloatVector inner = square.mul(3 * UnaryKernels.GELU_SCALE * UnaryKernels.GELU_CUBIC)
                .add(UnaryKernels.GELU_SCALE);
        return x.mul(inner).mul(UnaryKernels.one().sub(s)).add(1).mul(s);
    }

    private static FloatVector siluSlope(FloatVector x) {
        FloatVector s = VectorMath.sigmoid(x);
        return x.mul(UnaryKernels.one().sub(s)).add(1).mul(s);
    }

    /** {@code s(x) s(-x)}, which does not cancel for large x. */
    private static FloatVector sigmoidSlope(FloatVector x) {
        FloatVector e = VectorMath.exp(x.abs().neg());
        FloatVector s = UnaryKernels.one().div(e.add(1));
        return e.mul(s).mul(s);
    }

    /** {@code 1 - tanh(x)^2 = 4 s(2x) s(-2x)}. */
    private static FloatVector tanhSlope(FloatVector x) {
        return sigmoidSlope(x.add(x)).mul(4);
    }

    /** {@code t + x s (1 - t^2)} with {@code t = tanh(softplus(x)), s = sigmoid(x)}; 1 where the function is x. */
    private static FloatVector mishSlope(FloatVector x) {
        FloatVector one = UnaryKernels.one();
        FloatVector linear = FloatVector.broadcast(F, UnaryKernels.MISH_LINEAR);
        FloatVector e = VectorMath.exp(x.blend(linear, x.compare(VectorOperators.GT, linear)));
        FloatVector m = e.mul(e.add(2));
        FloatVector t = m.div(m.add(2));
        FloatVector s = e.div(e.add(1));
        return one.sub(t.mul(t)).mul(x.mul(s)).add(t).blend(one, x.compare(VectorOperators.GT, linear));
    }

    private static void zero(int n, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            store(FloatVector.zero(F), dxAt + i * 4L);
        }
    }

    private static void neg(int n, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector dy = load(dyAt + i * 4L);
            dy.neg().intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void exp(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.exp(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void log(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.div(x).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void sqrt(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(0.5f).div(x.sqrt()).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void square(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(x.add(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void tanh(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(tanhSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void sigmoid(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(sigmoidSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void relu(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            FloatVector.zero(F)
                    .blend(dy, x.compare(VectorOperators.GT, 0))
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void geluTanh(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(geluSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void silu(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(siluSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void affine(int n, long dyAt, long dxAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(p).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void rsqrt(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(-0.5f).div(x.mul(x.sqrt())).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void reciprocal(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.div(x.mul(x)).neg().intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void abs(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.blend(0, x.compare(VectorOperators.EQ, 0))
                    .blend(dy.neg(), x.compare(VectorOperators.LT, 0))
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void log1p(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.div(x.add(1)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void expm1(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.exp(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void sin(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.sine(x, 1)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void cos(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.sine(x, 2)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void logsigmoid(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.sigmoid(x.neg())).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void mish(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(mishSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void leakyRelu(int n, long xAt, long dyAt, long dxAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.blend(dy.mul(p), x.compare(VectorOperators.GT, 0).not()).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void elu(int n, long xAt, long dyAt, long dxAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.blend(
                            dy.mul(VectorMath.exp(x)).mul(p),
                            x.compare(VectorOperators.GT, 0).not())
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void clamp(int n, long xAt, long dyAt, long dxAt, float p, float q) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.blend(0, x.compare(VectorOperators.LT, p).or(x.compare(VectorOperators.GT, q)))
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void softplus(int n, long xAt, long dyAt, long dxAt, float p, float q) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.sigmoid(x.mul(p)).blend(1, x.mul(p).compare(VectorOperators.GT, q)))
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }
}
