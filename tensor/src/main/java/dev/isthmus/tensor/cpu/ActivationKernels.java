package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** The gated activation. */
final class ActivationKernels {
    private ActivationKernels() {}

    static void swiGlu(SwiGlu c) {
        long row = c.cols() * 4L;
        long gateUp = c.gateUp().address();
        long out = c.out().address();
        Rows.parallel(c.rows(), 3 * c.cols(), (from, to) -> {
            for (int i = from; i < to; i++) {
                swiGlu(c.cols(), gateUp + 2 * i * row, row, out + i * row);
            }
        });
    }

    private static void swiGlu(int n, long gate, long up, long out) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long at = gate + j * 4L;
            store(gated(load(at), load(at + up)), out + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long at = gate + whole * 4L;
            store(gated(load(at, mask), load(at + up, mask)), out + whole * 4L, mask);
        }
    }

    private static FloatVector gated(FloatVector gate, FloatVector up) {
        return gate.div(VectorMath.exp(gate.neg()).add(1)).mul(up);
    }

    static void swiGluBackward(SwiGluBackward c) {
        long row = c.cols() * 4L;
        long gateUp = c.gateUp().address();
        long dOut = c.dOut().address();
        long dGateUp = c.dGateUp().address();
        Rows.parallel(c.rows(), 5 * c.cols(), (from, to) -> {
            for (int i = from; i < to; i++) {
                swiGluBackward(c.cols(), gateUp + 2 * i * row, row, dOut + i * row, dGateUp + 2 * i * row);
            }
        });
    }

    private static void swiGluBackward(int n, long gate, long up, long dOut, long dGate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            FloatVector g = load(gate + j * 4L);
            FloatVector u = load(gate + up + j * 4L);
            FloatVector d = load(dOut + j * 4L);
            FloatVector s = sigmoid(g);
            store(slope(g, s).mul(u).mul(d), dGate + j * 4L);
            store(g.mul(s).mul(d), dGate + up + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            FloatVector g = load(gate + whole * 4L, mask);
            FloatVector u = load(gate + up + whole * 4L, mask);
            FloatVector d = load(dOut + whole * 4L, mask);
            FloatVector s = sigmoid(g);
            store(slope(g, s).mul(u).mul(d), dGate + whole * 4L, mask);
            store(g.mul(s).mul(d), dGate + up + whole * 4L, mask);
        }
    }

    private static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(F, 1).div(VectorMath.exp(x.neg()).add(1));
    }

    /** {@code s (1 + g (1 - s))}. */
    private static FloatVector slope(FloatVector g, FloatVector s) {
        FloatVector one = FloatVector.broadcast(F, 1);
        return g.fma(one.sub(s), one).mul(s);
    }
}
