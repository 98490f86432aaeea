package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import org.jspecify.annotations.Nullable;

/**
 * The layer norm and, as one whose mean is 0, the root-mean-square norm.
 *
 * <p>A row is read from memory once and then from the cache. The variance is taken around the mean, which a sum of squares in
 * single precision would not survive.
 */
final class NormKernels {
    /** The rows whose parameter gradients one task adds up; the sums of the chunks are then added in order. */
    private static final int CHUNK = 64;

    /** The columns of which one task adds up the chunks. */
    private static final int COLUMNS = 128;

    private NormKernels() {}

    static void rmsNorm(RmsNorm c) {
        int n = c.cols();
        long x = c.x().address();
        long y = c.y().address();
        long rstds = c.rstd().address();
        long weight = c.weight().address();
        Rows.parallel(c.rows(), 2 * n, (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * Rows.BYTES);
            float squares = NormLoops.squares(n, x + from * c.ldx() * 4, 0, sums);
            for (int i = from; i < to; i++) {
                long row = x + i * c.ldx() * 4;
                long next = i + 1 < to ? row + c.ldx() * 4 : row;
                float rstd = rstd(squares / n, c.eps());
                setFloat(rstds + i * 4L, rstd);
                squares = NormLoops.scaleAndSquares(n, row, rstd, weight, y + i * c.ldy() * 4, next, sums);
            }
        });
    }

    static void layerNorm(LayerNorm c) {
        int n = c.cols();
        long x = c.x().address();
        long y = c.y().address();
        long means = c.mean().address();
        long rstds = c.rstd().address();
        long weight = orConstant(c.weight(), n, 1, n);
        long bias = orConstant(c.bias(), n, 0, 0);
        Rows.parallel(c.rows(), 2 * n, (from, to) -> {
            long sums = Scratch.address(Scratch.Use.LANES, 2 * Rows.BYTES);
            float sum = NormLoops.sum(n, x + from * (long) n * 4, sums);
            for (int i = from; i < to; i++) {
                long row = (long) i * n * 4;
                float mean = sum / n;
                float rstd = rstd(NormLoops.squares(n, x + row, mean, sums) / n, c.eps());
                setFloat(means + i * 4L, mean);
                setFloat(rstds + i * 4L, rstd);
                long next = i + 1 < to ? row + n * 4L : row;
                sum = NormLoops.normalizeAndSum(n, x + row, mean, rstd, weight, bias, y + row, x + next, sums);
            }
        });
    }

    static void rmsNormBackward(RmsNormBackward c) {
        int n = c.cols();
        long weight = c.weight().address();
        long dx = c.dx() == null ? 0 : c.dx().address();
        new Backward(
                        n,
                        c.rows(),
                        c.x().address(),
                        c.ldx() * 4,
                        weight,
                        0,
                        c.rstd().address(),
                        c.dy().address(),
                        c.ldy() * 4)
                .run(dx, c.accumulateX(), c.dweight(), c.accumulateWeight(), null, false);
    }

    static void layerNormBackward(LayerNormBackward c) {
        int n = c.cols();
        long weight = orConstant(c.weight(), n, 1, n);
        long dx = c.dx() == null ? 0 : c.dx().address();
        new Backward(
                        n,
                        c.rows(),
                        c.x().address(),
                        n * 4L,
                        weight,
                        c.mean().address(),
                        c.rstd().address(),
                        c.dy().address(),
                        n * 4L)
                .run(dx, c.accumulateX(), c.dweight(), c.accumulateWeight(), c.dbias(), c.accumulateBias());
    }

    /** The arguments of a gradient as addresses, strides in bytes; {@code means} is 0 where every mean is. */
    private record Backward(int n, int rows, long x, long ldx, long weight, long means, long rstds, long dy, long ldy) {

        void run(
                long dx,
                boolean accumulateX,
                @Nullable Buffer dweight,
                boolean accumulateWeight,
                @Nullable Buffer dbias,
                boolean accumulateBias) {
            int chunks = (rows + CHUNK - 1) / CHUNK;
            long size = (long) chunks * n * 4;
            long scratch = Scratch.address(Scratch.Use.PARTIAL_SUMS, 2 * size);
            long dw = dweight == null ? 0 : scratch;
            long db = dbias == null ? 0 : scratch + size;
            Rows.parallel(rows, CHUNK, (chunk, from, to) -> {
                long partial = (long) chunk * n * 4;
                long sums = Scratch.address(Scratch.Use.LANES, 2 * Rows.BYTES);
                long toDw = dw == 0 ? 0 : dw + partial;
                long toDb = db == 0 ? 0 : db + partial;
                clear(n, toDw);
                clear(n, toDb);
                if (dx != 0) {
                    MEM.asSlice(sums, 2 * Rows.BYTES).fill((byte) 0);
                    NormLoops.addDots(n, x + from * ldx, mean(from), dy + from * ldy, weight, sums);
                }
                for (int i = from; i < to; i++) {
                    // First the stores that the cache takes at once: behind those of dx, which wait for memory, there
                    // would be no room left for them, and the next row could not be read meanwhile.
                    if ((i - from) % 2 == 1) {
                        parameterGradients(i - 1, 2, toDw, toDb);
                    } else if (i + 1 == to) {
                        parameterGradients(i, 1, toDw, toDb);
                    }
                    if (dx != 0) {
                        inputGradient(i, i + 1 < to, sums, dx + i * ldx, accumulateX);
                    }
                }
            });
            addChunks(chunks, dw, dweight, accumulateWeight);
            addChunks(chunks, db, dbias, accumulateBias);
        }

        /** The gradient of row {@code i}, whose {@code dots} are at {@code sums}, and the next row's dots if there is one. */
        private void inputGradient(int i, boolean next, long sums, long to, boolean accumulate) {
            float rstd = rstd(i);
            float meanGn = Rows.fold(sums) * rstd / n;
            float meanG = means == 0 ? 0 : Rows.fold(sums + Rows.BYTES) / n;
            float slope = meanGn * rstd;
            long xs = x + i * ldx;
            long dys = dy + i * ldy;
            if (next) {
                NormLoops.gradientAndDots(
                        n,
                        xs,
                        mean(i),
                        dys,
                        weight,
                        rstd,
                        meanG,
                        slope,
                        to,
                        accumulate,
                        xs + ldx,
                        mean(i + 1),
                        dys + ldy,
                        sums);
            } else {
                NormLoops.gradient(n, xs, mean(i), dys, weight, rstd, meanG, slope, to, accumulate);
            }
        }

        /** Adds to what is asked for, which is not 0, the gradients of row {@code i} or of two. */
        private void parameterGradients(int i, int count, long dw, long db) {
            long xs = x + i * ldx;
            long dys = dy + i * ldy;
            if (dw == 0) {
                for (int r = 0; db != 0 && r < count; r++) {
                    NormLoops.add(n, dys + r * ldy, db, true);
                }
            } else if (count == 1) {
                NormLoops.parameterGradients(n, xs, mean(i), rstd(i), dys, dw, db);
            } else {
                NormLoops.parameterGradients(
                        n, xs, mean(i), rstd(i), dys, xs + ldx, mean(i + 1), rstd(i + 1), dys + ldy, dw, db);
            }
        }

        private float mean(int i) {
            return means == 0 ? 0 : getFloat(means + i * 4L);
        }

        private float rstd(int i) {
            return getFloat(rstds + i * 4L);
        }

        /** {@code out (+)= } the sum of the rows of {@code partial [chunks, n]}, in order; each task takes some columns. */
        private void addChunks(int chunks, long partial, @Nullable Buffer out, boolean accumulate) {
            if (out == null) {
                return;
            }
            if (chunks == 0 && !accumulate) {
                Simd.MEM.asSlice(out.address(), n * 4L).fill((byte) 0);
            }
            Rows.parallel(chunks == 0 ? 0 : n, COLUMNS, (_, from, to) -> {
                long sum = partial + from * 4L;
                for (int chunk = 1; chunk < chunks; chunk++) {
                    NormLoops.add(to - from, sum + (long) chunk * n * 4, sum, true);
                }
                NormLoops.add(to - from, sum, out.address() + from * 4L, accumulate);
            });
        }
    }

    private static float rstd(float variance, double eps) {
        return (float) (1 / Math.sqrt(variance + eps));
    }

    /** Makes a row of {@code n} numbers, if there is one, what changes nothing when added to: negative zeros. */
    private static void clear(int n, long row) {
        for (int j = 0; row != 0 && j < n; j++) {
            setFloat(row + j * 4L, -0.0f);
        }
    }

    /** The address of the parameter, or of a row of {@code value} at {@code offset} of the constants if there is none. */
    private static long orConstant(@Nullable Buffer parameter, int n, float value, int offset) {
        if (parameter != null) {
            return parameter.address();
        }
        long constant = Scratch.address(Scratch.Use.CONSTANTS, 2L * n * 4) + offset * 4L;
        for (int j = 0; j < n; j++) {
            setFloat(constant + j * 4L, value);
        }
        return constant;
    }
}
