package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import java.lang.foreign.ValueLayout;

/**
 * Softmax and cross-entropy of rows: one pass for the maximum, one for the sum of exponentials.
 *
 * <p>A log-probability is {@code (x - max) - log(sum)}, rounded in this order wherever it is computed, so that {@code
 * log_softmax} and cross-entropy give the same bits.
 */
final class SoftmaxKernels {
    /** The rows that a task of cross-entropy takes at most, so that their logarithms are taken together. */
    private static final int GROUP = 64;

    private SoftmaxKernels() {}

    static void softmax(Softmax c) {
        int n = c.cols();
        long row = n * 4L;
        long x = c.x().address();
        long y = c.y().address();
        Rows.parallel(c.rows(), 2 * n, (from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            float max = loops.max(n, x + from * row, 1);
            for (int i = from; i < to; i++) {
                long at = x + i * row;
                long next = i + 1 < to ? at + row : at;
                if (c.log()) {
                    float sum = loops.shifted(n, at, max, y + i * row, next);
                    SoftmaxLoops.subtract(n, y + i * row, VectorMath.log(sum), y + i * row);
                } else {
                    float sum = loops.exponentials(n, at, max, y + i * row, next);
                    SoftmaxLoops.scale(n, 1 / sum, y + i * row);
                }
                max = loops.max(1);
            }
        });
    }

    static void softmaxBackward(SoftmaxBackward c) {
        int n = c.cols();
        long row = n * 4L;
        long y = c.y().address();
        long dy = c.dy().address();
        long dx = c.dx().address();
        Rows.parallel(c.rows(), 3 * n, (from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            float sum = c.log() ? loops.sum(n, dy + from * row) : 0;
            for (int i = from; i < to; i++) {
                long at = i * row;
                if (c.log()) {
                    long next = i + 1 < to ? at + row : at;
                    sum = loops.logSoftmaxGradient(n, y + at, dy + at, sum, dx + at, y + next, dy + next);
                } else {
                    loops.softmaxGradient(n, y + at, dy + at, dx + at);
                }
            }
        });
    }

    static void crossEntropy(CrossEntropy c) {
        int n = c.words();
        long row = n * 4L;
        float factor = (float) c.invTemperature();
        long logits = c.logits().address();
        long target = c.target().address();
        long losses = c.loss().address();
        long lses = c.lse().address();
        long entropies = c.entropy() == null ? 0 : c.entropy().address();
        SmoothTargets smooth = SmoothTargets.of(n, c.smoothing(), c.weight());
        int group = Math.clamp(Math.max(Rows.share(c.rows()), (1 << 14) / Math.max(1, n)), 1, GROUP);
        Rows.parallel(c.rows(), group, (_, from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            long sums = Scratch.address(Scratch.Use.CONSTANTS, 3 * 4L * GROUP);
            long maxima = sums + 4L * GROUP;
            long weighted = maxima + 4L * GROUP;
            float max = loops.max(n, logits + from * row, factor);
            for (int i = from; i < to; i++) {
                long x = logits + i * row;
                long next = i + 1 < to ? x + row : x;
                long at = (i - from) * 4L;
                setFloat(maxima + at, max);
                if (entropies == 0) {
                    setFloat(sums + at, loops.sumOfExponentials(n, x, factor, max, next));
                    max = loops.max(factor);
                } else {
                    setFloat(sums + at, loops.sumForEntropy(n, x, factor, max));
                    setFloat(weighted + at, loops.weighted() / getFloat(sums + at));
                    max = loops.max(n, next, factor);
                }
            }
            SoftmaxLoops.logarithms(to - from, sums);
            for (int i = from; i < to; i++) {
                long at = (i - from) * 4L;
                float shift = getFloat(maxima + at);
                float logSum = getFloat(sums + at);
                int word = id(target, i);
                float z = word < 0 ? 0 : getFloat(logits + i * row + word * 4L) * factor;
                setFloat(lses + i * 4L, Float.isInfinite(shift) ? shift : shift + logSum);
                float loss = word < 0 ? 0 : logSum - (z - shift);
                if (smooth != null && word >= 0) {
                    loss = smooth.loss(loss, word, shift + logSum, factor, logits + i * row);
                }
                setFloat(losses + i * 4L, loss);
                if (entropies != 0) {
                    setFloat(entropies + i * 4L, logSum - getFloat(weighted + at));
                }
            }
        });
    }

    static void crossEntropyBackward(CrossEntropyBackward c) {
        int n = c.words();
        long row = n * 4L;
        float factor = (float) c.invTemperature();
        long logits = c.logits().address();
        long target = c.target().address();
        long lses = c.lse().address();
        long dLoss = c.dLoss().address();
        long dLogits = c.dLogits().address();
        SmoothTargets smooth = SmoothTargets.of(n, c.smoothing(), c.weight());
        Rows.parallel(c.rows(), 2 * n, (from, to) -> {
            SoftmaxLoops loops = new SoftmaxLoops();
            for (int i = from; i < to; i++) {
                int word = id(target, i);
                float g = word < 0 ? 0 : getFloat(dLoss + i * 4L) * factor;
                long dx = dLogits + i * row;
                if (g == 0) {
                    MEM.asSlice(dx, row).fill((byte) 0);
                } else if (smooth != null) {
                    loops.exponentials(
                            n, logits + i * row, factor, getFloat(lses + i * 4L), g * smooth.total(word), dx);
                    smooth.subtract(g, word, dx);
                } else {
                    loops.exponentials(n, logits + i * row, factor, getFloat(lses + i * 4L), g, dx);
                    setFloat(dx + word * 4L, getFloat(dx + word * 4L) - g);
                }
            }
        });
    }

    private static int id(long ids, int i) {
        return MEM.get(ValueLayout.JAVA_INT_UNALIGNED, ids + i * 4L);
    }
}
