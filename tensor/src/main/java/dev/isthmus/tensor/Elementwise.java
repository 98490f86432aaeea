package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Dropout;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.KernelCall.Where;
import dev.isthmus.tensor.Tensor.GradTarget;
import org.jspecify.annotations.Nullable;

/** Elementwise operations and their gradients. */
final class Elementwise {
    private Elementwise() {}

    /** {@code y = f(x)}; {@code dx = dy f'(x)}. */
    static Tensor unary(UnaryOp op, Tensor input, double p, double q) {
        DType dtype = resultType(op, input.dtype(), p, q);
        if (dtype.isHalf()) {
            boolean limits = op == UnaryOp.CLAMP;
            double first = limits ? rounded(p, dtype) : p;
            double second = limits || op == UnaryOp.AFFINE ? rounded(q, dtype) : q;
            return unary(op, input.to(DType.FLOAT32), first, second).to(dtype);
        }
        Tensor x = input.alive().to(dtype).contiguous();
        Tensor y = Tensor.empty(dtype, x.shape());
        y.run(new Unary(op, x.count(), x.buffer(), y.buffer(), p, q));
        return Autograd.record(
                op.name(),
                y,
                dy -> {
                    GradTarget into = x.gradInto();
                    boolean linear = op == UnaryOp.AFFINE
                            || op == UnaryOp.NEG; // then x, which may have changed, does not matter
                    Buffer at = linear ? dy.buffer() : x.buffer();
                    dy.run(new UnaryBackward(
                            op, x.count(), at, dy.buffer(), into.target().buffer(), p, q, into.accumulate()));
                },
                x);
    }

    /** {@code y = x m}, {@code m} being 0 or {@code 1 / (1 - p)}; {@code dx = dy m}, drawn again. */
    static Tensor dropout(Tensor input, double p, Rng rng) {
        if (!(p >= 0 && p < 1)) {
            throw new TensorException("dropout: p must be at least 0 and below 1, found " + p);
        }
        requireFloat("dropout", input);
        if (p == 0) {
            return input;
        }
        if (input.dtype().isHalf()) {
            return dropout(input.to(DType.FLOAT32), p, rng).to(input.dtype());
        }
        Tensor x = input.alive().contiguous();
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        y.run(new Dropout(x.count(), x.buffer(), y.buffer(), rng, p));
        return Autograd.record("dropout", y, dy -> x.addGrad(dropout(dy, p, rng)), x);
    }

    /** Integers stay integers where the function and its constants have integer values; else they become float32. */
    private static DType resultType(UnaryOp op, DType x, double p, double q) {
        if (x.isFloatingPoint()) {
            return x;
        }
        boolean whole = switch (op) {
            case NEG, ABS, SIGN, SQUARE, RELU, FLOOR, CEIL, ROUND -> true;
            case AFFINE -> isWhole(p) && isWhole(q);
            case POW -> isWhole(p);
            case CLAMP -> (isWhole(p) || Double.isInfinite(p)) && (isWhole(q) || Double.isInfinite(q));
            default -> false;
        };
        if (!whole) {
            return DType.FLOAT32;
        }
        if (op == UnaryOp.POW && p < 0) {
            throw new TensorException("pow: the negative power " + p + " of integers; convert them with to(FLOAT32)");
        }
        if (x != DType.BOOL || op == UnaryOp.SIGN) {
            return x;
        }
        return switch (op) {
            case NEG, ABS, RELU -> throw new TensorException(op + ": not defined for BOOL; use logicalNot() or to()");
            default -> DType.INT64;
        };
    }

    /** An argument of an operation that computes in float32 whatever type its numbers are stored in. */
    static @Nullable Tensor toFloat32(@Nullable Tensor x) {
        return x == null ? null : x.to(DType.FLOAT32);
    }

    /** Numbers take the type of the tensor beside them; PyTorch excepts factors and divisors of the half types, as we do. */
    private static double rounded(double number, DType half) {
        float value = (float) number;
        return half == DType.BFLOAT16
                ? BFloat16.toFloat(BFloat16.of(value))
                : Float.float16ToFloat(Float.floatToFloat16(value));
    }

    private static boolean isWhole(double number) {
        return number == Math.rint(number) && !Double.isInfinite(number);
    }

