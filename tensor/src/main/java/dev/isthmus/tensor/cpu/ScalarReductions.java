package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getLong;
import static dev.isthmus.tensor.cpu.Numbers.set;
import static dev.isthmus.tensor.cpu.Numbers.setLong;

import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Scan;

/** Reductions, scalar: floating-point numbers in double precision, integers in wrapping arithmetic of 64 bits. */
final class ScalarReductions {
    private ScalarReductions() {}

    static void reduce(Reduce c) {
        boolean floating = c.x().dtype().isFloatingPoint();
        for (long o = 0; o < c.outer(); o++) {
            for (long r = 0; r < c.inner(); r++) {
                long out = o * c.inner() + r;
                long first = o * c.dim() * c.inner() + r;
                if (c.op() == ReduceOp.SUM || c.op() == ReduceOp.PROD) {
                    if (floating) {
                        set(c.out(), out, fold(c, first));
                    } else {
                        setLong(c.out(), out, foldLong(c, first));
                    }
                } else {
                    long best = floating ? find(c, first) : findLong(c, first);
                    if (c.op() == ReduceOp.ARGMAX || c.op() == ReduceOp.ARGMIN) {
                        setLong(c.out(), out, best);
                    } else {
                        Numbers.convert(c.x(), first + best * c.inner(), c.out(), out);
                    }
                }
            }
        }
    }

    private static double fold(Reduce c, long first) {
        boolean product = c.op() == ReduceOp.PROD;
        double fold = product ? 1 : 0;
        for (long d = 0; d < c.dim(); d++) {
            double x = get(c.x(), first + d * c.inner());
            fold = product ? fold * x : fold + x;
        }
        return fold;
    }

    private static long foldLong(Reduce c, long first) {
        boolean product = c.op() == ReduceOp.PROD;
        long fold = product ? 1 : 0;
        for (long d = 0; d < c.dim(); d++) {
            long x = getLong(c.x(), first + d * c.inner());
            fold = product ? fold * x : fold + x;
        }
        return fold;
    }

    /** The index of the first NaN, else of the first largest or smallest. */
    private static long find(Reduce c, long first) {
        boolean most = c.op() == ReduceOp.MAX || c.op() == ReduceOp.ARGMAX;
        long best = 0;
        double found = get(c.x(), first);
        for (long d = 1; d < c.dim() && !Double.isNaN(found); d++) {
            double x = get(c.x(), first + d * c.inner());
            if (Double.isNaN(x) || (most ? x > found : x < found)) {
                found = x;
                best = d;
            }
        }
        return best;
    }

    private static long findLong(Reduce c, long first) {
        boolean most = c.op() == ReduceOp.MAX || c.op() == ReduceOp.ARGMAX;
        long best = 0;
        long found = getLong(c.x(), first);
        for (long d = 1; d < c.dim(); d++) {
            long x = getLong(c.x(), first + d * c.inner());
            if (most ? x > found : x < found) {
                found = x;
                best = d;
            }
        }
        return best;
    }

    static void scan(Scan c) {
        boolean floating = c.x().dtype().isFloatingPoint();
        boolean product = c.op() == ReduceOp.PROD;
        for (long o = 0; o < c.outer(); o++) {
            for (long r = 0; r < c.inner(); r++) {
                double fold = product ? 1 : 0;
                long foldLong = product ? 1 : 0;
                for (long i = 0; i < c.dim(); i++) {
                    long d = c.reverse() ? c.dim() - 1 - i : i;
                    long at = (o * c.dim() + d) * c.inner() + r;
                    if (floating) {
                        double x = get(c.x(), at);
                        fold = product ? fold * x : fold + x;
                        set(c.y(), at, fold);
                    } else {
                        long x = getLong(c.x(), at);
                        foldLong = product ? foldLong * x : foldLong + x;
                        setLong(c.y(), at, foldLong);
                    }
                }
            }
        }
    }
}
