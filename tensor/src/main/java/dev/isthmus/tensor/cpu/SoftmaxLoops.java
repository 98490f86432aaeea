package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
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

    /** The columns of a row from which on vectors are moved to the lines of the cache, one each, which takes two more at the ends. */
    private static final int LONG = 128;

    /** The parts of a row that are read in turn, and how much at a time. */
    private static final int STREAMS = 4, TURN = 256;

    /** The bits that a column may have: what tells the compiler that it is not negative. */
    private static final int INDEX = Integer.MAX_VALUE;

    private final long sums = Scratch.address(Scratch.Use.LANES, 5 * Rows.BYTES + PIECE * 4L);
    private final long weighted = sums + Rows.BYTES;
    private final long tail = weighted + Rows.BYTES;
    private final long constant = tail + Rows.BYTES;
    private final long maxima = constant + Rows.BYTES;
    private final long piece = maxima + Rows.BYTES;

    /** The largest of {@code factor x}; the factor is positive. */
    float max(int n, long x, float factor) {
        FloatVector.broadcast(F, Float.NEGATIVE_INFINITY).intoMemorySegment(MEM, maxima, ORDER);
        addToMax(n, x);
        return max(factor);
    }

    /** That of the row that was {@code next} when exponentials were taken. */
    float max(float factor) {
        return factor * fromMemorySegment(F, MEM, maxima, ORDER).reduceLanes(VectorOperators.MAX);
    }

    private void addToMax(int n, long x) {
        FloatVector m0 = fromMemorySegment(F, MEM, maxima, ORDER);
        FloatVector m1 = m0;
        int j = 0;
        for (; j <= n - 2 * LANES; j += 2 * LANES) {
            FloatVector v = fromMemorySegment(F, MEM, x + j * 4L, ORDER);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0));
            v = fromMemorySegment(F, MEM, x + (j + LANES) * 4L, ORDER);
            m1 = m1.blend(v, v.compare(VectorOperators.GT, m1));
        }
        for (; j < n; j += LANES) {
            VectorMask<Float> mask = F.indexInRange(j, n);
            FloatVector v = fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0).and(mask));
        }
        m0.blend(m1, m1.compare(VectorOperators.GT, m0)).intoMemorySegment(MEM, maxima, ORDER);
    }

    /** {@code y = g e^(factor x - shift)}; {@code y} may be {@code x}. Parts of a long row take turns: as many streams come from memory at once. */
    void exponentials(int n, long x, float factor, float shift, float g, long y) {
        FloatVector.broadcast(F, shift).intoMemorySegment(MEM, constant, ORDER);
        int first = n < LONG ? 0 : toNextLine(y);
        someExponentials(first, x, factor, g, y);
        int apart = (n - first) / (STREAMS * TURN);
        int turns = apart * STREAMS;
        for (int i = 0; i < turns; i++) {
            long there = (first + (i % STREAMS * apart + i / STREAMS) * TURN) * 4L;
            VectorMath.exp(TURN / LANES, Simd.BYTES, x + there, factor, constant, g, y + there);
        }
        int done = first + turns * TURN;
        int whole = F.loopBound(n - done);
        VectorMath.exp(whole / LANES, Simd.BYTES, x + done * 4L, factor, constant, g, y + done * 4L);
        done += whole;
        someExponentials(n - done, x + done * 4L, factor, g, y + done * 4L);
    }

    /** The same for the few numbers at an end of a row. */
    private void someExponentials(int n, long x, float factor, float g, long y) {
        for (int j = 0; j < n; j += LANES) {
            VectorMask<Float> mask = F.indexInRange(j, n);
            fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask).intoMemorySegment(MEM, tail, ORDER);
            VectorMath.exp(1, 0, tail, factor, constant, g, tail);
            fromMemorySegment(F, MEM, tail, ORDER).intoMemorySegment(MEM, y + j * 4L, ORDER, mask);
        }
    }

    /** The numbers from an address to the next line of the cache. */
    private static int toNextLine(long address) {
        return (int) (-address & (Rows.BYTES - 1)) / 4;
    }

    /**
     * {@code y = e^(x - max)}, and returns the sum; {@link #max(float)} is then that of row {@code next}, which comes from memory while
     * this one keeps the processor busy.
     */
    float exponentials(int n, long x, float max, long y, long next) {
        begin(max);
        addExponentials(n, x, 1, y, 4, next);
        return Rows.fold(sums);
    }

    /** The same with {@code y = x - max}: written while the processor computes, since a second pass finds it in the cache. */
    float shifted(int n, long x, float max, long y, long next) {
        begin(max);
        int whole = F.loopBound(n);
        for (int part = 0; part < Rows.LANES; part += LANES) {
            long at = part * 4L;
            int count = (whole - part + Rows.LANES - LANES) / Rows.LANES;
            VectorMath.shiftExpSumAndMax(count, Rows.BYTES, x + at, constant, y + at, sums + at, next + at, maxima);
        }
        if (whole < n) {
            long end = whole * 4L;
            addSomeExponentials(n - whole, whole % Rows.LANES, x + end, 1, piece);
            addToMax(n - whole, next + end);
            subtract(n - whole, x + end, max, y + end);
        }
        return Rows.fold(sums);
    }

    /**
     * Returns the sum of {@code e^(factor x - max)}; for {@code next} see the other.
     *
     * <p>A vector that crosses from one line of the cache to another takes longer. So those of a long row begin where a line does, in
     * both rows. The first is then not whole, and the partial sums of the columns come turned around, which {@link Rows#fold} gives the same
     * number for: what it adds lies halves apart.
     */
    float sumOfExponentials(int n, long x, float factor, float max, long next) {
        begin(max);
        int first = n < LONG ? 0 : toNextLine(x);
        int firstOfNext = n < LONG ? 0 : toNextLine(next);
        int turned = (Rows.LANES - first) % Rows.LANES;
        addSomeExponentials(first, turned, x, factor, piece);
        addToMax(firstOfNext, next);
        int rest = (n - Math.max(first, firstOfNext)) & -Rows.LANES;
        addInTurn(rest, x + first * 4L, factor, next + firstOfNext * 4L);
        int done = first + rest;
        addSomeExponentials(n - done, 0, x + done * 4L, factor, piece);
        done = firstOfNext + rest;
        addToMax(n - done, next + done * 4L);
        return Rows.fold(sums);
    }

    /** The maximum, which has no order, is taken of parts of the next row in turn: as many streams come from memory at once. */
    private void addInTurn(int n, long x, float factor, long next) {
        int apart = n / (STREAMS * TURN);
        int turns = apart * STREAMS;
        for (int i = 0; i < turns; i++) {
            long there = (long) (i % STREAMS) * apart + i / STREAMS;
            addExponentials(TURN, x + i * TURN * 4L, factor, piece, 0, next + there * TURN * 4);
        }
        long done = turns * TURN * 4L;
        addExponentials(n - turns * TURN, x + done, factor, piece, 0, next + done);
    }

    private void begin(float max) {
        clear(sums);
        FloatVector.broadcast(F, max).intoMemorySegment(MEM, constant, ORDER);
        FloatVector.broadcast(F, Float.NEGATIVE_INFINITY).intoMemorySegment(MEM, maxima, ORDER);
    }

    private void addExponentials(int n, long x, float factor, long y, long stepY, long next) {
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
            addSomeExponentials(n - whole, whole % Rows.LANES, x + whole * 4L, factor, y + whole * stepY);
            addToMax(n - whole, next + whole * 4L);
        }
    }

    /** Adds those of a few numbers, the first of them to the partial sum {@code lane}. */
    private void addSomeExponentials(int n, int lane, long x, float factor, long y) {
        int before = lane % LANES;
        for (int j = -before; j < n; j += LANES) {
            VectorMask<Float> mask = F.indexInRange(j, n);
            fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask).intoMemorySegment(MEM, tail, ORDER);
            VectorMath.exp(1, 0, tail, factor, constant, 1, tail);
            FloatVector e = FloatVector.zero(F).blend(fromMemorySegment(F, MEM, tail, ORDER), mask);
            e.intoMemorySegment(MEM, y + j * 4L, ORDER, mask);
            long sum = sums + (lane + j) % Rows.LANES * 4L;
            fromMemorySegment(F, MEM, sum, ORDER).add(e).intoMemorySegment(MEM, sum, ORDER);
        }
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

    /**
     * {@code dx = dy - sum e^y}, and returns the sum of row {@code nextDy}: that row and {@code nextY} come from memory while exponentials
     * are computed.
     */
    float logSoftmaxGradient(int n, long y, long dy, float sum, long dx, long nextY, long nextDy) {
        int whole = n & -2 * Rows.LANES;
        VectorMath.addExpAndSum(whole, y, -sum, dy, dx, nextY, nextDy, sums);
        if (whole < n) {
            long k = whole * 4L;
            FloatVector.zero(F).intoMemorySegment(MEM, constant, ORDER);
            someExponentials(n - whole, y + k, 1, -sum, piece);
            sum(n - whole, dy + k, piece, dx + k);
            NormLoops.add(n - whole, nextDy + k, sums, true);
        }
        NormLoops.add(Rows.LANES, sums + Rows.BYTES, sums, true);
        return Rows.fold(sums);
    }

    /** The sum of a row. */
    float sum(int n, long x) {
        return NormLoops.sum(n, x, sums);
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

    /** {@code y = x - c}. */
    static void subtract(int n, long x, float c, long y) {
        int whole = F.loopBound(n);
        x &= ADDRESS;
        y &= ADDRESS;
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            fromMemorySegment(F, MEM, x + k, ORDER).sub(c).intoMemorySegment(MEM, y + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, x + whole * 4L, ORDER, mask)
                    .sub(c)
                    .intoMemorySegment(MEM, y + whole * 4L, ORDER, mask);
        }
    }

    /** Takes the logarithms of {@code n} numbers in memory of whole vectors. */
    static void logarithms(int n, long x) {
        if (n == 1) {
            setFloat(x, VectorMath.log(getFloat(x)));
            return;
        }
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
