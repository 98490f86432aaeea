package dev.isthmus.tensor;

import dev.isthmus.tensor.Autograd.Node;
import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Operations that write their result over their first argument, and their gradients.
 *
 * <p>A tensor that is changed becomes the result of the change; for operations recorded before, it goes on being what it was.
 * Where a view is changed, what it views becomes the result, and all views of that follow when they are used next.
 */
final class InPlace {
    private InPlace() {}

    /** {@code x = f(x, b)}, {@code b} broadcast to the shape of {@code x}. */
    static Tensor binary(BinaryOp f, Tensor x, Tensor operand) {
        String op = name(f);
        boolean recorded = isRecorded(op, x, operand);
        if (!x.dtype().isFloatingPoint() && (operand.dtype().isFloatingPoint() || f == BinaryOp.DIV)) {
            throw cannotHold(op, x, operand.dtype().toString());
        }
        Tensor b = operand;
        if (b.storage() == x.storage()) {
            b = recorded ? Autograd.record("clone", copyOf(operand), operand::addGrad, operand) : copyOf(operand);
        }
        Tensor old = recorded && f == BinaryOp.MUL && b.requiresGrad() ? copyOf(x) : x;
        Tensor values = b.detach().to(x.dtype());
        if (x.dtype().isHalf()) {
            write(x, Autograd.noGrad(() -> Elementwise.binary(f, x.detach(), values)));
        } else {
            long[] shape = x.shape();
            x.run(new Binary(
                    f,
                    shape,
                    x.buffer(),
                    x.layout().strides(),
                    values.buffer(),
                    values.layout().expand(shape).strides(),
                    x.buffer(),
                    x.layout().strides()));
        }
        Autograd.changed(x.storage(), op);
        return recorded ? record(op, x, rule(f, x.detach(), old, b), b) : x;
    }

    private static Function<Tensor, @Nullable Tensor> rule(BinaryOp f, Tensor y, Tensor x, Tensor b) {
        return switch (f) {
            case ADD ->
                dy -> {
                    toOperand(b, dy);
                    return dy;
                };
            case SUB ->
                dy -> {
                    if (b.requiresGrad()) {
                        toOperand(b, dy.neg());
                    }
                    return dy;
                };
            // dx = dy b, db = dy x
            case MUL ->
                dy -> {
                    if (b.requiresGrad()) {
                        toOperand(b, dy.mul(x));
                    }
                    return dy.mul(b.to(dy.dtype()));
                };
            // dx = dy / b, db = -dy y / b
            case DIV ->
                dy -> {
                    Tensor dx = dy.div(b.to(dy.dtype()));
                    if (b.requiresGrad()) {
                        toOperand(b, dx.mul(y).neg());
                    }
                    return dx;
                };
            default -> throw new IllegalArgumentException(f.name());
        };
    }

    private static void toOperand(Tensor b, Tensor g) {
        b.addGrad(Elementwise.sumTo(g, b.shape()).to(b.dtype()));
    }

    /**
     * {@code x += } a function of operands; {@code dx = dy}.
     *
     * @param change adds to the elements of {@code x}, a result of its own memory
     * @param back given {@code dy}, adds to the gradients of the operands
     */
    static Tensor add(String op, Tensor x, Runnable change, Consumer<Tensor> back, Tensor... operands) {
        boolean recorded = isRecorded(op, x) || Autograd.needed(operands);
        change.run();
        Autograd.changed(x.storage(), op);
        return recorded
                ? record(
                        op,
                        x,
                        dy -> {
                            back.accept(dy);
                            return dy;
                        },
                        operands)
                : x;
    }

    /** {@code x = f(x, value)}. */
    static Tensor binary(BinaryOp f, Tensor x, double value) {
        if (!x.dtype().isFloatingPoint() && value != Math.rint(value)) {
            throw cannotHold(name(f), x, Double.toString(value));
        }
        return binary(f, x, Tensor.full(x.dtype(), value));
    }

