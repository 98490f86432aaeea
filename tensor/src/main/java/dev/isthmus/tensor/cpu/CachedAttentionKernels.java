package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.AttentionKernels.VIRTUAL;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import java.lang.foreign.ValueLayout;
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

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** The rows of a task: those that share tokens follow each other, and find them in the cache. */
    private static final int ROWS = 8;

    private CachedAttentionKernels() {}

    static void append(KvAppend c) {
        Rows.parallel(c.rows(), 32 * c.kvHeads() * c.headDim(), (from, to) -> {
            for (int row = from; row < to; row++) {
                append(c, row, 0, c.kvHeads());
            }
        });
    }

    private static void append(KvAppend c, int row, int fromHead, int toHead) {
        int d = c.headDim();
        for (int h = fromHead; h < toHead; h++) {
            long page = ((long) c.page()[row] * c.kvHeads() + h) * d * PAGE_BYTES;
            long k = c.k().address() + (row * c.ldk() + (long) h * d) * 4;
            long v = c.v().address() + (row * c.ldv() + (long) h * d) * 4;
            Panels.transpose(1, d, k, 0, c.cache().keys().address() + page + c.slot()[row] * 4L, PAGE_BYTES);
            Panels.copy(1, d, v, 0, c.cache().values().address() + page + (long) c.slot()[row] * d * 4, 0);
        }
    }

    /**
     * The same for pages that no other row of the call writes to: of keys, whole vectors. Single numbers would wait for the lines that
     * they are stored to, and what reads those next would wait for the stores.
     */
    private static void appendInPlace(KvAppend c, int row, int fromHead, int toHead) {
        int d = c.headDim();
        int lane = c.slot()[row] % LANES;
        VectorMask<Float> written = F.indexInRange(0, lane + 1).andNot(F.indexInRange(0, lane));
        for (int h = fromHead; h < toHead; h++) {
            long page = ((long) c.page()[row] * c.kvHeads() + h) * d * PAGE_BYTES;
            long k = c.k().address() + (row * c.ldk() + (long) h * d) * 4;
            long v = c.v().address() + (row * c.ldv() + (long) h * d) * 4;
            long to = c.cache().keys().address() + page + (c.slot()[row] - lane) * 4L;
            for (int i = 0; i < d; i++) {
                fromMemorySegment(F, MEM, to + i * PAGE_BYTES, ORDER)
                        .blend(MEM.get(FLOAT, k + i * 4L), written)
                        .intoMemorySegment(MEM, to + i * PAGE_BYTES, ORDER);
            }
            Panels.copy(1, d, v, 0, c.cache().values().address() + page + (long) c.slot()[row] * d * 4, 0);
        }
    }

    static void attention(CachedAttention c) {
        int kvHeads = c.heads().kvHeads();
        boolean many = c.rows() >= 4 * WorkerPool.threads();
        if (many) {
            Rows.parallel(c.rows(), ROWS, (_, from, to) -> {
                for (int row = from; row < to; row++) {
                    heads(c, row, 0, kvHeads);
                }
            });
        } else {
            WorkerPool.parallel(c.rows() * kvHeads, i -> heads(c, i / kvHeads, i % kvHeads, i % kvHeads + 1));
        }
    }

    /** One row, the query heads of some key/value heads. */
    private static void heads(CachedAttention c, int row, int fromHead, int toHead) {
        if (c.append() != null) {
            appendInPlace(c.append(), row, fromHead, toHead);
        }
        int d = c.heads().headDim();
        int group = c.heads().heads() / c.heads().kvHeads();
        int n = c.length()[row];
        int begin = c.heads().window() == 0 ? 0 : Math.max(0, n - c.heads().window());
        // Whole vectors of keys are added, so that the sums have the order that they have without a window.
        int first = begin / VIRTUAL * VIRTUAL;
        float cap = (float) c.heads().softCap();
        float scale = (float) c.heads().scale();
        int[] pages = c.pages()[row];
        int shared = c.shared()[row];
        int padded = AttentionCopies.roundUp(n, VIRTUAL);
        long pageBytes = c.heads().kvHeads() * d * PAGE_BYTES;
        // A page's scores are stored whole, those behind its last token below the next page's.
        long scores = Scratch.address(Scratch.Use.ATTENTION, (padded + PAGE) * 4L + 2 * Rows.BYTES);
        long constant = scores + (padded + PAGE) * 4L;
        long sums = constant + Rows.BYTES;
        for (int h = fromHead * group; h < toHead * group; h++) {
            long q = c.q().address() + (row * c.ldq() + (long) h * d) * 4;
            long out = c.out().address() + (row * c.ldo() + (long) h * d) * 4;
            long keys = c.cache().keys().address() + h / group * d * PAGE_BYTES;
            long values = c.cache().values().address() + h / group * d * PAGE_BYTES;
            scores(first, n, shared, d, q, keys, pages, pageBytes, scale, scores);
            if (cap > 0) {
                AttentionKernels.softCap((padded - first) / LANES, Simd.BYTES, scores + first * 4L, cap);
            }
            for (int j = first; j < begin; j++) {
                setFloat(scores + j * 4L, Float.NEGATIVE_INFINITY);
            }
            for (int j = n; j < padded; j++) {
                setFloat(scores + j * 4L, Float.NEGATIVE_INFINITY);
            }
            long from = scores + first * 4L;
            max(padded - first, from, constant);
            VectorMath.exp((padded - first) / LANES, Simd.BYTES, from, 1, constant, 1, from);
            float inverse = 1 / sum(padded - first, from, sums);
            int x = 0;
            for (; x <= d - 4 * LANES; x += 4 * LANES) {
                output4(first, n, shared, d, scores, values + x * 4L, pages, pageBytes, inverse, out + x * 4L);
            }
            for (; x <= d - 2 * LANES; x += 2 * LANES) {
                output2(first, n, shared, d, scores, values + x * 4L, pages, pageBytes, inverse, out + x * 4L);
            }
            for (; x < d; x += LANES) {
                VectorMask<Float> lanes = F.indexInRange(x, d);
                output(first, n, shared, d, scores, values + x * 4L, pages, pageBytes, inverse, out + x * 4L, lanes);
            }
        }
    }

    /** The number of tokens of a page that begins with token {@code j}. */
    private static int count(int j, int shared) {
        return j < shared ? Math.min(PAGE, shared - j) : PAGE;
    }

    /** The scores of the keys of the pages that hold tokens {@code [first, n)}, two pages at a time. */
    private static void scores(
            int first, int n, int shared, int d, long q, long keys, int[] pages, long pageBytes, float scale, long to) {
        int p = KvPages.page(first, shared);
        int j = first - KvPages.slot(first, shared);
        while (j < n) {
            long k0 = keys + pages[p++] * pageBytes;
            int count = count(j, shared);
            if (count == PAGE && j + PAGE < n) {
                long k1 = keys + pages[p++] * pageBytes;
                scores(d, q, k0, k1, scale, to + j * 4L, to + (j + PAGE) * 4L);
                count += count(j + PAGE, shared);
            } else {
                scores(d, q, k0, scale, to + j * 4L);
            }
            j += count;
        }
    }

    private static void scores(int d, long q, long k0, long k1, float scale, long to0, long to1) {
        for (long x = 0; x < PAGE_BYTES; x += Simd.BYTES) {
            FloatVector s0 = FloatVector.zero(F);
            FloatVector s1 = s0;
            for (int i = 0; i < d; i++) {
                FloatVector a = FloatVector.broadcast(F, MEM.get(FLOAT, q + i * 4L));
                s0 = a.fma(fromMemorySegment(F, MEM, k0 + i * PAGE_BYTES + x, ORDER), s0);
                s1 = a.fma(fromMemorySegment(F, MEM, k1 + i * PAGE_BYTES + x, ORDER), s1);
            }
            s0.mul(scale).intoMemorySegment(MEM, to0 + x, ORDER);
            s1.mul(scale).intoMemorySegment(MEM, to1 + x, ORDER);
        }
    }

    private static void scores(int d, long q, long k, float scale, long to) {
        for (long x = 0; x < PAGE_BYTES; x += Simd.BYTES) {
            FloatVector s = FloatVector.zero(F);
            for (int i = 0; i < d; i++) {
                FloatVector a = FloatVector.broadcast(F, MEM.get(FLOAT, q + i * 4L));
                s = a.fma(fromMemorySegment(F, MEM, k + i * PAGE_BYTES + x, ORDER), s);
            }
            s.mul(scale).intoMemorySegment(MEM, to + x, ORDER);
        }
    }

    /** Fills a vector with the largest number. */
    private static void max(int n, long s, long to) {
        FloatVector m = fromMemorySegment(F, MEM, s, ORDER);
        for (int j = LANES; j < n; j += LANES) {
            FloatVector v = fromMemorySegment(F, MEM, s + j * 4L, ORDER);
            m = m.blend(v, v.compare(VectorOperators.GT, m));
        }
        FloatVector.broadcast(F, m.reduceLanes(VectorOperators.MAX)).intoMemorySegment(MEM, to, ORDER);
    }

    /** The sum in the order of {@link AttentionKernels}. */
    private static float sum(int n, long p, long sums) {
        for (int part = 0; part < VIRTUAL; part += LANES) {
            FloatVector sum = FloatVector.zero(F);
            for (int j = part; j < n; j += VIRTUAL) {
                sum = sum.add(fromMemorySegment(F, MEM, p + j * 4L, ORDER));
            }
            sum.intoMemorySegment(MEM, sums + part * 4L, ORDER);
        }
        return Rows.fold(sums);
    }

    /** Four vectors of columns of the output. */
    private static void output4(
            int first,
            int n,
            int shared,
            int d,
            long p,
            long values,
            int[] pages,
            long pageBytes,
            float inverse,
            long to) {
        FloatVector o0 = FloatVector.zero(F);
        FloatVector o1 = o0;
        FloatVector o2 = o0;
        FloatVector o3 = o0;
        for (int j = first; j < n; ) {
            int slot = KvPages.slot(j, shared);
            long v = values + pages[KvPages.page(j, shared)] * pageBytes + slot * d * 4L;
            int end = Math.min(n, j - slot + count(j - slot, shared));
            for (; j < end; j++) {
                FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, p + j * 4L));
                o0 = x.fma(fromMemorySegment(F, MEM, v, ORDER), o0);
                o1 = x.fma(fromMemorySegment(F, MEM, v + Simd.BYTES, ORDER), o1);
                o2 = x.fma(fromMemorySegment(F, MEM, v + 2 * Simd.BYTES, ORDER), o2);
                o3 = x.fma(fromMemorySegment(F, MEM, v + 3 * Simd.BYTES, ORDER), o3);
                v += d * 4L;
            }
        }
        o0.mul(inverse).intoMemorySegment(MEM, to, ORDER);
        o1.mul(inverse).intoMemorySegment(MEM, to + Simd.BYTES, ORDER);
        o2.mul(inverse).intoMemorySegment(MEM, to + 2 * Simd.BYTES, ORDER);
        o3.mul(inverse).intoMemorySegment(MEM, to + 3 * Simd.BYTES, ORDER);
    }

    private static void output2(
            int first,
            int n,
            int shared,
            int d,
            long p,
            long values,
            int[] pages,
            long pageBytes,
            float inverse,
            long to) {
        FloatVector o0 = FloatVector.zero(F);
        FloatVector o1 = o0;
        for (int j = first; j < n; ) {
            int slot = KvPages.slot(j, shared);
            long v = values + pages[KvPages.page(j, shared)] * pageBytes + slot * d * 4L;
            int end = Math.min(n, j - slot + count(j - slot, shared));
            for (; j < end; j++) {
                FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, p + j * 4L));
                o0 = x.fma(fromMemorySegment(F, MEM, v, ORDER), o0);
                o1 = x.fma(fromMemorySegment(F, MEM, v + Simd.BYTES, ORDER), o1);
                v += d * 4L;
            }
        }
        o0.mul(inverse).intoMemorySegment(MEM, to, ORDER);
        o1.mul(inverse).intoMemorySegment(MEM, to + Simd.BYTES, ORDER);
    }

    private static void output(
            int first,
            int n,
            int shared,
            int d,
            long p,
            long values,
            int[] pages,
            long pageBytes,
            float inverse,
            long to,
            VectorMask<Float> lanes) {
        FloatVector o = FloatVector.zero(F);
        for (int j = first; j < n; ) {
            int slot = KvPages.slot(j, shared);
            long v = values + pages[KvPages.page(j, shared)] * pageBytes + slot * d * 4L;
            int end = Math.min(n, j - slot + count(j - slot, shared));
            for (; j < end; j++) {
                FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, p + j * 4L));
                o = x.fma(fromMemorySegment(F, MEM, v, ORDER, lanes), o);
                v += d * 4L;
            }
        }
        o.mul(inverse).intoMemorySegment(MEM, to, ORDER, lanes);
    }
}
