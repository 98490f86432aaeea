package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The loops of softmax over one row, with the scratch memory of a thread.
 *
 * <p>Exponentials go through memory in pieces that stay in the first-level cache: one loop computes them, others add them up.
 * For the spelled-out loads and stores see {@link NormLoops}; for the order of additions, {@link Rows}.
 */
final class SoftmaxLoops {
    /** The numbers of a piece, a multiple of {@link Rows#LANES}. */
    private static final int PIECE = 2048;

    /** The bits that a column may have: what tells the compiler that it is not negative. */
    private static final int INDEX = Integer.MAX_VALUE;

    private final long sums = Scratch.address(Scratch.Use.LANES, 5 * Rows.BYTES + PIECE * 4L);
    private final long weighted = sums + Rows.BYTES;
    private final long constant = weighted + Rows.BYTES;
    private final long tail = constant + Rows.BYTES;
    private final long maxima = tail + Rows.BYTES;
    private final long piece = maxima + Rows.BYTES;

    /** The largest of {@code factor x}. */
    float max(int n, long x, float factor) {
        FloatVector.broadcast(F, Float.NEGATIVE_INFINITY).intoMemorySegment(MEM, maxima, ORDER);
        addToMax(n, x, factor);
        return max();
    }

    /** The largest number of the row that was {@code next} when exponentials were taken. */
    float max() {
        return fromMemorySegment(F, MEM, maxima, ORDER).reduceLanes(VectorOperators.MAX);
    }

