package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.KernelCall.Where;
import dev.isthmus.tensor.Tensor.GradTarget;

/** Elementwise operations and their gradients. */
final class Elementwise {
    private Elementwise() {}

    /** {@code y = f(x)}; {@code dx = dy f'(x)}. */
    static Tensor unary(UnaryOp op, Tensor input, double p, double q) {
        requireFloat(op.name(), input);
        Tensor x = input.alive().contiguous();
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        y.run(new Unary(op, x.count(), x.buffer(), y.buffer(), p, q));
        if (op == UnaryOp.GREATER || op == UnaryOp.SIGN) {
            return y;
        }
        return Autograd.record(op.name(), y, dy -> {
            GradTarget into = x.gradInto();
            boolean linear = op == UnaryOp.AFFINE || op == UnaryOp.NEG; // then x, which may have changed, does not matter
            Buffer at = linear ? dy.buffer() : x.buffer();
            dy.run(new UnaryBackward(op, x.count(), at, dy.buffer(), into.target().buffer(), p, q, into.accumulate()));
        }, x);
    }

    static Tensor binary(BinaryOp op, Tensor a, Tensor b) {
        Tensor y = compute(op, a, b);
        return switch (op) {
            case ADD -> Autograd.record("add", y, dy -> {
                a.addGrad(sumTo(dy, a.shape()));
                b.addGrad(sumTo(dy, b.shape()));
            }, a, b);
            case SUB -> Autograd.record("sub", y, dy -> {
                a.addGrad(sumTo(dy, a.shape()));
                if (b.requiresGrad()) {
                    b.addGrad(sumTo(dy.neg(), b.shape()));
                }
            }, a, b);
            // da = dy b, db = dy a
            case MUL -> Autograd.record("mul", y, dy -> {
                if (a.requiresGrad()) {
                    a.addGrad(sumTo(dy.mul(b), a.shape()));
                }
                if (b.requiresGrad()) {
                    b.addGrad(sumTo(dy.mul(a), b.shape()));
                }
            }, a, b);
            // da = dy / b, db = -dy y / b
            case DIV -> Autograd.record("div", y, dy -> {
                Tensor da = dy.div(b);
                if (b.requiresGrad()) {
                    b.addGrad(sumTo(da.mul(y).neg(), b.shape()));
                }
                a.addGrad(sumTo(da, a.shape()));
            }, a, b);
            // da = dy b a^(b - 1), db = dy y log a
            case POW -> Autograd.record("pow", y, dy -> {
                if (a.requiresGrad()) {
                    a.addGrad(sumTo(dy.mul(b).mul(a.pow(b.sub(1))), a.shape()));
                }
                if (b.requiresGrad()) {
                    b.addGrad(sumTo(dy.mul(y).mul(a.log()), b.shape()));
                }
            }, a, b);
            // the gradient of equal numbers is shared
            case MAXIMUM, MINIMUM -> Autograd.record(op.name(), y, dy -> {
                Tensor toA = compute(op == BinaryOp.MAXIMUM ? BinaryOp.GT : BinaryOp.GE, a, b);
                Tensor share = compute(BinaryOp.EQ, a, b).mul(op == BinaryOp.MAXIMUM ? 0.5 : -0.5);
                Tensor weight = toA.add(share);
                Tensor weightA = op == BinaryOp.MAXIMUM ? weight : weight.neg().add(1);
                a.addGrad(sumTo(dy.mul(weightA), a.shape()));
                b.addGrad(sumTo(dy.mul(weightA.neg().add(1)), b.shape()));
            }, a, b);
            case GT, GE, EQ -> y;
        };
    }

    private static Tensor compute(BinaryOp op, Tensor a, Tensor b) {
        requireSameType(op.name(), a, b);
        long[] shape = Layout.broadcast(op.name(), a.alive().shape(), b.alive().shape());
        Tensor y = Tensor.empty(a.dtype(), shape);
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

    static Tensor where(Tensor condition, Tensor a, Tensor b) {
        requireSameType("where", a, b);
        long[] shape = Layout.broadcast("where", condition.alive().shape(), a.alive().shape());
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
        return Autograd.record("where", y, dy -> {
            Tensor zero = Tensor.zeros(dy.dtype());
            a.addGrad(sumTo(where(condition, dy, zero), a.shape()));
            b.addGrad(sumTo(where(condition, zero, dy), b.shape()));
        }, a, b);
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
}
