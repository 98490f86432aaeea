package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.NormKernels.CHUNK;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/** The layer norm: the mean first, then the variance around it; a row is read from memory once, then from the cache. */
final class LayerNormKernels {
    private LayerNormKernels() {}

    static void layerNorm(LayerNorm c) {
        int n = c.cols();
        long x = c.x().address();
        long y = c.y().address();
        long means = c.mean().address();
        long rstds = c.rstd().address();
        long constants = Scratch.address(Scratch.Use.CONSTANTS, 2L * n * 4);
        long weight = orConstant(c.weight(), n, 1, constants);
        long bias = orConstant(c.bias(), n, 0, constants + n * 4L);
        Rows.parallel(c.rows(), 2 * n, (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                long row = (long) i * n * 4;
                float mean = sum(n, x + row, sums) / n;
                float rstd = (float) (1 / Math.sqrt((double) squares(n, x + row, mean, sums) / n + c.eps()));
                setFloat(means + i * 4L, mean);
                setFloat(rstds + i * 4L, rstd);
                normalize(n, x + row, mean, rstd, weight, bias, y + row);
            }
        });
    }

    static void layerNormBackward(LayerNormBackward c) {
        int n = c.cols();
        long x = c.x().address();
        long means = c.mean().address();
        long rstds = c.rstd().address();
        long dy = c.dy().address();
        long dx = c.dx() == null ? 0 : c.dx().address();
        long weight = orConstant(c.weight(), n, 1, Scratch.address(Scratch.Use.CONSTANTS, n * 4L));
        int chunks = (c.rows() + CHUNK - 1) / CHUNK;
        boolean parameters = c.dweight() != null || c.dbias() != null;
        long size = (long) chunks * n * 4;
        long partial = parameters ? Scratch.address(Scratch.Use.PARTIAL_SUMS, 2 * size) : 0;
        Rows.parallel(c.rows(), CHUNK, (chunk, from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * 4L * Rows.LANES);
            for (int i = from; i < to; i++) {
                long row = (long) i * n * 4;
                float mean = getFloat(means + i * 4L);
                float rstd = getFloat(rstds + i * 4L);
                if (dx != 0) {
                    float meanG = sums(n, x + row, dy + row, weight, mean, sums) / n;
                    float meanGn = getFloat(sums + Rows.LANES * 4L) * rstd / n;
                    gradient(n, x + row, dy + row, weight, mean, rstd, meanG, meanGn * rstd, dx + row, c.accumulateX());
                }
                if (parameters) {
                    long at = partial + (long) chunk * n * 4;
                    parameterGradients(n, x + row, dy + row, mean, rstd, at, at + size, i > from);
                }
            }
        });
        NormKernels.addChunks(n, chunks, partial, c.dweight(), c.accumulateWeight());
        NormKernels.addChunks(n, chunks, partial + size, c.dbias(), c.accumulateBias());
    }

    /** The address of the parameter, or of a row of {@code value} at {@code constant} if there is none. */
    private static long orConstant(@Nullable Buffer parameter, int n, float value, long constant) {
        if (parameter != null) {
            return parameter.address();
        }
        for (int j = 0; j < n; j++) {
            setFloat(constant + j * 4L, value);
        }
        return constant;
    }

    // ---- loops over a row ----------------------------------------------------------------------------------------------

    private static float sum(int n, long x, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                a = a.add(load(x + j * 4L));
                b = b.add(load(x + (j + Rows.LANES) * 4L));
            }
            if (j < n) {
                a = a.add(load(x + j * 4L, F.indexInRange(j, n)));
                b = b.add(load(x + (j + Rows.LANES) * 4L, F.indexInRange(j + Rows.LANES, n)));
            }
            store(a.add(b), sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    /** {@code sum (x - mean)^2}. */
    private static float squares(int n, long x, float mean, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - Rows.LANES - LANES; j += 2 * Rows.LANES) {
                FloatVector u = load(x + j * 4L).sub(mean);
                FloatVector v = load(x + (j + Rows.LANES) * 4L).sub(mean);
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            if (j < n) {
                FloatVector zero = FloatVector.zero(F);
                VectorMask<Float> mask = F.indexInRange(j, n);
                FloatVector u = zero.blend(load(x + j * 4L, mask).sub(mean), mask);
                mask = F.indexInRange(j + Rows.LANES, n);
                FloatVector v = zero.blend(load(x + (j + Rows.LANES) * 4L, mask).sub(mean), mask);
                a = u.fma(u, a);
                b = v.fma(v, b);
            }
            store(a.add(b), sums + part * 4L);
        }
        return Rows.fold(sums);
    }

    /** {@code y = (x - mean) rstd w + b}. */
    private static void normalize(int n, long x, float mean, float rstd, long w, long b, long y) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            store(load(x + k).sub(mean).mul(rstd).fma(load(w + k), load(b + k)), y + k);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            store(load(x + k, mask).sub(mean).mul(rstd).fma(load(w + k, mask), load(b + k, mask)), y + k, mask);
        }
    }

    /** {@code sum g}, and behind the partial sums {@code sum g (x - mean)}, {@code g = dy w}. */
    private static float sums(int n, long x, long dy, long w, float mean, long sums) {
        for (int part = 0; part < Rows.LANES; part += LANES) {
            FloatVector a = FloatVector.zero(F);
            FloatVector b = a;
            int j = part;
            for (; j <= n - LANES; j += Rows.LANES) {
                long k = j * 4L;
                FloatVector g = load(dy + k).mul(load(w + k));
                a = a.add(g);
                b = load(x + k).sub(mean).fma(g, b);
            }
            if (j < n) {
                long k = j * 4L;
                VectorMask<Float> mask = Simd.first(n - j);
                FloatVector g = load(dy + k, mask).mul(load(w + k, mask));
                a = a.add(g);
                b = load(x + k, mask).sub(mean).fma(g, b);
            }
            store(a, sums + part * 4L);
            store(b, sums + (Rows.LANES + part) * 4L);
        }
        Rows.fold(sums + Rows.LANES * 4L);
        return Rows.fold(sums);
    }

    /** {@code dx (+)= rstd (dy w - meanG - (x - mean) slope)}. */
    private static void gradient(
            int n,
            long x,
            long dy,
            long w,
            float mean,
            float rstd,
            float meanG,
            float slope,
            long dx,
            boolean accumulate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector g = load(dy + k).mul(load(w + k)).sub(meanG);
            FloatVector d = g.sub(load(x + k).sub(mean).mul(slope)).mul(rstd);
            store(accumulate ? d.add(load(dx + k)) : d, dx + k);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            FloatVector g = load(dy + k, mask).mul(load(w + k, mask)).sub(meanG);
            FloatVector d = g.sub(load(x + k, mask).sub(mean).mul(slope)).mul(rstd);
            store(accumulate ? d.add(load(dx + k, mask)) : d, dx + k, mask);
        }
    }

    /** {@code dw (+)= dy (x - mean) rstd, db (+)= dy}. */
    private static void parameterGradients(
            int n, long x, long dy, float mean, float rstd, long dw, long db, boolean accumulate) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            long k = j * 4L;
            FloatVector b = load(dy + k);
            FloatVector w = load(x + k).sub(mean).mul(rstd).mul(b);
            store(accumulate ? w.add(load(dw + k)) : w, dw + k);
            store(accumulate ? b.add(load(db + k)) : b, db + k);
        }
        if (whole < n) {
            VectorMask<Float> mask = Simd.first(n - whole);
            long k = whole * 4L;
            FloatVector b = load(dy + k, mask);
            FloatVector w = load(x + k, mask).sub(mean).mul(rstd).mul(b);
            store(accumulate ? w.add(load(dw + k, mask)) : w, dw + k, mask);
            store(accumulate ? b.add(load(db + k, mask)) : b, db + k, mask);
        }
    }
}
