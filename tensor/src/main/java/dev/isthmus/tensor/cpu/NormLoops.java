package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The loops of norms over one row, in the order of additions that {@link Rows} describes.
 *
 * <p>Sums have two vectors of partial sums, so that one addition need not wait for the other. Loads and stores are spelled out
 * because these loops are inlined into methods so large that C2 inlines no helpers there any more and boxes their vectors.
 *
 * <p>The larger loops leave the end of a row, which takes masks, to the smaller ones. With masks C1 gives up to compile them with counters
 * ("out of virtual registers"), and where it had compiled them without before, since C2 was busy, they stay so for good: ten times slower.
 */
final class NormLoops {
    /** The bytes of a vector. */
    private static final long VECTOR = BYTES & STRIDE;

    /** The bits that a column may have: what tells the compiler that it is not negative. */
    private static final int INDEX = Integer.MAX_VALUE;

    private NormLoops() {}

    static float sum(int n, long x, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                long k = x + j * 4L;
                a = a.add(fromMemorySegment(F, MEM, k, ORDER));
                b = b.add(fromMemorySegment(F, MEM, k + Rows.BYTES, ORDER));
            }
            if (j < n) {
                long k = x + j * 4L;
                a = a.add(fromMemorySegment(F, MEM, k, ORDER, F.indexInRange(j, n)));
                b = b.add(fromMemorySegment(F, MEM, k + Rows.BYTES, ORDER, F.indexInRange(j + Rows.LANES, n)));
            }
            a.add(b).intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
        return Rows.fold(sums);
    }

    /** {@code sum (x - mean)^2}. */
    static float squares(int n, long x, float mean, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                long k = x + j * 4L;
                FloatVector u = fromMemorySegment(F, MEM, k, ORDER).sub(mean);
                FloatVector v = fromMemorySegment(F, MEM, k + Rows.BYTES, ORDER).sub(mean);
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            if (j < n) {
                FloatVector zero = FloatVector.zero(F);
                long k = x + j * 4L;
                VectorMask<Float> first = F.indexInRange(j, n);
                VectorMask<Float> second = F.indexInRange(j + Rows.LANES, n);
                FloatVector u =
                        zero.blend(fromMemorySegment(F, MEM, k, ORDER, first).sub(mean), first);
                FloatVector v = zero.blend(
                        fromMemorySegment(F, MEM, k + Rows.BYTES, ORDER, second).sub(mean), second);
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            a.add(b).intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
        return Rows.fold(sums);
    }

    /** {@code sum a b}. */
    static float dot(int n, long a, long b, long sums) {
        a &= ADDRESS;
        b &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                long k = (j & INDEX) * 4L;
                FloatVector u = fromMemorySegment(F, MEM, a + k, ORDER);
                sum = fromMemorySegment(F, MEM, b + k, ORDER).fma(u, sum);
            }
            if (j < n) {
                FloatVector u = fromMemorySegment(F, MEM, a + j * 4L, ORDER, F.indexInRange(j, n));
                sum = fromMemorySegment(F, MEM, b + j * 4L, ORDER, F.indexInRange(j, n))
                        .fma(u, sum);
            }
            sum.intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
        return Rows.fold(sums);
    }

    /**
     * Adds to the partial sums at {@code sums} those of {@code sum (x - mean) dy w}, and behind them those of {@code sum dy w}: two
     * chains at once.
     */
    static void addDots(int n, long x, float mean, long dy, long w, long sums) {
        x &= ADDRESS;
        dy &= ADDRESS;
        w &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector product = fromMemorySegment(F, MEM, sums + part * 4L, ORDER);
            FloatVector sum = fromMemorySegment(F, MEM, sums + Rows.BYTES + part * 4L, ORDER);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                long k = (j & INDEX) * 4L;
                FloatVector u = fromMemorySegment(F, MEM, x + k, ORDER).sub(mean);
                FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER);
                FloatVector f = fromMemorySegment(F, MEM, w + k, ORDER);
                product = f.mul(g).fma(u, product);
                sum = f.fma(g, sum);
            }
            if (j < n) {
                VectorMask<Float> mask = F.indexInRange(j, n);
                FloatVector u =
                        fromMemorySegment(F, MEM, x + j * 4L, ORDER, mask).sub(mean);
                FloatVector g = fromMemorySegment(F, MEM, dy + j * 4L, ORDER, mask);
                FloatVector f = fromMemorySegment(F, MEM, w + j * 4L, ORDER, mask);
                product = f.mul(g).fma(u, product);
                sum = f.fma(g, sum);
            }
            product.intoMemorySegment(MEM, sums + part * 4L, ORDER);
            sum.intoMemorySegment(MEM, sums + Rows.BYTES + part * 4L, ORDER);
        }
    }

    /** {@code y = (x - mean) rstd w + b}. */
    static void normalize(int n, long x, float mean, float rstd, long w, long b, long y) {
        x &= ADDRESS;
        w &= ADDRESS;
        b &= ADDRESS;
        y &= ADDRESS;
        int whole = n / LANES;
        for (int j = 0; j < whole; j++) {
            long k = j * VECTOR;
            fromMemorySegment(F, MEM, x + k, ORDER)
                    .sub(mean)
                    .mul(rstd)
                    .fma(fromMemorySegment(F, MEM, w + k, ORDER), fromMemorySegment(F, MEM, b + k, ORDER))
                    .intoMemorySegment(MEM, y + k, ORDER);
        }
        if (whole * LANES < n) {
            VectorMask<Float> mask = F.indexInRange(whole * LANES, n);
            long k = whole * VECTOR;
            fromMemorySegment(F, MEM, x + k, ORDER, mask)
                    .sub(mean)
                    .mul(rstd)
                    .fma(fromMemorySegment(F, MEM, w + k, ORDER, mask), fromMemorySegment(F, MEM, b + k, ORDER, mask))
                    .intoMemorySegment(MEM, y + k, ORDER, mask);
        }
    }

    /**
     * {@link #normalize}, and returns the {@link #sum} of row {@code next}, which comes from memory while the other is in the cache.
     */
    static float normalizeAndSum(int n, long x, float mean, float rstd, long w, long b, long y, long next, long sums) {
        int whole = n & -2 * Rows.LANES;
        wholeNormalizeAndSum(whole, x, mean, rstd, w, b, y, next, sums);
        if (whole < n) {
            long k = whole * 4L;
            normalize(n - whole, x + k, mean, rstd, w + k, b + k, y + k);
            for (int j = 0; j < n - whole; j++) {
                setFloat(sums + j * 4L, getFloat(sums + j * 4L) + getFloat(next + k + j * 4L));
            }
        }
        add(Rows.LANES, sums + Rows.BYTES, sums, true);
        return Rows.fold(sums);
    }

    private static void wholeNormalizeAndSum(
            int n, long x, float mean, float rstd, long w, long b, long y, long next, long sums) {
        x &= ADDRESS;
        w &= ADDRESS;
        b &= ADDRESS;
        y &= ADDRESS;
        next &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector s = FloatVector.zero(F);
            FloatVector t = s;
            for (int j = part; j < n; j += 2 * Rows.LANES) {
                long k = (j & INDEX) * 4L;
                long l = k + Rows.BYTES;
                s = s.add(fromMemorySegment(F, MEM, next + k, ORDER));
                fromMemorySegment(F, MEM, x + k, ORDER)
                        .sub(mean)
                        .mul(rstd)
                        .fma(fromMemorySegment(F, MEM, w + k, ORDER), fromMemorySegment(F, MEM, b + k, ORDER))
                        .intoMemorySegment(MEM, y + k, ORDER);
                t = t.add(fromMemorySegment(F, MEM, next + l, ORDER));
                fromMemorySegment(F, MEM, x + l, ORDER)
                        .sub(mean)
                        .mul(rstd)
                        .fma(fromMemorySegment(F, MEM, w + l, ORDER), fromMemorySegment(F, MEM, b + l, ORDER))
                        .intoMemorySegment(MEM, y + l, ORDER);
            }
            s.intoMemorySegment(MEM, sums + part * 4L, ORDER);
            t.intoMemorySegment(MEM, sums + Rows.BYTES + part * 4L, ORDER);
        }
    }

    /** {@code y = x rstd w}, and returns the {@link #squares} of row {@code next} around 0, which comes from memory meanwhile. */
    static float scaleAndSquares(int n, long x, float rstd, long w, long y, long next, long sums) {
        int whole = n & -2 * Rows.LANES;
        wholeScaleAndSquares(whole, x, rstd, w, y, next, sums);
        for (int j = whole; j < n; j++) {
            long k = j * 4L;
            setFloat(y + k, Math.fma(getFloat(x + k) * rstd, getFloat(w + k), 0));
            float u = getFloat(next + k);
            long sum = sums + (j - whole) * 4L;
            setFloat(sum, Math.fma(u, u, getFloat(sum)));
        }
        add(Rows.LANES, sums + Rows.BYTES, sums, true);
        return Rows.fold(sums);
    }

    private static void wholeScaleAndSquares(int n, long x, float rstd, long w, long y, long next, long sums) {
        x &= ADDRESS;
        w &= ADDRESS;
        y &= ADDRESS;
        next &= ADDRESS;
        FloatVector zero = FloatVector.zero(F);
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector s = zero;
            FloatVector t = zero;
            for (int j = part; j < n; j += 2 * Rows.LANES) {
                long k = (j & INDEX) * 4L;
                long l = k + Rows.BYTES;
                FloatVector u = fromMemorySegment(F, MEM, next + k, ORDER);
                s = u.fma(u, s);
                fromMemorySegment(F, MEM, x + k, ORDER)
                        .mul(rstd)
                        .fma(fromMemorySegment(F, MEM, w + k, ORDER), zero)
                        .intoMemorySegment(MEM, y + k, ORDER);
                u = fromMemorySegment(F, MEM, next + l, ORDER);
                t = u.fma(u, t);
                fromMemorySegment(F, MEM, x + l, ORDER)
                        .mul(rstd)
                        .fma(fromMemorySegment(F, MEM, w + l, ORDER), zero)
                        .intoMemorySegment(MEM, y + l, ORDER);
            }
            s.intoMemorySegment(MEM, sums + part * 4L, ORDER);
            t.intoMemorySegment(MEM, sums + Rows.BYTES + part * 4L, ORDER);
        }
    }

    /** {@code dx (+)= rstd (dy w - meanG - (x - mean) slope)}. */
    static void gradient(
            int n,
            long x,
            float mean,
            long dy,
            long w,
            float rstd,
            float meanG,
            float slope,
            long dx,
            boolean accumulate) {
        x &= ADDRESS;
        dy &= ADDRESS;
        w &= ADDRESS;
        dx &= ADDRESS;
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            FloatVector u = fromMemorySegment(F, MEM, x + k, ORDER).sub(mean).mul(slope);
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER).mul(fromMemorySegment(F, MEM, w + k, ORDER));
            FloatVector d = g.sub(meanG).sub(u).mul(rstd);
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, dx + k, ORDER));
            }
            d.intoMemorySegment(MEM, dx + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            long k = whole * 4L;
            FloatVector u =
                    fromMemorySegment(F, MEM, x + k, ORDER, mask).sub(mean).mul(slope);
            FloatVector g =
                    fromMemorySegment(F, MEM, dy + k, ORDER, mask).mul(fromMemorySegment(F, MEM, w + k, ORDER, mask));
            FloatVector d = g.sub(meanG).sub(u).mul(rstd);
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, dx + k, ORDER, mask));
            }
            d.intoMemorySegment(MEM, dx + k, ORDER, mask);
        }
    }

    /** {@link #gradient}, and {@link #addDots} of the row at {@code x1} and {@code dy1}, which comes from memory meanwhile. */
    static void gradientAndDots(
            int n,
            long x,
            float mean,
            long dy,
            long w,
            float rstd,
            float meanG,
            float slope,
            long dx,
            boolean accumulate,
            long x1,
            float mean1,
            long dy1,
            long sums) {
        int whole = n & -Rows.LANES;
        wholeGradientAndDots(whole, x, mean, dy, w, rstd, meanG, slope, dx, accumulate, x1, mean1, dy1, sums);
        if (whole < n) {
            long k = whole * 4L;
            gradient(n - whole, x + k, mean, dy + k, w + k, rstd, meanG, slope, dx + k, accumulate);
            addDots(n - whole, x1 + k, mean1, dy1 + k, w + k, sums);
        }
    }

    private static void wholeGradientAndDots(
            int n,
            long x,
            float mean,
            long dy,
            long w,
            float rstd,
            float meanG,
            float slope,
            long dx,
            boolean accumulate,
            long x1,
            float mean1,
            long dy1,
            long sums) {
        x &= ADDRESS;
        dy &= ADDRESS;
        w &= ADDRESS;
        dx &= ADDRESS;
        x1 &= ADDRESS;
        dy1 &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector product = FloatVector.zero(F);
            FloatVector sum = product;
            for (int j = part; j < n; j += Rows.LANES) {
                long k = (j & INDEX) * 4L;
                FloatVector f = fromMemorySegment(F, MEM, w + k, ORDER);
                FloatVector g = fromMemorySegment(F, MEM, dy1 + k, ORDER);
                FloatVector u = fromMemorySegment(F, MEM, x1 + k, ORDER).sub(mean1);
                product = f.mul(g).fma(u, product);
                sum = f.fma(g, sum);
                u = fromMemorySegment(F, MEM, x + k, ORDER).sub(mean).mul(slope);
                FloatVector d = fromMemorySegment(F, MEM, dy + k, ORDER)
                        .mul(f)
                        .sub(meanG)
                        .sub(u)
                        .mul(rstd);
                if (accumulate) {
                    d = d.add(fromMemorySegment(F, MEM, dx + k, ORDER));
                }
                d.intoMemorySegment(MEM, dx + k, ORDER);
            }
            product.intoMemorySegment(MEM, sums + part * 4L, ORDER);
            sum.intoMemorySegment(MEM, sums + Rows.BYTES + part * 4L, ORDER);
        }
    }

    /**
     * {@code dw += dy (x - mean) rstd} and, unless {@code db} is 0, {@code db += dy}.
     *
     * <p>All loads of a step come before its stores: a load from the same place of another page would wait for them.
     */
    static void parameterGradients(int n, long x, float mean, float rstd, long dy, long dw, long db) {
        x &= ADDRESS;
        dy &= ADDRESS;
        dw &= ADDRESS;
        db &= ADDRESS;
        int whole = n / LANES;
        for (int j = 0; j < whole; j++) {
            long k = j * VECTOR;
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER);
            FloatVector d = g.mul(
                            fromMemorySegment(F, MEM, x + k, ORDER).sub(mean).mul(rstd))
                    .add(fromMemorySegment(F, MEM, dw + k, ORDER));
            if (db != 0) {
                g.add(fromMemorySegment(F, MEM, db + k, ORDER)).intoMemorySegment(MEM, db + k, ORDER);
            }
            d.intoMemorySegment(MEM, dw + k, ORDER);
        }
        if (whole * LANES < n) {
            VectorMask<Float> mask = F.indexInRange(whole * LANES, n);
            long k = whole * VECTOR;
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER, mask);
            FloatVector d = g.mul(fromMemorySegment(F, MEM, x + k, ORDER, mask)
                            .sub(mean)
                            .mul(rstd))
                    .add(fromMemorySegment(F, MEM, dw + k, ORDER, mask));
            d.intoMemorySegment(MEM, dw + k, ORDER, mask);
            if (db != 0) {
                add(n - whole * LANES, dy + k, db + k, true);
            }
        }
    }

    /** The same for this row and then one at {@code x1} and {@code dy1}: the sums are read and written once for both. */
    static void parameterGradients(
            int n,
            long x,
            float mean,
            float rstd,
            long dy,
            long x1,
            float mean1,
            float rstd1,
            long dy1,
            long dw,
            long db) {
        x &= ADDRESS;
        dy &= ADDRESS;
        x1 &= ADDRESS;
        dy1 &= ADDRESS;
        dw &= ADDRESS;
        db &= ADDRESS;
        int whole = n / LANES;
        for (int j = 0; j < whole; j++) {
            long k = j * VECTOR;
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER);
            FloatVector g1 = fromMemorySegment(F, MEM, dy1 + k, ORDER);
            FloatVector d =
                    g.mul(fromMemorySegment(F, MEM, x + k, ORDER).sub(mean).mul(rstd));
            FloatVector d1 =
                    g1.mul(fromMemorySegment(F, MEM, x1 + k, ORDER).sub(mean1).mul(rstd1));
            d = fromMemorySegment(F, MEM, dw + k, ORDER).add(d).add(d1);
            if (db != 0) {
                fromMemorySegment(F, MEM, db + k, ORDER).add(g).add(g1).intoMemorySegment(MEM, db + k, ORDER);
            }
            d.intoMemorySegment(MEM, dw + k, ORDER);
        }
        if (whole * LANES < n) {
            int rest = n - whole * LANES;
            long k = whole * VECTOR;
            parameterGradients(rest, x + k, mean, rstd, dy + k, dw + k, db == 0 ? 0 : db + k);
            parameterGradients(rest, x1 + k, mean1, rstd1, dy1 + k, dw + k, db == 0 ? 0 : db + k);
        }
    }

    /** {@code to (+)= from}. */
    static void add(int n, long from, long to, boolean accumulate) {
        from &= ADDRESS;
        to &= ADDRESS;
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = (j & INDEX) * 4L;
            FloatVector d = fromMemorySegment(F, MEM, from + k, ORDER);
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, to + k, ORDER));
            }
            d.intoMemorySegment(MEM, to + k, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            long k = whole * 4L;
            FloatVector d = fromMemorySegment(F, MEM, from + k, ORDER, mask);
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, to + k, ORDER, mask));
            }
            d.intoMemorySegment(MEM, to + k, ORDER, mask);
        }
    }
}
