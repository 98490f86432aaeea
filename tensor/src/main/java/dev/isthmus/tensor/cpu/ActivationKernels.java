package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import jdk.incubator.vector.FloatVector;

/** The gated activation. A row's last columns, fewer than a vector, are done on copies. */
final class ActivationKernels {
    private ActivationKernels() {}

    static void swiGlu(SwiGlu c) {
        int n = c.cols();
        int whole = F.loopBound(n);
        long row = n * 4L;
        long gateUp = c.gateUp().address();
        long out = c.out().address();
        Rows.parallel(c.rows(), 3 * n, (from, to) -> {
            long copy = Scratch.address(Scratch.Use.TAILS, 3L * Simd.BYTES);
            for (int i = from; i < to; i++) {
                long gate = gateUp + 2 * i * row;
                swiGlu(whole, gate, gate + row, out + i * row);
                if (whole < n) {
                    long rest = whole * 4L;
                    Panels.copy(1, n - whole, gate + rest, 0, copy, 0);
                    Panels.copy(1, n - whole, gate + row + rest, 0, copy + Simd.BYTES, 0);
                    swiGlu(LANES, copy, copy + Simd.BYTES, copy + 2L * Simd.BYTES);
                    Panels.copy(1, n - whole, copy + 2L * Simd.BYTES, 0, out + i * row + rest, 0);
                }
            }
        });
    }

    static void swiGluBackward(SwiGluBackward c) {
        int n = c.cols();
        int whole = F.loopBound(n);
        long row = n * 4L;
        long gateUp = c.gateUp().address();
        long dOut = c.dOut().address();
        long dGateUp = c.dGateUp().address();
        Rows.parallel(c.rows(), 5 * n, (from, to) -> {
            long copy = Scratch.address(Scratch.Use.TAILS, 3L * Simd.BYTES);
            for (int i = from; i < to; i++) {
                long gate = gateUp + 2 * i * row;
                long dGate = dGateUp + 2 * i * row;
                swiGluBackward(whole, gate, gate + row, dOut + i * row, dGate, dGate + row);
                if (whole < n) {
                    long rest = whole * 4L;
                    Panels.copy(1, n - whole, gate + rest, 0, copy, 0);
                    Panels.copy(1, n - whole, gate + row + rest, 0, copy + Simd.BYTES, 0);
                    Panels.copy(1, n - whole, dOut + i * row + rest, 0, copy + 2L * Simd.BYTES, 0);
                    swiGluBackward(LANES, copy, copy + Simd.BYTES, copy + 2L * Simd.BYTES, copy, copy + Simd.BYTES);
                    Panels.copy(1, n - whole, copy, 0, dGate + rest, 0);
                    Panels.copy(1, n - whole, copy + Simd.BYTES, 0, dGate + row + rest, 0);
                }
            }
        });
    }

    /** {@code out = gate / (1 + e^-gate) up} for whole vectors. */
    private static void swiGlu(int n, long gate, long up, long out) {
        for (int j = 0; j < n; j += LANES) {
            long k = j * 4L;
            FloatVector g = fromMemorySegment(F, MEM, gate + k, ORDER);
            g.div(VectorMath.exp(g.neg()).add(1))
                    .mul(fromMemorySegment(F, MEM, up + k, ORDER))
                    .intoMemorySegment(MEM, out + k, ORDER);
        }
    }

    /** With {@code s = 1 / (1 + e^-gate)}: {@code dgate = s (1 + gate (1 - s)) up dout, dup = gate s dout}, for whole vectors. */
    private static void swiGluBackward(int n, long gate, long up, long dOut, long dGate, long dUp) {
        FloatVector one = FloatVector.broadcast(F, 1);
        for (int j = 0; j < n; j += LANES) {
            long k = j * 4L;
            FloatVector g = fromMemorySegment(F, MEM, gate + k, ORDER);
            FloatVector u = fromMemorySegment(F, MEM, up + k, ORDER);
            FloatVector s = one.div(VectorMath.exp(g.neg()).add(1));
            FloatVector d = fromMemorySegment(F, MEM, dOut + k, ORDER).mul(s);
            g.fma(one.sub(s), one).mul(u).mul(d).intoMemorySegment(MEM, dGate + k, ORDER);
            g.mul(d).intoMemorySegment(MEM, dUp + k, ORDER);
        }
    }
}
