package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Softmax and cross-entropy of rows: one pass for the maximum, one for the sum of exponentials.
 *
 * <p>A log-probability is {@code (x - max) - log(sum)}, rounded in this order wherever it is computed, so that {@code
 * log_softmax} and cross-entropy give the same bits.
 */
final class SoftmaxKernels {
    private SoftmaxKernels() {}

    static void softmax(Softmax c) {
        long row = c.cols() * 4L;
        long x = c.x().address();
        long y = c.y().address();
        Rows.parallel(c.rows(), 2 * c.cols(), (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                float max = max(c.cols(), x + i * row, 1, sums);
                if (c.log()) {
                    float sum = sumOfExponentials(c.cols(), x + i * row, 1, max, sums);
                    logProbabilities(c.cols(), x + i * row, max, VectorMath.log(sum), y + i * row);
                } else {
                    float sum = exponentials(c.cols(), x + i * row, max, y + i * row, sums);
                    scale(c.cols(), 1 / sum, y + i * row);
                }
            }
        });
    }

    static void softmaxBackward(SoftmaxBackward c) {
        long row = c.cols() * 4L;
        long y = c.y().address();
        long dy = c.dy().address();
        long dx = c.dx().address();
        Rows.parallel(c.rows(), 3 * c.cols(), (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                if (c.log()) {
                    float sum = sum(c.cols(), dy + i * row, sums);
                    logSoftmaxGradient(c.cols(), y + i * row, dy + i * row, sum, dx + i * row);
                } else {
                    float sum = dot(c.cols(), y + i * row, dy + i * row, sums);
                    softmaxGradient(c.cols(), y + i * row, dy + i * row, sum, dx + i * row);
                }
            }
        });
    }

    static void crossEntropy(CrossEntropy c) {
        long row = c.words() * 4L;
        float factor = (float) c.invTemperature();
        long logits = c.logits().address();
        long target = c.target().address();
        long losses = c.loss().address();
        long lses = c.lse().address();
        long entropies = c.entropy() == null ? 0 : c.entropy().address();
        Rows.parallel(c.rows(), 2 * c.words(), (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                long x = logits + i * row;
                float max = max(c.words(), x, factor, sums);
                float sum;
                if (entropies == 0) {
                    sum = sumOfExponentials(c.words(), x, factor, max, sums);
                } else {
                    sum = sumForEntropy(c.words(), x, factor, max, sums);
                    setFloat(entropies + i * 4L, VectorMath.log(sum) - getFloat(sums + 4L * Rows.LANES) / sum);
                }
                float logSum = VectorMath.log(sum);
                int word = id(target, i);
                setFloat(lses + i * 4L, Float.isInfinite(max) ? max : max + logSum);
                setFloat(losses + i * 4L, word < 0 ? 0 : logSum - (getFloat(x + word * 4L) * factor - max));
            }
        });
    }

    static void crossEntropyBackward(CrossEntropyBackward c) {
        long row = c.words() * 4L;
        float factor = (float) c.invTemperature();
        long logits = c.logits().address();
        long target = c.target().address();
        long lses = c.lse().address();
        long dLoss = c.dLoss().address();
        long dLogits = c.dLogits().address();
        Rows.parallel(c.rows(), 2 * c.words(), (from, to) -> {
            for (int i = from; i < to; i++) {
                int word = id(target, i);
                float g = word < 0 ? 0 : getFloat(dLoss + i * 4L) * factor;
                long dx = dLogits + i * row;
                if (g == 0) {
                    MEM.asSlice(dx, row).fill((byte) 0);
                } else {
                    crossEntropyGradient(c.words(), logits + i * row, factor, getFloat(lses + i * 4L), g, dx);
                    setFloat(dx + word * 4L, getFloat(dx + word * 4L) - g);
                }
            }
        });
    }

    private static int id(long ids, int i) {
        return MEM.get(ValueLayout.JAVA_INT_UNALIGNED, ids + i * 4L);
    }

    // ---- loops over a row ----------------------------------------------------------------------------------------------

    /** The largest of {@code factor x}. */
    private static float max(int n, long x, float factor, long scratch) {
        FloatVector m0 = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        FloatVector m2 = m0;
        FloatVector m3 = m0;
        int j = 0;
        for (; j <= n - 4 * LANES; j += 4 * LANES) {
            m0 = larger(m0, load(x + j * 4L).mul(factor));
            m1 = larger(m1, load(x + (j + LANES) * 4L).mul(factor));
            m2 = larger(m2, load(x + (j + 2 * LANES) * 4L).mul(factor));
            m3 = larger(m3, load(x + (j + 3 * LANES) * 4L).mul(factor));
        }
        for (; j <= n - LANES; j += LANES) {
            m0 = larger(m0, load(x + j * 4L).mul(factor));
        }
        if (j < n) {
            VectorMask<Float> mask = Simd.first(n - j);
            m1 = larger(m1, m1.blend(load(x + j * 4L, mask).mul(factor), mask));
        }
        store(larger(larger(m0, m1), larger(m2, m3)), scratch);
        float max = getFloat(scratch);
        for (int lane = 1; lane < LANES; lane++) {
            float value = getFloat(scratch + lane * 4L);
            max = value > max ? value : max;
        }
        return max;
    }

    private static FloatVector larger(FloatVector a, FloatVector b) {
        return a.blend(b, b.compare(VectorOperators.GT, a));
    }

    private static float sumOfExponentials(int n, long x, float factor, float max, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                sum = sum.add(VectorMath.exp(load(x + j * 4L).mul(factor).sub(max)));
            }
            if (j < n) {
                VectorMask<Float> mask = Simd.first(n - j);
                sum = sum.add(VectorMath.exp(load(x + j * 4L, mask).mul(factor).sub(max)), mask);
            }
            store(sum, sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    /** Also leaves the sum of {@code e^t t}, {@code t = factor x - max}, behind the sums. */
    private static float sumForEntropy(int n, long x, float factor, float max, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            FloatVector weighted = sum;
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                FloatVector t = load(x + j * 4L).mul(factor).sub(max);
                FloatVector e = VectorMath.exp(t);
                sum = sum.add(e);
                weighted = weighted.add(e.mul(t).blend(0, e.compare(VectorOperators.EQ, 0f)));
            }
            if (j < n) {
                VectorMask<Float> mask = Simd.first(n - j);
                FloatVector t = load(x + j * 4L, mask).mul(factor).sub(max);
                FloatVector e = VectorMath.exp(t);
                sum = sum.add(e, mask);
                weighted = weighted.add(e.mul(t).blend(0, e.compare(VectorOperators.EQ, 0f)), mask);
            }
            store(sum, sums + part * 4L);
            store(weighted, sums + (Rows.LANES + part) * 4L);
        }
        Rows.fold(sums + Rows.LANES * 4L);
        return Rows.fold(sums);
    }

    private static float exponentials(int n, long x, float max, long y, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                FloatVector e = VectorMath.exp(load(x + j * 4L).sub(max));
                sum = sum.add(e);
                store(e, y + j * 4L);
            }
            if (j < n) {
                VectorMask<Float> mask = Simd.first(n - j);
                FloatVector e = VectorMath.exp(load(x + j * 4L, mask).sub(max));
                sum = sum.add(e, mask);
                store(e, y + j * 4L, mask);
            }
            store(sum, sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    private static float sum(int n, long x, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                sum = sum.add(load(x + j * 4L));
            }
            if (j < n) {
                sum = sum.add(load(x + j * 4L, Simd.first(n - j)));
            }
            store(sum, sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    private static float dot(int n, long x, long y, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                sum = load(x + j * 4L).fma(load(y + j * 4L), sum);
            }
            if (j < n) {
                VectorMask<Float> mask = Simd.first(n - j);
                sum = load(x + j * 4L, mask).fma(load(y + j * 4L, mask), sum);
            }
            store(sum, sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    private static void scale(int n, float factor, long y) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(y + j * 4L).mul(factor), y + j * 4L);
        }
        for (int j = whole; j < n; j++) {
            setFloat(y + j * 4L, getFloat(y + j * 4L) * factor);
        }
    }

    private static void logProbabilities(int n, long x, float max, float logSum, long y) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(x + j * 4L).sub(max).sub(logSum), y + j * 4L);
        }
        for (int j = whole; j < n; j++) {
            setFloat(y + j * 4L, getFloat(x + j * 4L) - max - logSum);
        }
    }

    private static void softmaxGradient(int n, long y, long dy, float sum, long dx) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(dy + j * 4L).sub(sum).mul(load(y + j * 4L)), dx + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            store(load(dy + whole * 4L, mask).sub(sum).mul(load(y + whole * 4L, mask)), dx + whole * 4L, mask);
        }
    }

    private static void logSoftmaxGradient(int n, long y, long dy, float sum, long dx) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(dy + j * 4L).sub(VectorMath.exp(load(y + j * 4L)).mul(sum)), dx + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            FloatVector p = VectorMath.exp(load(y + whole * 4L, mask));
            store(load(dy + whole * 4L, mask).sub(p.mul(sum)), dx + whole * 4L, mask);
        }
    }

    /** {@code dx = g e^(factor x - lse)}. */
    private static void crossEntropyGradient(int n, long x, float factor, float lse, float g, long dx) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(VectorMath.exp(load(x + j * 4L).mul(factor).sub(lse)).mul(g), dx + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            store(VectorMath.exp(load(x + whole * 4L, mask).mul(factor).sub(lse)).mul(g), dx + whole * 4L, mask);
        }
    }
}