    /** The type of two tensors' results; one of rank 0 counts only if it is of a higher kind: {@code torch.result_type}. */
    static DType resultType(Tensor a, Tensor b) {
        if (a.rank() == 0 && b.rank() > 0 && kind(a.dtype()) <= kind(b.dtype())) {
            return b.dtype();
        }
        if (b.rank() == 0 && a.rank() > 0 && kind(b.dtype()) <= kind(a.dtype())) {
            return a.dtype();
        }
        return DType.promote(a.dtype(), b.dtype());
    }

    private static int kind(DType dtype) {
        return dtype == DType.BOOL ? 0 : dtype.isFloatingPoint() ? 2 : 1;
    }

    /** A number as a tensor of {@code type}, unless it has a fraction and the type has none. */
    static Tensor number(double value, DType type) {
        if (type.isFloatingPoint()) {
            return Tensor.full(type, value);
        }
        boolean truth = value == 0 || value == 1;
        return Tensor.full(!isWhole(value) ? DType.FLOAT32 : type == DType.BOOL && !truth ? DType.INT64 : type, value);
    }

    static Tensor binary(BinaryOp op, Tensor left, Tensor right) {
        DType dtype = resultType(left.alive(), right.alive());
        if (!dtype.isFloatingPoint()) {
            requireIntegers(op, dtype, left, right);
        }
        if (op == BinaryOp.DIV && !dtype.isFloatingPoint()) {
            dtype = DType.FLOAT32;
        }
        if (dtype.isHalf()) {
            Tensor y = binary(op, left.to(DType.FLOAT32), right.to(DType.FLOAT32));
            return op.isComparison() ? y : y.to(dtype);
        }
        Tensor a = left.to(dtype);
        Tensor b = right.to(dtype);
        Tensor y = compute(op, a, b);
        return switch (op) {
            case ADD ->
                Autograd.record(
                        "add",
                        y,
                        dy -> {
                            a.addGrad(sumTo(dy, a.shape()));
                            b.addGrad(sumTo(dy, b.shape()));
                        },
                        a,
                        b);
            case SUB ->
                Autograd.record(
                        "sub",
                        y,
                        dy -> {
                            a.addGrad(sumTo(dy, a.shape()));
                            if (b.requiresGrad()) {
                                b.addGrad(sumTo(dy.neg(), b.shape()));
                            }
                        },
                        a,
                        b);
            // da = dy b, db = dy a
            case MUL ->
                Autograd.record(
                        "mul",
                        y,
                        dy -> {
                            if (a.requiresGrad()) {
                                a.addGrad(sumTo(dy.mul(b), a.shape()));
                            }
                            if (b.requiresGrad()) {
                                b.addGrad(sumTo(dy.mul(a), b.shape()));
                            }
                        },
                        a,
                        b);
            // da = dy / b, db = -dy y / b
            case DIV ->
                Autograd.record(
                        "div",
                        y,
                        dy -> {
                            Tensor da = dy.div(b);
                            if (b.requiresGrad()) {
                                b.addGrad(sumTo(da.mul(y).neg(), b.shape()));
                            }
                            a.addGrad(sumTo(da, a.shape()));
                        },
                        a,
                        b);
            // da = dy b a^(b - 1), db = dy y log a; both 0 at the corners 0^0 and a^0, where they would be 0 times
            // infinity
            case POW ->
                Autograd.record(
                        "pow",
                        y,
                        dy -> {
                            if (a.requiresGrad()) {
                                Tensor slope = b.mul(a.pow(b.sub(1))).maskedFill(b.eq(0), 0);
                                a.addGrad(sumTo(dy.mul(slope), a.shape()));
                            }
                            if (b.requiresGrad()) {
                                Tensor slope = y.mul(a.log()).maskedFill(a.eq(0).logicalAnd(b.ge(0)), 0);
                                b.addGrad(sumTo(dy.mul(slope), b.shape()));
                            }
                        },
                        a,
                        b);
            // the gradient of equal numbers is shared
            case MAXIMUM, MINIMUM ->
                Autograd.record(
                        op.name(),
                        y,
                        dy -> {
                            Tensor shared = dy.mul(0.5).where(a.eq(b), dy);
                            Tensor less = op == BinaryOp.MAXIMUM ? a.lt(b) : a.gt(b);
                            Tensor more = op == BinaryOp.MAXIMUM ? a.gt(b) : a.lt(b);
                            a.addGrad(sumTo(shared.maskedFill(less, 0), a.shape()));
                            b.addGrad(sumTo(shared.maskedFill(more, 0), b.shape()));
                        },
                        a,
                        b);
            // da = dy, db = -dy floor(a / b)
            case REMAINDER ->
                Autograd.record(
                        "remainder",
                        y,
                        dy -> {
                            a.addGrad(sumTo(dy, a.shape()));
                            if (b.requiresGrad()) {
                                b.addGrad(sumTo(dy.mul(a.div(b).floor()).neg(), b.shape()));
                            }
                        },
                        a,
                        b);
            case GT, GE, EQ, NE -> y;
        };
    }

