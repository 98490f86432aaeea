package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Dropout;
import dev.isthmus.tensor.KernelCall.Fill;
import dev.isthmus.tensor.Rng;
import jdk.incubator.vector.FloatVector;

/** Functions of two numbers with broadcasting, and movement. */
final class ElementwiseKernels {
    private ElementwiseKernels() {}

    static void fill(Fill c) {
        float value = (float) c.value();
        Elements.parallel(
                c.n(),
                (from, count) -> Elements.vectors(
                        count, 0, c.x().plus(from).address(), 0, 0, 0, (n, x, _, _, _) -> fill(n, x, value)));
    }

    private static void fill(int n, long x, float value) {
        FloatVector v = FloatVector.broadcast(F, value);
        for (int i = 0; i < n; i += LANES) {
            store(v, x + i * 4L);
        }
    }

    /** No vectors: what takes the time is the drawing, of 64 bits a number. */
    static void dropout(Dropout c) {
        float kept = (float) (1 / (1 - c.p()));
        Elements.parallel(
                c.n(),
                (from, count) -> dropout(
                        c.rng(),
                        c.p(),
                        kept,
                        from,
                        count,
                        c.x().plus(from).address(),
                        c.y().plus(from).address()));
    }

    private static void dropout(Rng rng, double p, float kept, long from, int n, long x, long y) {
        for (int i = 0; i < n; i++) {
            setFloat(y + i * 4L, getFloat(x + i * 4L) * (rng.floatAt(from + i) < p ? 0 : kept));
        }
    }

    static void copy(Copy c) {
        RowLoop loop = new RowLoop(c.shape(), c.strideFrom(), c.strideTo());
        int turned = TransposeKernel.turned(c, loop);
        if (turned >= 0) {
            TransposeKernel.copy(c, loop, turned);
            return;
        }
        loop.run((n, at) -> {
            long from = RowLoop.row(Scratch.Use.ROW_A, n, c.from().plus(at[0]).address(), loop.step(0));
            long to = c.to().plus(at[1]).address();
            if (loop.step(1) != 1) {
                scatter(n, from, to, loop.step(1) * 4, c.accumulate());
            } else if (c.accumulate()) {
                Elements.vectors(n, 1, from, to, 0, 0, (m, a, b, _, _) -> add(m, b, a, b));
            } else {
                Panels.copy(1, n, from, 0, to, 0);
            }
        });
    }

    private static void scatter(int n, long from, long to, long step, boolean add) {
        for (int i = 0; i < n; i++) {
            float x = Simd.getFloat(from + i * 4L);
            setFloat(to + i * step, add ? Simd.getFloat(to + i * step) + x : x);
        }
    }

    /** Whether there is a vector form. */
    static boolean has(BinaryOp op) {
        return switch (op) {
            case ADD, SUB, MUL, DIV, POW, MAXIMUM, MINIMUM -> true;
            default -> false;
        };
    }

    static void binary(Binary c) {
        RowLoop loop = new RowLoop(c.shape(), c.strideA(), c.strideB(), c.strideOut());
        loop.run((n, at) -> {
            long a = RowLoop.row(Scratch.Use.ROW_A, n, c.a().plus(at[0]).address(), loop.step(0));
            long b = RowLoop.row(Scratch.Use.ROW_B, n, c.b().plus(at[1]).address(), loop.step(1));
            long to = c.out().plus(at[2]).address();
            long out = loop.step(2) == 1 ? to : Scratch.address(Scratch.Use.ROW_C, RowLoop.PIECE * 4L);
            Elements.vectors(n, 2, a, b, out, 0, (m, x, y, z, _) -> binary(c.op(), m, x, y, z));
            if (out != to) {
                scatter(n, out, to, loop.step(2) * 4, false);
            }
        });
    }

    private static void binary(BinaryOp op, int n, long a, long b, long out) {
        switch (op) {
            case ADD -> add(n, a, b, out);
            case SUB -> sub(n, a, b, out);
            case MUL -> mul(n, a, b, out);
            case DIV -> div(n, a, b, out);
            case MAXIMUM -> maximum(n, a, b, out);
            case MINIMUM -> minimum(n, a, b, out);
            case POW -> PowerKernels.piece(n, a, b, out);
            default -> throw new IllegalArgumentException(op.name());
        }
    }

    static void add(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.add(b), out + i * 4L);
        }
    }

    private static void sub(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.sub(b), out + i * 4L);
        }
    }

    private static void mul(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.mul(b), out + i * 4L);
        }
    }

    private static void div(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.div(b), out + i * 4L);
        }
    }

    private static void maximum(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.max(b), out + i * 4L);
        }
    }

    private static void minimum(int n, long aAt, long bAt, long out) {
        for (int i = 0; i < n; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            store(a.min(b), out + i * 4L);
        }
    }
}