    /** {@code x = min(max(x, min), max)}; {@code dx = dy} inside, the limits included. */
    static Tensor clamp(Tensor x, double min, double max) {
        boolean recorded = isRecorded("clamp_", x);
        Elementwise.requireFloat("clamp_", x);
        boolean direct = x.layout().isContiguous() && !x.dtype().isHalf();
        Tensor old = recorded || !direct ? copyOf(x) : x.detach();
        if (direct) {
            x.run(new Unary(UnaryOp.CLAMP, x.count(), old.buffer(), x.buffer(), min, max));
        } else {
            write(x, Autograd.noGrad(() -> old.clamp(min, max)));
        }
        Autograd.changed(x.storage(), "clamp_");
        Function<Tensor, @Nullable Tensor> rule = dy -> {
            DType computed = x.dtype().isHalf() ? DType.FLOAT32 : x.dtype();
            Tensor at = old.to(computed);
            Tensor dx = Tensor.empty(computed, dy.shape());
            Buffer g = dy.to(computed).buffer();
            dx.run(new UnaryBackward(UnaryOp.CLAMP, dx.count(), at.buffer(), g, dx.buffer(), min, max, false));
            return dx.to(x.dtype());
        };
        return recorded ? record("clamp_", x, rule) : x;
    }

    /** {@code x = value}; {@code dx = 0}. */
    static Tensor fill(String op, Tensor x, double value) {
        boolean recorded = isRecorded(op, x);
        write(x, Tensor.full(x.dtype(), value));
        Autograd.changed(x.storage(), op);
        return recorded ? record(op, x, _ -> null) : x;
    }

    /** {@code x = from}, broadcast and converted; {@code dx = 0, dfrom = dy}. */
    static Tensor copy(Tensor x, Tensor from) {
        boolean recorded = isRecorded("copy_", x, from);
        write(x, from.storage() == x.storage() ? copyOf(from) : from);
        Autograd.changed(x.storage(), "copy_");
        Function<Tensor, @Nullable Tensor> rule = dy -> {
            toOperand(from, dy);
            return null;
        };
        return recorded ? record("copy_", x, rule, from) : x;
    }

    /**
     * A change whose gradient can be computed over the gradient that arrives: {@code back} does so.
     *
     * @param change writes to {@code x}
     */
    static Tensor invertible(String op, Tensor x, Runnable change, Consumer<Tensor> back) {
        boolean recorded = isRecorded(op, x);
        change.run();
        Autograd.changed(x.storage(), op);
        if (!recorded) {
            return x;
        }
        if (x.base() != null) {
            return record(op, x, dy -> {
                Tensor dx = copyOf(dy);
                back.accept(dx);
                return dx;
            });
        }
        return become(op, x, (before, dy) -> {
            // What was given may be seen by others; then gradInto() makes a copy.
            before.addGrad(dy);
            x.asOf(Autograd.ruleRunning()).releaseGrad();
            back.accept(before.gradInto().target());
        });
    }

    /** Throws unless {@code x} may be changed with these operands; whether autograd must know. */
    private static boolean isRecorded(String op, Tensor x, Tensor... operands) {
        Layout layout = x.alive().layout();
        for (int d = 0; d < layout.rank(); d++) {
            if (layout.strides()[d] == 0 && layout.shape()[d] > 1) {
                throw new TensorException(op + ": in a tensor of " + layout + " the elements along dimension " + d
                        + " are one in memory, as expand() makes them; copy it before it is changed");
            }
        }
        boolean recorded = x.dtype().isFloatingPoint() && Autograd.needed(x);
        for (Tensor operand : operands) {
            if (operand.rank() > x.rank()
                    || !Arrays.equals(
                            Layout.broadcast(
                                    op, layout.shape(), operand.layout().shape()),
                            layout.shape())) {
                throw new TensorException(op + ": " + operand.layout() + " does not broadcast to the " + layout
                        + " of the tensor that is changed");
            }
            recorded |= x.dtype().isFloatingPoint() && Autograd.needed(operand);
        }
        if (recorded) {
            Tensor root = x.base() == null ? x : x.base();
            if (root.isLeaf() && root.requiresGrad()) {
                throw new TensorException(op + ": " + (x.base() == null ? "a parameter" : "a view of a parameter")
                        + " would be changed in place while operations are recorded; do it within Autograd.noGrad");
            }
            if (!root.layout().isContiguous()) {
                throw new TensorException(op + ": a view of a tensor of " + root.layout()
                        + " that is not contiguous would be changed in place; call contiguous() on that first");
            }
        }
        return recorded;
    }

