package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.put;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.CumSum;
import dev.isthmus.tensor.KernelCall.Fill;
import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.Where;

/** Elementwise functions, reductions and movement, scalar. */
final class ScalarElementwise {
    private ScalarElementwise() {}

    static void unary(Unary c) {
        for (long i = 0; i < c.n(); i++) {
            set(c.y(), i, UnaryFunctions.value(c.op(), get(c.x(), i), c.p(), c.q()));
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
        for (long i = count(c.shape()); i > 0; i--) {
            double a = get(c.a(), offset(at, c.strideA()));
            double b = get(c.b(), offset(at, c.strideB()));
            double y = switch (c.op()) {
                case ADD -> a + b;
                case SUB -> a - b;
                case MUL -> a * b;
                case DIV -> a / b;
                case POW -> Math.pow(a, b);
                case MAXIMUM -> Math.max(a, b);
                case MINIMUM -> Math.min(a, b);
                case GT -> a > b ? 1 : 0;
                case GE -> a >= b ? 1 : 0;
                case EQ -> a == b ? 1 : 0;
            };
            set(c.out(), offset(at, c.strideOut()), y);
            advance(at, c.shape());
        }
    }

    static void copy(Copy c) {
        long[] at = new long[c.shape().length];
        for (long i = count(c.shape()); i > 0; i--) {
            put(c.to(), offset(at, c.strideTo()), get(c.from(), offset(at, c.strideFrom())), c.accumulate());
            advance(at, c.shape());
        }
    }

    static void where(Where c) {
        long[] at = new long[c.shape().length];
        long count = count(c.shape());
        for (long i = 0; i < count; i++) {
            boolean cond = get(c.cond(), offset(at, c.strideCond())) != 0;
            set(c.out(), i, cond ? get(c.a(), offset(at, c.strideA())) : get(c.b(), offset(at, c.strideB())));
            advance(at, c.shape());
        }
    }

    static void fill(Fill c) {
        for (long i = 0; i < c.n(); i++) {
            set(c.x(), i, c.value());
        }
    }

    static void reduce(Reduce c) {
        for (long o = 0; o < c.outer(); o++) {
            for (long r = 0; r < c.inner(); r++) {
                double fold = c.op() == ReduceOp.PROD ? 1 : 0;
                long best = 0;
                for (long d = 0; d < c.dim(); d++) {
                    double x = get(c.x(), (o * c.dim() + d) * c.inner() + r);
                    switch (c.op()) {
                        case SUM -> fold += x;
                        case PROD -> fold *= x;
                        case MAX, ARGMAX -> {
                            if (d == 0 || x > fold || Double.isNaN(x) && !Double.isNaN(fold)) {
                                fold = x;
                                best = d;
                            }
                        }
                        case MIN, ARGMIN -> {
                            if (d == 0 || x < fold || Double.isNaN(x) && !Double.isNaN(fold)) {
                                fold = x;
                                best = d;
                            }
                        }
                    }
                }
                boolean index = c.op() == ReduceOp.ARGMAX || c.op() == ReduceOp.ARGMIN;
                set(c.out(), o * c.inner() + r, index ? best : fold);
            }
        }
    }

    static void cumSum(CumSum c) {
        for (long o = 0; o < c.outer(); o++) {
            for (long r = 0; r < c.inner(); r++) {
                double sum = 0;
                for (long i = 0; i < c.dim(); i++) {
                    long d = c.reverse() ? c.dim() - 1 - i : i;
                    long at = (o * c.dim() + d) * c.inner() + r;
                    sum += get(c.x(), at);
                    set(c.y(), at, sum);
                }
            }
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