    private static void requireIntegers(BinaryOp op, DType dtype, Tensor a, Tensor b) {
        if (dtype == DType.BOOL && (op == BinaryOp.SUB || op == BinaryOp.POW || op == BinaryOp.REMAINDER)) {
            throw new TensorException(op + ": not defined for BOOL; use logicalXor() or convert one with to()");
        }
        if (op == BinaryOp.REMAINDER && b.eq(0).any().item() != 0) {
            throw new TensorException("remainder: an integer of " + a.layout() + " divided by 0");
        }
    }

    private static Tensor compute(BinaryOp op, Tensor a, Tensor b) {
        long[] shape = Layout.broadcast(op.name(), a.shape(), b.shape());
        Tensor y = Tensor.empty(op.isComparison() ? DType.BOOL : a.dtype(), shape);
        y.run(new Binary(
                op,
                shape,
                a.buffer(),
                a.layout().expand(shape).strides(),
                b.buffer(),
                b.layout().expand(shape).strides(),
                y.buffer(),
                y.layout().strides()));
        return y;
    }

    /** {@code y = condition ? a : b}; {@code dy} goes to the one that was chosen. */
    static Tensor where(Tensor condition, Tensor left, Tensor right) {
        requireBool("where", condition);
        DType dtype = resultType(left.alive(), right.alive());
        Tensor a = left.to(dtype);
        Tensor b = right.to(dtype);
        Tensor y = choose(condition, a, b);
        return Autograd.record(
                "where",
                y,
                dy -> {
                    Tensor zero = Tensor.zeros(dy.dtype());
                    if (a.requiresGrad()) {
                        a.addGrad(sumTo(choose(condition, dy, zero), a.shape()));
                    }
                    if (b.requiresGrad()) {
                        b.addGrad(sumTo(choose(condition, zero, dy), b.shape()));
                    }
                },
                a,
                b);
    }

    static Tensor maskedFill(Tensor x, Tensor mask, double value) {
        requireBool("maskedFill", mask);
        return where(mask.expand(x.shape()), Tensor.full(x.dtype(), value), x);
    }

    private static Tensor choose(Tensor condition, Tensor a, Tensor b) {
        long[] shape =
                Layout.broadcast("where", condition.alive().shape(), a.alive().shape());
        shape = Layout.broadcast("where", shape, b.alive().shape());
        Tensor y = Tensor.empty(a.dtype(), shape);
        y.run(new Where(
                shape,
                condition.buffer(),
                condition.layout().expand(shape).strides(),
                a.buffer(),
                a.layout().expand(shape).strides(),
                b.buffer(),
                b.layout().expand(shape).strides(),
                y.buffer()));
        return y;
    }

    /** The gradient of a broadcast: {@code g} summed over the dimensions that were stretched. */
    static Tensor sumTo(Tensor g, long[] shape) {
        Tensor out = g;
        while (out.rank() > shape.length) {
            out = out.sum(0, false);
        }
        for (int d = 0; d < shape.length; d++) {
            if (shape[d] == 1 && out.size(d) != 1) {
                out = out.sum(d, true);
            }
        }
        return out;
    }

    static void requireFloat(String op, Tensor x) {
        if (!x.dtype().isFloatingPoint()) {
            throw new TensorException(op + ": expected floating-point numbers, found " + x.dtype());
        }
    }

    static void requireSameType(String op, Tensor a, Tensor b) {
        if (a.dtype() != b.dtype()) {
            throw new TensorException(op + ": " + a.dtype() + " and " + b.dtype() + "; convert one with to()");
        }
    }

    private static void requireBool(String op, Tensor condition) {
        if (condition.dtype() != DType.BOOL) {
            throw new TensorException(
                    op + ": expected a condition of BOOL, found " + condition.dtype() + "; compare it with ne(0)");
        }
    }
}