    private void addToMax(int n, long x, float factor) {
        FloatVector m0 = fromMemorySegment(F, MEM, maxima, ORDER);
        FloatVector m1 = m0;
        int j = 0;
        for (; j <= n - 2 * LANES; j += 2 * LANES) {
            FloatVector v = fromMemorySegment(F, MEM, x + j * 4L, ORDER).mul(factor);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0));
            v = fromMemorySegment(F, MEM, x + (j + LANES) * 4L, ORDER).mul(factor);
            m1 = m1.blend(v, v.compare(VectorOperators.GT, m1));
        }
        for (; j < n; j += LANES) {
            VectorMask<Float> mask = F.indexInRange(j, n);
            FloatVector v = fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask).mul(factor);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0).and(mask));
        }
        m0.blend(m1, m1.compare(VectorOperators.GT, m0)).intoMemorySegment(MEM, maxima, ORDER);
    }

    /** {@code y = g e^(factor x - shift)}; {@code y} may be {@code x}. */
    void exponentials(int n, long x, float factor, float shift, float g, long y) {
        FloatVector.broadcast(F, shift).intoMemorySegment(MEM, constant, ORDER);
        int whole = F.loopBound(n);
        VectorMath.exp(whole / LANES, Simd.BYTES, x, factor, constant, g, y);
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, x + whole * 4L, ORDER, mask).intoMemorySegment(MEM, tail, ORDER);
            VectorMath.exp(1, 0, tail, factor, constant, g, tail);
            fromMemorySegment(F, MEM, tail, ORDER).intoMemorySegment(MEM, y + whole * 4L, ORDER, mask);
        }
    }

    /**
     * {@code y = e^(x - max)}, and returns the sum; {@link #max()} is then that of row {@code next}, which comes from memory while
     * this one keeps the processor busy.
     */
    float exponentials(int n, long x, float max, long y, long next) {
        return sumOfExponentials(n, x, 1, max, y, 4, next);
    }

    /** Returns the sum of {@code e^(factor x - max)}; for {@code next} see the other. */
    float sumOfExponentials(int n, long x, float factor, float max, long next) {
        return sumOfExponentials(n, x, factor, max, piece, 0, next);
    }

    private float sumOfExponentials(int n, long x, float factor, float max, long y, long stepY, long next) {
        clear(sums);
        FloatVector.broadcast(F, max).intoMemorySegment(MEM, constant, ORDER);
        FloatVector.broadcast(F, Float.NEGATIVE_INFINITY).intoMemorySegment(MEM, maxima, ORDER);
        int whole = F.loopBound(n);
        for (int part = 0; part < Rows.LANES; part += LANES) {
            long at = part * 4L;
            int count = (whole - part + Rows.LANES - LANES) / Rows.LANES;
            VectorMath.expSumAndMax(
                    count,
                    Rows.BYTES,
                    x + at,
                    factor,
                    constant,
                    y + part * stepY,
                    Rows.LANES * stepY,
                    sums + at,
                    next + at,
                    maxima);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, x + whole * 4L, ORDER, mask).intoMemorySegment(MEM, tail, ORDER);
            VectorMath.exp(1, 0, tail, factor, constant, 1, tail);
            FloatVector e = fromMemorySegment(F, MEM, tail, ORDER, F.indexInRange(0, n - whole));
            e.intoMemorySegment(MEM, y + whole * stepY, ORDER, mask);
            long sum = sums + whole % Rows.LANES * 4L;
            fromMemorySegment(F, MEM, sum, ORDER).add(e).intoMemorySegment(MEM, sum, ORDER);
            addToMax(n - whole, next + whole * 4L, factor);
        }
        return Rows.fold(sums);
    }

    /** The same, and leaves the sum of {@code e^t t}, {@code t = factor x - max}, to {@link #weighted()}. */
    float sumForEntropy(int n, long x, float factor, float max) {
        clear(sums);
        clear(weighted);
        for (int j = 0; j < n; j += PIECE) {
            int count = Math.min(PIECE, n - j);
            exponentials(count, x + j * 4L, factor, max, 1, piece);
            add(count, piece);
            addWeighted(count, piece, x + j * 4L, factor, max);
        }
        return Rows.fold(sums);
    }

    float weighted() {
        return Rows.fold(weighted);
    }

    void softmaxGradient(int n, long y, long dy, long dx) {
        float sum = NormLoops.dot(n, y, dy, sums);
        int whole = F.loopBound(n);
        y &= ADDRESS;
        dy &= ADDRESS;
        dx &= ADDRESS;
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            fromMemorySegment(F, MEM, dy + k, ORDER)
                    .sub(sum)
                    .mul(fromMemorySegment(F, MEM, y + k, ORDER))
                    .intoMemorySegment(MEM, dx + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, dy + whole * 4L, ORDER, mask)
                    .sub(sum)
                    .mul(fromMemorySegment(F, MEM, y + whole * 4L, ORDER, mask))
                    .intoMemorySegment(MEM, dx + whole * 4L, ORDER, mask);
        }
    }

    void logSoftmaxGradient(int n, long y, long dy, long dx) {
        float sum = NormLoops.sum(n, dy, sums);
        for (int j = 0; j < n; j += PIECE) {
            int count = Math.min(PIECE, n - j);
            exponentials(count, y + j * 4L, 1, 0, -sum, piece);
            sum(count, dy + j * 4L, piece, dx + j * 4L);
        }
    }

    /** {@code to = a + b}. */
    private static void sum(int n, long a, long b, long to) {
        int whole = F.loopBound(n);
        a &= ADDRESS;
        b &= ADDRESS;
        to &= ADDRESS;
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            fromMemorySegment(F, MEM, a + k, ORDER)
                    .add(fromMemorySegment(F, MEM, b + k, ORDER))
                    .intoMemorySegment(MEM, to + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, a + whole * 4L, ORDER, mask)
                    .add(fromMemorySegment(F, MEM, b + whole * 4L, ORDER, mask))
                    .intoMemorySegment(MEM, to + whole * 4L, ORDER, mask);
        }
    }

    static void scale(int n, float factor, long y) {
        int whole = F.loopBound(n);
        y &= ADDRESS;
        for (int j = 0; j < whole; j += LANES) {
            long at = y + (j & INDEX) * 4L;
            fromMemorySegment(F, MEM, at, ORDER).mul(factor).intoMemorySegment(MEM, at, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, y + whole * 4L, ORDER, mask)
                    .mul(factor)
                    .intoMemorySegment(MEM, y + whole * 4L, ORDER, mask);
        }
    }

    static void logProbabilities(int n, long x, float max, float logSum, long y) {
        int whole = F.loopBound(n);
        x &= ADDRESS;
        y &= ADDRESS;
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            fromMemorySegment(F, MEM, x + k, ORDER).sub(max).sub(logSum).intoMemorySegment(MEM, y + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, x + whole * 4L, ORDER, mask)
                    .sub(max)
                    .sub(logSum)
                    .intoMemorySegment(MEM, y + whole * 4L, ORDER, mask);
        }
    }

    /** Takes the logarithms of {@code n} numbers in memory of whole vectors. */
    static void logarithms(int n, long x) {
        for (int j = 0; j < n; j += LANES) {
            VectorMath.log(fromMemorySegment(F, MEM, x + j * 4L, ORDER)).intoMemorySegment(MEM, x + j * 4L, ORDER);
        }
    }

    private void add(int n, long x) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = fromMemorySegment(F, MEM, sums + part * 4L, ORDER);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                sum = sum.add(fromMemorySegment(F, MEM, x + j * 4L, ORDER));
            }
            if (j < n) {
                sum = sum.add(fromMemorySegment(F, MEM, x + j * 4L, ORDER, F.indexInRange(j, n)));
            }
            sum.intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
    }

    private void addWeighted(int n, long e, long x, float factor, float max) {
        FloatVector zero = FloatVector.zero(F);
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = fromMemorySegment(F, MEM, weighted + part * 4L, ORDER);
            for (int j = part; j < n; j += Rows.LANES) {
                VectorMask<Float> mask = F.indexInRange(j, n);
                FloatVector p = fromMemorySegment(F, MEM, e + j * 4L, ORDER, mask);
                FloatVector t = fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask)
                        .mul(factor)
                        .sub(max);
                sum = sum.add(p.mul(t).blend(zero, p.compare(VectorOperators.EQ, 0f)));
            }
            sum.intoMemorySegment(MEM, weighted + part * 4L, ORDER);
        }
    }

    private static void clear(long address) {
        for (long x = 0; x < Rows.BYTES; x += Simd.BYTES) {
            FloatVector.zero(F).intoMemorySegment(MEM, address + x, ORDER);
        }
    }
}
