package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.AttentionKernels.VIRTUAL;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.repeat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention of single queries to pages of keys and values, with the operations of {@link AttentionKernels} in their order.
 *
 * <p>Here lanes run over keys for the scores and over headDim for the output.
 */
final class CachedAttentionKernels {
    private static final int PAGE = KvPages.PAGE;
    private static final long PAGE_BYTES = PAGE * 4L;

    private CachedAttentionKernels() {}

    static void append(KvAppend c) {
        int d = c.headDim();
        for (int i = 0; i < c.rows(); i++) {
            for (int h = 0; h < c.kvHeads(); h++) {
                long page = ((long) c.page()[i] * c.kvHeads() + h) * d * PAGE_BYTES;
                long k = c.k().address() + (i * c.ldk() + (long) h * d) * 4;
                long v = c.v().address() + (i * c.ldv() + (long) h * d) * 4;
                Panels.transpose(1, d, k, 0, c.cache().keys().address() + page + c.slot()[i] * 4L, PAGE_BYTES);
                Panels.copy(1, d, v, 0, c.cache().values().address() + page + (long) c.slot()[i] * d * 4, 0);
            }
        }
    }

    static void attention(CachedAttention c) {
        int kvHeads = c.heads().kvHeads();
        WorkerPool.parallel(c.rows() * kvHeads, i -> row(c, i / kvHeads, i % kvHeads));
    }

    private static void row(CachedAttention c, int row, int kvHead) {
        int d = c.heads().headDim();
        int n = c.length()[row];
        int[] pages = c.pages()[row];
        int count = (n + PAGE - 1) / PAGE;
        long scores = Scratch.address(Scratch.Use.ATTENTION, (count + 1) * PAGE_BYTES);
        long max = scores + count * PAGE_BYTES;
        long stride = c.heads().kvHeads() * d * PAGE_BYTES;
        long keys = c.cache().keys().address() + kvHead * d * PAGE_BYTES;
        long values = c.cache().values().address() + kvHead * d * PAGE_BYTES;
        int group = c.heads().heads() / c.heads().kvHeads();
        for (int h = kvHead * group; h < (kvHead + 1) * group; h++) {
            long q = c.q().address() + (row * c.ldq() + (long) h * d) * 4;
            for (int p = 0; p < count; p++) {
                for (int x = 0; x < PAGE; x += 2 * LANES) {
                    scores(d, q, keys + pages[p] * stride + x * 4L, (float) c.heads().scale(), scores + p * PAGE_BYTES + x * 4L);
                }
            }
            for (int j = n; j < count * PAGE; j++) {
                setFloat(scores + j * 4L, Float.NEGATIVE_INFINITY);
            }
            float largest = max(count * PAGE, scores, max);
            float inverse = 1 / sumOfExponentials(count * PAGE, scores, largest, max);
            long out = c.out().address() + (row * c.ldo() + (long) h * d) * 4;
            int x = 0;
            for (; x <= d - 2 * LANES; x += 2 * LANES) {
                output(n, d, scores, values + x * 4L, pages, stride, inverse, out + x * 4L);
            }
            for (; x < d; x += LANES) {
                VectorMask<Float> mask = F.indexInRange(x, d);
                outputTail(n, d, scores, values + x * 4L, pages, stride, inverse, out + x * 4L, mask);
            }
        }
    }

    /** The scores of two vectors of keys. */
    private static void scores(int d, long q, long keys, float scale, long to) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = s0;
        for (int i = 0; i < d; i++) {
            FloatVector x = repeat(q + i * 4L);
            s0 = x.fma(load(keys), s0);
            s1 = x.fma(load(keys + BYTES), s1);
            keys += PAGE_BYTES;
        }
        store(s0.mul(scale), to);
        store(s1.mul(scale), to + BYTES);
    }

    private static float max(int n, long s, long scratch) {
        FloatVector m = load(s);
        for (int j = LANES; j < n; j += LANES) {
            FloatVector x = load(s + j * 4L);
            m = m.blend(x, x.compare(VectorOperators.GT, m));
        }
        store(m, scratch);
        float max = getFloat(scratch);
        for (int j = 1; j < LANES; j++) {
            float x = getFloat(scratch + j * 4L);
            max = x > max ? x : max;
        }
        return max;
    }

    /** Replaces scores by exponentials and adds them up as {@link AttentionKernels} does. */
    private static float sumOfExponentials(int n, long s, float max, long sums) {
        for (int part = 0; part < VIRTUAL; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            for (int j = part; j < n; j += VIRTUAL) {
                FloatVector p = VectorMath.exp(load(s + j * 4L).sub(max));
                store(p, s + j * 4L);
                sum = sum.add(p);
            }
            store(sum, sums + part * 4L);
        }
        for (int w = VIRTUAL / 2; w > 0; w /= 2) {
            for (int j = 0; j < w; j++) {
                setFloat(sums + j * 4L, getFloat(sums + j * 4L) + getFloat(sums + (j + w) * 4L));
            }
        }
        return getFloat(sums);
    }

    /** Two vectors of columns of the output. */
    private static void output(int n, int d, long p, long values, int[] pages, long stride, float inverse, long to) {
        FloatVector o0 = FloatVector.zero(F);
        FloatVector o1 = o0;
        for (int first = 0; first < n; first += PAGE) {
            long v = values + pages[first / PAGE] * stride;
            int count = Math.min(PAGE, n - first);
            for (int j = 0; j < count; j++) {
                FloatVector x = repeat(p);
                o0 = x.fma(load(v), o0);
                o1 = x.fma(load(v + BYTES), o1);
                p += 4;
                v += d * 4L;
            }
        }
        store(o0.mul(inverse), to);
        store(o1.mul(inverse), to + BYTES);
    }

    private static void outputTail(
            int n, int d, long p, long values, int[] pages, long stride, float inverse, long to, VectorMask<Float> mask) {
        FloatVector o = FloatVector.zero(F);
        for (int first = 0; first < n; first += PAGE) {
            long v = values + pages[first / PAGE] * stride;
            int count = Math.min(PAGE, n - first);
            for (int j = 0; j < count; j++) {
                o = repeat(p).fma(load(v, mask), o);
                p += 4;
                v += d * 4L;
            }
        }
        store(o.mul(inverse), to, mask);
    }
}
