package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.convert;
import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getLong;
import static dev.isthmus.tensor.cpu.Numbers.put;
import static dev.isthmus.tensor.cpu.Numbers.set;
import static dev.isthmus.tensor.cpu.Numbers.setLong;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Dropout;
import dev.isthmus.tensor.KernelCall.Fill;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.Where;

/** Elementwise functions and copies, scalar. */
final class ScalarElementwise {
    private ScalarElementwise() {}

    static void unary(Unary c) {
        boolean floating = c.x().dtype().isFloatingPoint();
        for (long i = 0; i < c.n(); i++) {
            if (floating) {
                set(c.y(), i, UnaryFunctions.value(c.op(), get(c.x(), i), c.p(), c.q()));
            } else {
                setLong(c.y(), i, UnaryFunctions.value(c.op(), getLong(c.x(), i), c.p(), c.q()));
            }
        }
    }

    static void unaryBackward(UnaryBackward c) {
        for (long i = 0; i < c.n(); i++) {
            double dx = get(c.dy(), i) * UnaryFunctions.slope(c.op(), get(c.x(), i), c.p(), c.q());
            put(c.dx(), i, dx, c.accumulate());
        }
    }

    static void binary(Binary c) {
        long[] at = new long[c.shape().length];
        boolean floating = c.a().dtype().isFloatingPoint();
        for (long i = count(c.shape()); i > 0; i--) {
            long atA = offset(at, c.strideA());
            long atB = offset(at, c.strideB());
            long out = offset(at, c.strideOut());
            if (floating) {
                set(c.out(), out, binary(c.op(), get(c.a(), atA), get(c.b(), atB)));
            } else {
                setLong(c.out(), out, binary(c.op(), getLong(c.a(), atA), getLong(c.b(), atB)));
            }
            advance(at, c.shape());
        }
    }

    private static double binary(BinaryOp op, double a, double b) {
        return switch (op) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case DIV -> a / b;
            case POW -> Math.pow(a, b);
            case MAXIMUM -> Math.max(a, b);
            case MINIMUM -> Math.min(a, b);
            case REMAINDER -> remainder(a, b);
            case GT -> a > b ? 1 : 0;
            case GE -> a >= b ? 1 : 0;
            case EQ -> a == b ? 1 : 0;
            case NE -> a != b ? 1 : 0;
        };
    }

    /** In wrapping arithmetic; for BOOL, ADD is "or" and MUL "and", since all but 0 is true. */
    private static long binary(BinaryOp op, long a, long b) {
        return switch (op) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case POW -> UnaryFunctions.power(a, b);
            case MAXIMUM -> Math.max(a, b);
            case MINIMUM -> Math.min(a, b);
            case REMAINDER -> Math.floorMod(a, b);
            case GT -> a > b ? 1 : 0;
            case GE -> a >= b ? 1 : 0;
            case EQ -> a == b ? 1 : 0;
            case NE -> a != b ? 1 : 0;
            case DIV -> throw new IllegalArgumentException(op.name());
        };
    }

    private static double remainder(double a, double b) {
        double r = a % b;
        return r != 0 && r < 0 != b < 0 ? r + b : r;
    }

    static void copy(Copy c) {
        long[] at = new long[c.shape().length];
        boolean integers =
                !c.from().dtype().isFloatingPoint() && !c.to().dtype().isFloatingPoint();
        for (long i = count(c.shape()); i > 0; i--) {
            long from = offset(at, c.strideFrom());
            long to = offset(at, c.strideTo());
            if (!c.accumulate()) {
                convert(c.from(), from, c.to(), to);
            } else if (integers) {
                setLong(c.to(), to, getLong(c.to(), to) + getLong(c.from(), from));
            } else {
                set(c.to(), to, get(c.to(), to) + get(c.from(), from));
            }
            advance(at, c.shape());
        }
    }

    static void where(Where c) {
        long[] at = new long[c.shape().length];
        long count = count(c.shape());
        for (long i = 0; i < count; i++) {
            if (getLong(c.cond(), offset(at, c.strideCond())) != 0) {
                convert(c.a(), offset(at, c.strideA()), c.out(), i);
            } else {
                convert(c.b(), offset(at, c.strideB()), c.out(), i);
            }
            advance(at, c.shape());
        }
    }

    static void dropout(Dropout c) {
        double kept = 1 / (1 - c.p());
        double factor = c.y().dtype() == DType.FLOAT32 ? (float) kept : kept;
        for (long i = 0; i < c.n(); i++) {
            set(c.y(), i, get(c.x(), i) * (c.rng().floatAt(i) < c.p() ? 0 : factor));
        }
    }

    static void fill(Fill c) {
        for (long i = 0; i < c.n(); i++) {
            set(c.x(), i, c.value());
        }
    }

    static long count(long[] shape) {
        long n = 1;
        for (long s : shape) {
            n *= s;
        }
        return n;
    }

    static long offset(long[] at, long[] stride) {
        long offset = 0;
        for (int d = 0; d < at.length; d++) {
            offset += at[d] * stride[d];
        }
        return offset;
    }

    static void advance(long[] at, long[] shape) {
        for (int d = at.length - 1; d >= 0; d--) {
            if (++at[d] < shape[d]) {
                return;
            }
            at[d] = 0;
        }
    }
}
