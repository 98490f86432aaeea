package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The loops of norms over one row, in the order of additions that {@link Rows} describes.
 *
 * <p>Sums have two vectors of partial sums, so that one addition need not wait for the other. Loads and stores are spelled out
 * because these loops are inlined into methods so large that C2 inlines no helpers there any more and boxes their vectors.
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
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                FloatVector u = fromMemorySegment(F, MEM, a + j * 4L, ORDER);
                sum = fromMemorySegment(F, MEM, b + j * 4L, ORDER).fma(u, sum);
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

    /** Leaves the partial sums of {@code sum (x - mean) dy w} at {@code sums}, of {@code sum dy w} behind them: two chains at once. */
    static void dots(int n, long x, float mean, long dy, long w, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector product = FloatVector.zero(F);
            FloatVector sum = product;
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                FloatVector u = fromMemorySegment(F, MEM, x + j * 4L, ORDER).sub(mean);
                FloatVector g = fromMemorySegment(F, MEM, dy + j * 4L, ORDER);
                FloatVector f = fromMemorySegment(F, MEM, w + j * 4L, ORDER);
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
        x &= ADDRESS;
        w &= ADDRESS;
        b &= ADDRESS;
        y &= ADDRESS;
        next &= ADDRESS;
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector s = FloatVector.zero(F);
            FloatVector t = s;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
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
            for (boolean odd = false; j < n; j += Rows.LANES, odd = !odd) {
                VectorMask<Float> mask = F.indexInRange(j, n);
                long k = j * 4L;
                FloatVector v = fromMemorySegment(F, MEM, next + k, ORDER, mask);
                s = odd ? s : s.add(v);
                t = odd ? t.add(v) : t;
                fromMemorySegment(F, MEM, x + k, ORDER, mask)
                        .sub(mean)
                        .mul(rstd)
                        .fma(
                                fromMemorySegment(F, MEM, w + k, ORDER, mask),
                                fromMemorySegment(F, MEM, b + k, ORDER, mask))
                        .intoMemorySegment(MEM, y + k, ORDER, mask);
            }
            s.add(t).intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
        return Rows.fold(sums);
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
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
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

    /**
     * {@code dw (+)= dy (x - mean) rstd} and, unless {@code db} is 0, {@code db (+)= dy}.
     *
     * <p>All loads of a step come before its stores: a load from the same place of another page would wait for them.
     */
    static void parameterGradients(
            int n, long x, float mean, float rstd, long dy, long dw, long db, boolean accumulate) {
        x &= ADDRESS;
        dy &= ADDRESS;
        dw &= ADDRESS;
        db &= ADDRESS;
        int whole = n / LANES;
        for (int j = 0; j < whole; j++) {
            long k = j * VECTOR;
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER);
            FloatVector d =
                    g.mul(fromMemorySegment(F, MEM, x + k, ORDER).sub(mean).mul(rstd));
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, dw + k, ORDER));
            }
            if (db != 0) {
                if (accumulate) {
                    g = g.add(fromMemorySegment(F, MEM, db + k, ORDER));
                }
                g.intoMemorySegment(MEM, db + k, ORDER);
            }
            d.intoMemorySegment(MEM, dw + k, ORDER);
        }
        if (whole * LANES < n) {
            VectorMask<Float> mask = F.indexInRange(whole * LANES, n);
            long k = whole * VECTOR;
            FloatVector g = fromMemorySegment(F, MEM, dy + k, ORDER, mask);
            FloatVector d = g.mul(
                    fromMemorySegment(F, MEM, x + k, ORDER, mask).sub(mean).mul(rstd));
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, dw + k, ORDER, mask));
            }
            d.intoMemorySegment(MEM, dw + k, ORDER, mask);
            if (db != 0) {
                add(n - whole * LANES, dy + k, db + k, accumulate);
            }
        }
    }

    /** {@code to (+)= from}. */
    static void add(int n, long from, long to, boolean accumulate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            FloatVector d = fromMemorySegment(F, MEM, from + j * 4L, ORDER);
            if (accumulate) {
                d = d.add(fromMemorySegment(F, MEM, to + j * 4L, ORDER));
            }
            d.intoMemorySegment(MEM, to + j * 4L, ORDER);
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
