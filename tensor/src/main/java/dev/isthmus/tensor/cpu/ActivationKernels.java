package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** The gated activation; {@code e^-gate} goes through memory in pieces that stay in the first-level cache. */
final class ActivationKernels {
    private static final int PIECE = 2048;

    private ActivationKernels() {}

    static void swiGlu(SwiGlu c) {
        int n = c.cols();
        long row = n * 4L;
        long gateUp = c.gateUp().address();
        long out = c.out().address();
        Rows.parallel(c.rows(), 3 * n, (from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            long e = Scratch.address(Scratch.Use.CONSTANTS, PIECE * 4L);
            for (int i = from; i < to; i++) {
                for (int j = 0; j < n; j += PIECE) {
                    int count = Math.min(PIECE, n - j);
                    long gate = gateUp + 2 * i * row + j * 4L;
                    loops.exponentials(count, gate, -1, 0, 1, e);
                    swiGlu(count, e, gate, row, out + i * row + j * 4L);
                }
            }
        });
    }

    static void swiGluBackward(SwiGluBackward c) {
        int n = c.cols();
        long row = n * 4L;
        long gateUp = c.gateUp().address();
        long dOut = c.dOut().address();
        long dGateUp = c.dGateUp().address();
        Rows.parallel(c.rows(), 5 * n, (from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            long e = Scratch.address(Scratch.Use.CONSTANTS, PIECE * 4L);
            for (int i = from; i < to; i++) {
                for (int j = 0; j < n; j += PIECE) {
                    int count = Math.min(PIECE, n - j);
                    long at = 2 * i * row + j * 4L;
                    loops.exponentials(count, gateUp + at, -1, 0, 1, e);
                    swiGluBackward(count, e, gateUp + at, row, dOut + i * row + j * 4L, dGateUp + at);
                }
            }
        });
    }

    /** {@code out = gate / (1 + e) up}; up lies {@code up} bytes behind the gate. */
    private static void swiGlu(int n, long e, long gate, long up, long out) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            fromMemorySegment(F, MEM, gate + k, ORDER)
                    .div(fromMemorySegment(F, MEM, e + k, ORDER).add(1))
                    .mul(fromMemorySegment(F, MEM, gate + up + k, ORDER))
                    .intoMemorySegment(MEM, out + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            long k = whole * 4L;
            fromMemorySegment(F, MEM, gate + k, ORDER, mask)
                    .div(fromMemorySegment(F, MEM, e + k, ORDER, mask).add(1))
                    .mul(fromMemorySegment(F, MEM, gate + up + k, ORDER, mask))
                    .intoMemorySegment(MEM, out + k, ORDER, mask);
        }
    }

    /** With {@code s = 1 / (1 + e)}: {@code dgate = s (1 + gate (1 - s)) up dout, dup = gate s dout}. */
    private static void swiGluBackward(int n, long e, long gate, long up, long dOut, long dGate) {
        FloatVector one = FloatVector.broadcast(F, 1);
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector s = one.div(fromMemorySegment(F, MEM, e + k, ORDER).add(1));
            FloatVector g = fromMemorySegment(F, MEM, gate + k, ORDER);
            FloatVector u = fromMemorySegment(F, MEM, gate + up + k, ORDER);
            FloatVector d = fromMemorySegment(F, MEM, dOut + k, ORDER).mul(s);
            g.fma(one.sub(s), one).mul(u).mul(d).intoMemorySegment(MEM, dGate + k, ORDER);
            g.mul(d).intoMemorySegment(MEM, dGate + up + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            long k = whole * 4L;
            FloatVector s = one.div(fromMemorySegment(F, MEM, e + k, ORDER, mask).add(1));
            FloatVector g = fromMemorySegment(F, MEM, gate + k, ORDER, mask);
            FloatVector u = fromMemorySegment(F, MEM, gate + up + k, ORDER, mask);
            FloatVector d = fromMemorySegment(F, MEM, dOut + k, ORDER, mask).mul(s);
            g.fma(one.sub(s), one).mul(u).mul(d).intoMemorySegment(MEM, dGate + k, ORDER, mask);
            g.mul(d).intoMemorySegment(MEM, dGate + up + k, ORDER, mask);
        }
    }
}