    /** Makes {@code x} the result of {@code rule}, which gives the gradient of what it was before, null if that is 0. */
    private static Tensor record(String op, Tensor x, Function<Tensor, @Nullable Tensor> rule, Tensor... operands) {
        Tensor base = x.base();
        if (base == null) {
            return become(
                    op,
                    x,
                    (before, dy) -> {
                        Tensor dx = rule.apply(dy);
                        if (dx != null) {
                            before.addGrad(dx);
                        }
                    },
                    operands);
        }
        Layout place = within(base, x.layout());
        become(
                op,
                base,
                (before, dBase) -> {
                    Tensor dx = rule.apply(copyOf(part(dBase, place)));
                    if (before.requiresGrad()) {
                        Tensor g = copyOf(dBase);
                        write(part(g, place), dx == null ? Tensor.zeros(g.dtype()) : dx);
                        before.addGrad(g);
                    }
                },
                operands);
        return x;
    }

    private interface Rule {
        void run(Tensor before, Tensor dy);
    }

    private static Tensor become(String op, Tensor x, Rule rule, Tensor... operands) {
        Tensor[] inputs = new Tensor[operands.length + 1];
        System.arraycopy(operands, 0, inputs, 1, operands.length);
        Node node = Autograd.node(op, dy -> rule.run(inputs[0], dy), x.storage().scope(), inputs);
        inputs[0] = x.become(node);
        x.changedHistory();
        return x;
    }

    /** Makes {@code view} a view of what {@code base} has become. The gradient of an element that repeats is a sum. */
    static void follow(Tensor view, Tensor base) {
        if (Autograd.isRuleRunning()) {
            return;
        }
        view.followed(base);
        if (!base.requiresGrad()) {
            return;
        }
        Layout layout = within(base, view.layout());
        view.become(Autograd.node(
                "as_strided",
                dy -> {
                    GradTarget into = base.gradInto();
                    if (!into.accumulate()) {
                        into.target().fill(0);
                    }
                    Tensor d = dy;
                    for (int i = 0; i < layout.rank(); i++) {
                        if (layout.strides()[i] == 0 && d.size(i) > 1) {
                            d = d.sum(i, true);
                        }
                    }
                    Tensor place = part(into.target(), new Layout(d.shape(), layout.strides(), layout.offset()));
                    place.run(new Copy(
                            d.shape(),
                            d.buffer(),
                            d.layout().strides(),
                            place.buffer(),
                            place.layout().strides(),
                            true));
                },
                Scope.current(),
                base));
    }

    /** Where a view lies in a contiguous tensor, from its first element. */
    private static Layout within(Tensor base, Layout view) {
        return new Layout(
                view.shape(), view.strides(), view.offset() - base.layout().offset());
    }

    private static Tensor part(Tensor whole, Layout place) {
        return new Tensor(
                whole.storage(),
                new Layout(place.shape(), place.strides(), whole.layout().offset() + place.offset()));
    }

    private static Tensor copyOf(Tensor x) {
        return Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
    }

    private static void write(Tensor to, Tensor from) {
        long[] shape = to.shape();
        to.run(new Copy(
                shape,
                from.buffer(),
                from.layout().expand(shape).strides(),
                to.buffer(),
                to.layout().strides(),
                false));
    }

    private static String name(BinaryOp f) {
        return f.name().toLowerCase(Locale.ROOT) + "_";
    }

    private static TensorException cannotHold(String op, Tensor x, String operand) {
        return new TensorException(op + ": a tensor of " + x.dtype() + " cannot hold the result with " + operand
                + "; convert it first with to()");
    }
}
