package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/** The root-mean-square norm; a row is read from memory once, then from the cache. */
final class NormKernels {
    /** The rows whose weight gradients one task adds up; the sums of the chunks are then added in order. */
    static final int CHUNK = 64;

    private NormKernels() {}

    static void rmsNorm(RmsNorm c) {
        long x = c.x().address();
        long y = c.y().address();
        long weight = c.weight().address();
        long rstds = c.rstd().address();
        Rows.parallel(c.rows(), 2 * c.cols(), (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                long row = x + i * c.ldx() * 4;
                float rstd = (float) (1 / Math.sqrt((double) squares(c.cols(), row, sums) / c.cols() + c.eps()));
                setFloat(rstds + i * 4L, rstd);
                scale(c.cols(), row, rstd, weight, y + i * c.ldy() * 4);
            }
        });
    }

    static void rmsNormBackward(RmsNormBackward c) {
        int n = c.cols();
        long x = c.x().address();
        long weight = c.weight().address();
        long rstds = c.rstd().address();
        long dy = c.dy().address();
        long dx = c.dx() == null ? 0 : c.dx().address();
        int chunks = (c.rows() + CHUNK - 1) / CHUNK;
        long partial = c.dweight() == null ? 0 : Scratch.address(Scratch.Use.PARTIAL_SUMS, (long) chunks * n * 4);
        Rows.parallel(c.rows(), CHUNK, (chunk, from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                long xi = x + i * c.ldx() * 4;
                long dyi = dy + i * c.ldy() * 4;
                float rstd = getFloat(rstds + i * 4L);
                if (dx != 0) {
                    float mean = dot(n, xi, dyi, weight, sums) * rstd / n;
                    gradient(n, xi, dyi, weight, rstd, mean * rstd, dx + i * c.ldx() * 4, c.accumulateX());
                }
                if (partial != 0) {
                    weightGradient(n, xi, dyi, rstd, partial + (long) chunk * n * 4, i > from);
                }
            }
        });
        addChunks(n, chunks, partial, c.dweight(), c.accumulateWeight());
    }

    /** {@code out (+)= } the sum of the rows of {@code partial [chunks, n]}, in order. */
    static void addChunks(int n, int chunks, long partial, @Nullable Buffer out, boolean accumulate) {
        if (out == null) {
            return;
        }
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            FloatVector sum = FloatVector.zero(F);
            for (int chunk = 0; chunk < chunks; chunk++) {
                sum = sum.add(load(partial + ((long) chunk * n + j) * 4));
            }
            long at = out.address() + j * 4L;
            store(accumulate ? sum.add(load(at)) : sum, at);
        }
        for (int j = whole; j < n; j++) {
            float sum = 0;
            for (int chunk = 0; chunk < chunks; chunk++) {
                sum += getFloat(partial + ((long) chunk * n + j) * 4);
            }
            long at = out.address() + j * 4L;
            setFloat(at, accumulate ? sum + getFloat(at) : sum);
        }
    }

    // ---- loops over a row; sums have two vectors of partial sums, so that one need not wait for the other --------------------

    private static float squares(int n, long x, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                FloatVector u = load(x + j * 4L);
                FloatVector v = load(x + (j + Rows.LANES) * 4L);
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            if (j < n) {
                FloatVector u = load(x + j * 4L, F.indexInRange(j, n));
                FloatVector v = load(x + (j + Rows.LANES) * 4L, F.indexInRange(j + Rows.LANES, n));
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            store(a.add(b), sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    /** {@code sum x y w}. */
    private static float dot(int n, long x, long y, long w, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                long k = j * 4L;
                a = load(y + k).mul(load(w + k)).fma(load(x + k), a);
                k += Rows.LANES * 4L;
                b = load(y + k).mul(load(w + k)).fma(load(x + k), b);
            }
            if (j < n) {
                long k = j * 4L;
                VectorMask<Float> mask = F.indexInRange(j, n);
                a = load(y + k, mask).mul(load(w + k, mask)).fma(load(x + k, mask), a);
                k += Rows.LANES * 4L;
                mask = F.indexInRange(j + Rows.LANES, n);
                b = load(y + k, mask).mul(load(w + k, mask)).fma(load(x + k, mask), b);
            }
            store(a.add(b), sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    /** {@code y = x factor w}. */
    private static void scale(int n, long x, float factor, long w, long y) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(x + j * 4L).mul(factor).mul(load(w + j * 4L)), y + j * 4L);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            store(load(x + k, mask).mul(factor).mul(load(w + k, mask)), y + k, mask);
        }
    }

    /** {@code dx (+)= rstd (dy w - x mean)}. */
    private static void gradient(
            int n, long x, long dy, long w, float rstd, float mean, long dx, boolean accumulate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector d = load(dy + k).mul(load(w + k)).sub(load(x + k).mul(mean)).mul(rstd);
            store(accumulate ? d.add(load(dx + k)) : d, dx + k);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            FloatVector d = load(dy + k, mask).mul(load(w + k, mask)).sub(load(x + k, mask).mul(mean)).mul(rstd);
            store(accumulate ? d.add(load(dx + k, mask)) : d, dx + k, mask);
        }
    }

    /** {@code dw (+)= dy x rstd}. */
    private static void weightGradient(int n, long x, long dy, float rstd, long dw, boolean accumulate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector d = load(x + k).mul(rstd).mul(load(dy + k));
            store(accumulate ? d.add(load(dw + k)) : d, dw + k);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            FloatVector d = load(x + k, mask).mul(rstd).mul(load(dy + k, mask));
            store(accumulate ? d.add(load(dw + k, mask)) : d, dw + k, mask);
        }
    }
}
