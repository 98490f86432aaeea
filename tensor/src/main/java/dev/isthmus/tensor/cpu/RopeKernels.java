package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.KernelCall.Rope;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Rotary position embedding. */
final class RopeKernels {
    private static final VectorShuffle<Float> TWICE = VectorShuffle.fromOp(F, lane -> lane / 2);
    private static final VectorShuffle<Float> NEIGHBORS = VectorShuffle.fromOp(F, lane -> lane ^ 1);
    private static final VectorMask<Float> EVEN = VectorMask.fromLong(F, 0x5555_5555_5555_5555L);

    private RopeKernels() {}

    static void rope(Rope c) {
        int half = c.headDim() / 2;
        long x = c.x().address();
        long cos = c.cos().address();
        long sin = c.sin().address();
        long position = c.position().address();
        Rows.parallel(c.rows(), 2 * c.heads() * c.headDim(), (from, to) -> {
            for (int i = from; i < to; i++) {
                long at = MEM.get(ValueLayout.JAVA_INT_UNALIGNED, position + i * 4L) * half * 4L;
                long row = x + i * c.ldx() * 4;
                for (int h = 0; h < c.heads(); h++) {
                    long head = row + h * c.headDim() * 4L;
                    if (c.interleaved()) {
                        pairs(half, head, cos + at, sin + at, c.inverse() ? -1 : 1);
                    } else {
                        halves(half, head, head + half * 4L, cos + at, sin + at, c.inverse() ? -1 : 1);
                    }
                }
            }
        });
    }

    private static void halves(int n, long first, long second, long cos, long sin, float sign) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector c = fromMemorySegment(F, MEM, cos + k, ORDER);
            FloatVector s = fromMemorySegment(F, MEM, sin + k, ORDER).mul(sign);
            FloatVector x = fromMemorySegment(F, MEM, first + k, ORDER);
            FloatVector y = fromMemorySegment(F, MEM, second + k, ORDER);
            x.fma(c, y.mul(s).neg()).intoMemorySegment(MEM, first + k, ORDER);
            y.fma(c, x.mul(s)).intoMemorySegment(MEM, second + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            long k = whole * 4L;
            FloatVector c = fromMemorySegment(F, MEM, cos + k, ORDER, mask);
            FloatVector s = fromMemorySegment(F, MEM, sin + k, ORDER, mask).mul(sign);
            FloatVector x = fromMemorySegment(F, MEM, first + k, ORDER, mask);
            FloatVector y = fromMemorySegment(F, MEM, second + k, ORDER, mask);
            x.fma(c, y.mul(s).neg()).intoMemorySegment(MEM, first + k, ORDER, mask);
            y.fma(c, x.mul(s)).intoMemorySegment(MEM, second + k, ORDER, mask);
        }
    }

    /** {@code y} = {@code x} with neighbors swapped: {@code x cos + y (-sin, sin)}, in the operations of {@link #halves}. */
    private static void pairs(int n, long x, long cos, long sin, float sign) {
        FloatVector signs = FloatVector.broadcast(F, sign).blend(-sign, EVEN);
        for (int j = 0; j < n; j += LANES / 2) {
            VectorMask<Float> some = F.indexInRange(0, Math.min(n - j, LANES / 2));
            VectorMask<Float> mask = F.indexInRange(0, 2 * (n - j));
            FloatVector c = fromMemorySegment(F, MEM, cos + j * 4L, ORDER, some).rearrange(TWICE);
            FloatVector s = fromMemorySegment(F, MEM, sin + j * 4L, ORDER, some)
                    .rearrange(TWICE)
                    .mul(signs);
            FloatVector v = fromMemorySegment(F, MEM, x + j * 8L, ORDER, mask);
            v.fma(c, v.rearrange(NEIGHBORS).mul(s)).intoMemorySegment(MEM, x + j * 8L, ORDER, mask);
        }
    }
}
