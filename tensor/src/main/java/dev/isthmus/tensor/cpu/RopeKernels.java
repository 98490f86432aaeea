package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.Rope;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Rotary position embedding. */
final class RopeKernels {
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
            FloatVector c = load(cos + j * 4L);
            FloatVector s = load(sin + j * 4L).mul(sign);
            FloatVector x = load(first + j * 4L);
            FloatVector y = load(second + j * 4L);
            store(x.fma(c, y.mul(s).neg()), first + j * 4L);
            store(y.fma(c, x.mul(s)), second + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            FloatVector c = load(cos + whole * 4L, mask);
            FloatVector s = load(sin + whole * 4L, mask).mul(sign);
            FloatVector x = load(first + whole * 4L, mask);
            FloatVector y = load(second + whole * 4L, mask);
            store(x.fma(c, y.mul(s).neg()), first + whole * 4L, mask);
            store(y.fma(c, x.mul(s)), second + whole * 4L, mask);
        }
    }

    private static void pairs(int n, long x, long cos, long sin, float sign) {
        for (int j = 0; j < n; j++) {
            float c = getFloat(cos + j * 4L);
            float s = getFloat(sin + j * 4L) * sign;
            float a = getFloat(x + j * 8L);
            float b = getFloat(x + j * 8L + 4);
            setFloat(x + j * 8L, Math.fma(a, c, -(b * s)));
            setFloat(x + j * 8L + 4, Math.fma(b, c, a * s));
        }
    }
}
