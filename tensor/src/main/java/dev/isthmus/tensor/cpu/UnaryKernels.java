package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;

import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Functions of one number and their gradients. Each has a loop of its own, which the compiler needs to see. */
final class UnaryKernels {
    private static final float GELU_SCALE = (float) Math.sqrt(8 / Math.PI);
    private static final float GELU_CUBIC = 0.044715f;

    private UnaryKernels() {}

    /** Whether there is a vector form. */
    static boolean has(UnaryOp op) {
        return switch (op) {
            case NEG,
                    EXP,
                    LOG,
                    SQRT,
                    RSQRT,
                    RECIPROCAL,
                    ABS,
                    SQUARE,
                    TANH,
                    SIGMOID,
                    RELU,
                    GELU_TANH,
                    SILU,
                    AFFINE,
                    CLAMP -> true;
            default -> false;
        };
    }

    /** Whether there is a vector form of the gradient. */
    static boolean hasBackward(UnaryOp op) {
        return switch (op) {
            case NEG, EXP, LOG, SQRT, SQUARE, TANH, SIGMOID, RELU, GELU_TANH, SILU, AFFINE -> true;
            default -> false;
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
            default -> throw new IllegalArgumentException(op.name());
        }
    }

    static void unaryBackward(UnaryBackward c) {
        float p = (float) c.p();
        Elements.parallel(c.n(), (from, count) -> {
            long x = c.x().plus(from).address();
            long dy = c.dy().plus(from).address();
            long dx = c.dx().plus(from).address();
            Elements.vectors(count, 2, x, dy, dx, 0, (n, a, b, y, _) -> {
                if (c.accumulate()) {
                    addBackward(c.op(), n, a, b, y, p);
                } else {
                    unaryBackward(c.op(), n, a, b, y, p);
                }
            });
        });
    }

    private static void addBackward(UnaryOp op, int count, long x, long dy, long dx, float p) {
        long piece = Scratch.address(Scratch.Use.ROW_A, RowLoop.PIECE * 4L);
        for (int i = 0; i < count; i += RowLoop.PIECE) {
            int n = Math.min(RowLoop.PIECE, count - i);
            unaryBackward(op, n, x + i * 4L, dy + i * 4L, piece, p);
            ElementwiseKernels.add(n, piece, dx + i * 4L, dx + i * 4L);
        }
    }

    private static void unaryBackward(UnaryOp op, int n, long x, long dy, long dx, float p) {
        switch (op) {
            case NEG -> negBackward(n, dy, dx);
            case EXP -> expBackward(n, x, dy, dx);
            case LOG -> logBackward(n, x, dy, dx);
            case SQRT -> sqrtBackward(n, x, dy, dx);
            case SQUARE -> squareBackward(n, x, dy, dx);
            case TANH -> tanhBackward(n, x, dy, dx);
            case SIGMOID -> sigmoidBackward(n, x, dy, dx);
            case RELU -> reluBackward(n, x, dy, dx);
            case GELU_TANH -> geluTanhBackward(n, x, dy, dx);
            case SILU -> siluBackward(n, x, dy, dx);
            case AFFINE -> affineBackward(n, dy, dx, p);
            default -> throw new IllegalArgumentException(op.name());
        }
    }

    private static FloatVector one() {
        return FloatVector.broadcast(F, 1);
    }

    /** {@code (1 + tanh u) / 2 = sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3)} (Hendrycks and Gimpel 2016). */
    private static FloatVector geluGate(FloatVector x, FloatVector square) {
        return VectorMath.sigmoid(x.mul(square.mul(GELU_SCALE * GELU_CUBIC).add(GELU_SCALE)));
    }

    /** {@code s (1 + x (1 - s) (2u)')}. */
    private static FloatVector geluSlope(FloatVector x) {
        FloatVector square = x.mul(x);
        FloatVector s = geluGate(x, square);
        FloatVector inner = square.mul(3 * GELU_SCALE * GELU_CUBIC).add(GELU_SCALE);
        return x.mul(inner).mul(one().sub(s)).add(1).mul(s);
    }

    private static FloatVector siluSlope(FloatVector x) {
        FloatVector s = VectorMath.sigmoid(x);
        return x.mul(one().sub(s)).add(1).mul(s);
    }

    /** {@code s(x) s(-x)}, which does not cancel for large x. */
    private static FloatVector sigmoidSlope(FloatVector x) {
        FloatVector e = VectorMath.exp(x.abs().neg());
        FloatVector s = one().div(e.add(1));
        return e.mul(s).mul(s);
    }

    /** {@code 1 - tanh(x)^2 = 4 s(2x) s(-2x)}. */
    private static FloatVector tanhSlope(FloatVector x) {
        return sigmoidSlope(x.add(x)).mul(4);
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
            x.blend(p, x.compare(VectorOperators.LT, p))
                    .blend(q, x.compare(VectorOperators.GT, q))
                    .intoMemorySegment(MEM, yAt + i * 4L, ORDER);
        }
    }

    private static void negBackward(int n, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector dy = load(dyAt + i * 4L);
            dy.neg().intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void expBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(VectorMath.exp(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void logBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.div(x).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void sqrtBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(0.5f).div(x.sqrt()).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void squareBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(x.add(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void tanhBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(tanhSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void sigmoidBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(sigmoidSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void reluBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            FloatVector.zero(F)
                    .blend(dy, x.compare(VectorOperators.GT, 0))
                    .intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void geluTanhBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(geluSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void siluBackward(int n, long xAt, long dyAt, long dxAt) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector x = load(xAt + i * 4L);
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(siluSlope(x)).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }

    private static void affineBackward(int n, long dyAt, long dxAt, float p) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector dy = load(dyAt + i * 4L);
            dy.mul(p).intoMemorySegment(MEM, dxAt + i * 4L, ORDER);
        }
    }
}
