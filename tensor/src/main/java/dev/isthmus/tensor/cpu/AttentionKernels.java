package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.AttentionCopies.clear;
import static dev.isthmus.tensor.cpu.AttentionCopies.gather;
import static dev.isthmus.tensor.cpu.AttentionCopies.pack;
import static dev.isthmus.tensor.cpu.AttentionCopies.packScaled;
import static dev.isthmus.tensor.cpu.AttentionCopies.roundUp;
import static dev.isthmus.tensor.cpu.AttentionCopies.scaleRows;
import static dev.isthmus.tensor.cpu.AttentionCopies.scatter;
import static dev.isthmus.tensor.cpu.AttentionCopies.transpose;
import static dev.isthmus.tensor.cpu.AttentionCopies.unpack;
import static dev.isthmus.tensor.cpu.AttentionTiles.HEIGHT;
import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention within sequences and its gradient, in blocks of {@value #BLOCK} query rows.
 *
 * <p>Scores are kept transposed, {@code [keys, BLOCK]}: lanes run over queries, so maxima, sums and masks need nothing across
 * lanes. Every number of a row has one order of operations, which {@link CachedAttentionKernels} repeats for a single row: a
 * score is a chain over headDim; the sum of exponentials is {@value #VIRTUAL} partial sums, of the keys that are equal modulo
 * {@value #VIRTUAL}, folded in halves; the output is a chain over all keys. Keys behind the causal limit have probability 0,
 * which changes nothing;
 * so have keys before the window, whose tiles are left out where no row of the tile sees them.
 *
 * <p>One task does a sequence, or a sequence and a key/value head if sequences are few, so gradients of keys and values have one order too.
 */
final class AttentionKernels {
    /** The query rows of a block. */
    static final int BLOCK = 32;

    /** The partial sums of a row's exponentials. */
    static final int VIRTUAL = 16;

    private static final long BLOCK_BYTES = BLOCK * 4L;

    /** The bits that an index may have: what tells the compiler that it is not negative. */
    private static final int INDEX = Integer.MAX_VALUE;

    private AttentionKernels() {}

    static void attention(Attention c) {
        Heads heads = c.heads();
        int kvHeads = heads.kvHeads();
        int sequences = c.ragged().count();
        if (sequences >= 4 * WorkerPool.threads()) {
            int queries = heads.heads() * heads.headDim();
            int keys = kvHeads * heads.headDim();
            Matrix[] matrices = {
                new Matrix(c.q(), queries, c.ldq()),
                new Matrix(c.k(), keys, c.ldk()),
                new Matrix(c.v(), keys, c.ldv()),
                new Matrix(c.out(), queries, c.ldo())
            };
            WorkerPool.parallel(sequences, s -> {
                readAhead(c.ragged(), s, matrices);
                for (int h = 0; h < kvHeads; h++) {
                    forward(c, s, h, 0, BLOCK);
                }
            });
        } else {
            int tasks = sequences * kvHeads;
            int parts = tasks == 0 ? 0 : (4 * WorkerPool.threads() - 1) / tasks + 1;
            WorkerPool.parallel(
                    tasks * parts,
                    i -> forward(c, i / parts / kvHeads, i / parts % kvHeads, i % parts * BLOCK, parts * BLOCK));
        }
    }

    static void attentionBackward(AttentionBackward c) {
        Heads heads = c.heads();
        int kvHeads = heads.kvHeads();
        int sequences = c.ragged().count();
        if (sequences >= 4 * WorkerPool.threads()) {
            int queries = heads.heads() * heads.headDim();
            int keys = kvHeads * heads.headDim();
            Matrix[] matrices = {
                new Matrix(c.q(), queries, c.ldq()),
                new Matrix(c.k(), keys, c.ldk()),
                new Matrix(c.v(), keys, c.ldv()),
                new Matrix(c.dq(), queries, c.ldq()),
                new Matrix(c.dk(), keys, c.ldk()),
                new Matrix(c.dv(), keys, c.ldv()),
                new Matrix(c.dOut(), queries, c.ldo())
            };
            WorkerPool.parallel(sequences, s -> {
                readAhead(c.ragged(), s, matrices);
                for (int h = 0; h < kvHeads; h++) {
                    backward(c, s, h);
                }
            });
        } else {
            WorkerPool.parallel(sequences * kvHeads, i -> backward(c, i / kvHeads, i % kvHeads));
        }
    }

    /** Rows of {@code cols} numbers that lie {@code ld} numbers apart. */
    private record Matrix(Buffer start, int cols, long ld) {}

    /**
     * Brings the rows of sequence {@code s} into the cache, also what will be written: a row of every matrix, then the next, since
     * those of q, k and v often lie side by side.
     */
    private static void readAhead(Ragged ragged, int s, Matrix... matrices) {
        int sum = 0;
        for (int row = ragged.starts()[s]; row < ragged.starts()[s + 1]; row++) {
            for (Matrix m : matrices) {
                sum += ReadAhead.row(m.cols, m.start.address() + row * m.ld * 4);
            }
        }
        ReadAhead.keep(sum);
    }

    /** The rows {@code first, first + step, ...} (blocks of them) of sequence {@code s} for the query heads of {@code kvHead}. */
    private static void forward(Attention c, int s, int kvHead, int first, int step) {
        int begin = c.ragged().starts()[s];
        int n = c.ragged().starts()[s + 1] - begin;
        if (first >= n) {
            return;
        }
        Heads heads = c.heads();
        int d = heads.headDim();
        long ld = roundUp(d, BLOCK) * 4L;
        long scoreBytes = roundUp(n, HEIGHT) * BLOCK_BYTES;
        long keyBytes = roundUp(n, HEIGHT) * ld;
        long k = Scratch.address(
                Scratch.Use.ATTENTION,
                2 * keyBytes + scoreBytes + BLOCK * ld + (d + 3) * BLOCK_BYTES + VIRTUAL * BYTES);
        long v = k + keyBytes;
        long scores = v + keyBytes;
        long out = scores + scoreBytes;
        long q = out + BLOCK * ld;
        long max = q + d * BLOCK_BYTES;
        long inverse = max + BLOCK_BYTES;
        long lse = inverse + BLOCK_BYTES;
        long sums = lse + BLOCK_BYTES;

        pack(n, d, c.k().address() + (begin * c.ldk() + kvHead * d) * 4, c.ldk() * 4, k, ld);
        pack(n, d, c.v().address() + (begin * c.ldv() + kvHead * d) * 4, c.ldv() * 4, v, ld);
        int group = heads.heads() / heads.kvHeads();
        for (int h = kvHead * group; h < (kvHead + 1) * group; h++) {
            for (int i = first; i < n; i += step) {
                int rows = Math.min(BLOCK, n - i);
                transpose(rows, d, c.q().address() + ((begin + i) * c.ldq() + h * d) * 4, c.ldq() * 4, q);
                keysByRows(heads, n, i, rows, k, ld, q, scores, (float) heads.scale());
                for (int x = 0; x < rows; x += LANES) {
                    softmax(heads, n, i, x, scores, max, sums, inverse, lse);
                }
                rowsByColumns(heads, n, i, rows, scores, v, ld, out);
                scaleRows(rows, d, inverse, out, ld);
                unpack(rows, d, out, ld, c.out().address() + ((begin + i) * c.ldo() + h * d) * 4, c.ldo() * 4);
                long toLse = c.lse().address() + ((begin + i) * (long) heads.heads() + h) * 4;
                scatter(rows, lse, toLse, heads.heads() * 4L);
            }
        }
    }

    private static void backward(AttentionBackward c, int s, int kvHead) {
        int begin = c.ragged().starts()[s];
        int n = c.ragged().starts()[s + 1] - begin;
        Heads heads = c.heads();
        int d = heads.headDim();
        float scale = (float) heads.scale();
        long ld = roundUp(d, BLOCK) * 4L;
        long scoreBytes = roundUp(n, HEIGHT) * BLOCK_BYTES;
        long keyBytes = roundUp(n, HEIGHT) * ld;
        long k = Scratch.address(
                Scratch.Use.ATTENTION,
                4 * keyBytes + (heads.softCap() > 0 ? 3 : 2) * scoreBytes + 3 * BLOCK * ld + (2 * d + 3) * BLOCK_BYTES);
        long v = k + keyBytes;
        long dk = v + keyBytes;
        long dv = dk + keyBytes;
        long p = dv + keyBytes;
        long ds = p + scoreBytes;
        long q = ds + scoreBytes;
        long dOut = q + BLOCK * ld;
        long dq = dOut + BLOCK * ld;
        long qLanes = dq + BLOCK * ld;
        long dOutLanes = qLanes + d * BLOCK_BYTES;
        long lse = dOutLanes + d * BLOCK_BYTES;
        long delta = lse + BLOCK_BYTES;
        long inverse = delta + BLOCK_BYTES;
        long slope = inverse + BLOCK_BYTES;

        long fromK = (begin * c.ldk() + kvHead * d) * 4;
        long fromV = (begin * c.ldv() + kvHead * d) * 4;
        pack(n, d, c.k().address() + fromK, c.ldk() * 4, k, ld);
        pack(n, d, c.v().address() + fromV, c.ldv() * 4, v, ld);
        clear(dk, 2 * keyBytes);
        int group = heads.heads() / heads.kvHeads();
        for (int h = kvHead * group; h < (kvHead + 1) * group; h++) {
            for (int i = 0; i < n; i += BLOCK) {
                int rows = Math.min(BLOCK, n - i);
                long fromQ = ((begin + i) * c.ldq() + h * d) * 4;
                long fromOut = c.dOut().address() + ((begin + i) * c.ldo() + h * d) * 4;
                transpose(rows, d, c.q().address() + fromQ, c.ldq() * 4, qLanes);
                transpose(rows, d, fromOut, c.ldo() * 4, dOutLanes);
                pack(rows, d, c.q().address() + fromQ, c.ldq() * 4, q, ld);
                long fromLse = c.lse().address() + ((begin + i) * (long) heads.heads() + h) * 4;
                gather(rows, fromLse, heads.heads() * 4L, lse);
                keysByRows(heads, n, i, rows, k, ld, qLanes, p, scale);
                keysByRows(heads, n, i, rows, v, ld, dOutLanes, ds, 1);
                for (int x = 0; x < rows; x += LANES) {
                    scoreGradients(heads, n, i, x, p, ds, lse, delta, inverse, slope, scale);
                }
                packScaled(rows, d, fromOut, c.ldo() * 4, inverse, dOut, ld);
                addKeysByColumns(heads, n, i, rows, p, dOut, ld, dv);
                addKeysByColumns(heads, n, i, rows, ds, q, ld, dk);
                rowsByColumns(heads, n, i, rows, ds, k, ld, dq);
                unpack(rows, d, dq, ld, c.dq().address() + fromQ, c.ldq() * 4);
            }
        }
        unpack(n, d, dk, ld, c.dk().address() + fromK, c.ldk() * 4);
        unpack(n, d, dv, ld, c.dv().address() + fromV, c.ldv() * 4);
    }

    // ---- products: of the rows [i, i + rows) with all keys that one of them sees, in tiles that some row sees
    // ---------------

    /** {@code to[keys, BLOCK] = scale (a[keys, d] lanes[d, BLOCK])}. */
    private static void keysByRows(
            Heads heads, int n, int i, int rows, long a, long ld, long lanes, long to, float scale) {
        int keys = heads.causal() ? Math.min(n, i + BLOCK) : n;
        for (int j = start(heads, i); j < keys; j += HEIGHT) {
            int end = endRow(heads, i, j, rows);
            for (int x = firstRow(heads, i, j) / (2 * LANES) * (2 * LANES); x < end; x += 2 * LANES) {
                AttentionTiles.scores(
                        heads.headDim(), scale, a + j * ld, ld, lanes + x * 4L, to + j * BLOCK_BYTES + x * 4L);
            }
        }
    }

    /** {@code to[rows, d] = scores^T b[keys, d]}. */
    private static void rowsByColumns(Heads heads, int n, int i, int rows, long scores, long b, long ld, long to) {
        for (int r = 0; r < rows; r += HEIGHT) {
            int keys = heads.causal() ? Math.min(n, i + r + HEIGHT) : n;
            int start = start(heads, i + r);
            for (int x = 0; x < heads.headDim(); x += 2 * LANES) {
                AttentionTiles.sums(
                        keys - start,
                        scores + start * BLOCK_BYTES + r * 4L,
                        b + start * ld + x * 4L,
                        to + r * ld + x * 4L,
                        ld);
            }
        }
    }

    /** {@code to[keys, d] += scores b[rows, d]}. */
    private static void addKeysByColumns(Heads heads, int n, int i, int rows, long scores, long b, long ld, long to) {
        int keys = heads.causal() ? Math.min(n, i + rows) : n;
        for (int j = start(heads, i); j < keys; j += HEIGHT) {
            int first = firstRow(heads, i, j);
            int count = endRow(heads, i, j, rows) - first;
            for (int x = 0; x < heads.headDim(); x += 2 * LANES) {
                AttentionTiles.add(
                        count,
                        scores + j * BLOCK_BYTES + first * 4L,
                        b + first * ld + x * 4L,
                        to + j * ld + x * 4L,
                        ld);
            }
        }
    }

    /** The first row of the block at {@code i} that sees key {@code j}. */
    private static int firstRow(Heads heads, int i, int j) {
        return heads.causal() ? Math.max(0, j - i) : 0;
    }

    /** The row after the last of {@code rows} in the block at {@code i} that sees a key of the tile at {@code j}. */
    private static int endRow(Heads heads, int i, int j, int rows) {
        return heads.window() == 0 ? rows : Math.min(rows, j + HEIGHT - 1 + heads.window() - i);
    }

    /** The tile of the first key that row {@code i} sees. */
    private static int start(Heads heads, int i) {
        return heads.window() == 0 ? 0 : Math.max(0, i - heads.window() + 1) / HEIGHT * HEIGHT;
    }

    // ---- columns of scores: one vector of rows
    // ------------------------------------------------------------------------

    /** The keys that the products read for the rows {@code i + x} to {@code i + x + LANES - 1}: whole tiles. */
    private static int end(Heads heads, int n, int i, int x) {
        return heads.causal() ? Math.min(n, i + roundUp(x + LANES, HEIGHT)) : n;
    }

    /** The keys that all these rows see. */
    private static int plain(Heads heads, int end, int i, int x) {
        return heads.causal() ? Math.min(end, i + x + 1) : end;
    }

    private static void softmax(
            Heads heads, int n, int i, int x, long scores, long max, long sums, long inverse, long lse) {
        int end = end(heads, n, i, x);
        int plain = plain(heads, end, i, x);
        int start = start(heads, i + x / HEIGHT * HEIGHT);
        long s = scores + x * 4L;
        long from = s + start * BLOCK_BYTES;
        if (heads.softCap() > 0) {
            softCap(end - start, BLOCK_BYTES, from, (float) heads.softCap());
        }
        if (heads.window() > 0) {
            maskBefore(
                    start,
                    Math.min(end, i + x + LANES - heads.window()),
                    i + x - heads.window(),
                    Float.NEGATIVE_INFINITY,
                    s);
        }
        max(plain - start, from, max);
        maskAndMax(plain, end, plain - x - i, s, max);
        VectorMath.exp(end - start, BLOCK_BYTES, from, 1, max, 1, from);
        sum(start, end, s, sums);
        fold(sums);
        finish(max, sums, inverse + x * 4L, lse + x * 4L);
    }

    /** {@code max = } the largest of {@code n} vectors. */
    private static void max(int n, long s, long max) {
        s &= ADDRESS;
        FloatVector m0 = fromMemorySegment(F, MEM, s, ORDER);
        FloatVector m1 = m0;
        FloatVector m2 = m0;
        FloatVector m3 = m0;
        int j = 0;
        for (; j < n - 3; j += 4) {
            long at = s + (j & INDEX) * BLOCK_BYTES;
            FloatVector v = fromMemorySegment(F, MEM, at, ORDER);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0));
            v = fromMemorySegment(F, MEM, at + BLOCK_BYTES, ORDER);
            m1 = m1.blend(v, v.compare(VectorOperators.GT, m1));
            v = fromMemorySegment(F, MEM, at + 2 * BLOCK_BYTES, ORDER);
            m2 = m2.blend(v, v.compare(VectorOperators.GT, m2));
            v = fromMemorySegment(F, MEM, at + 3 * BLOCK_BYTES, ORDER);
            m3 = m3.blend(v, v.compare(VectorOperators.GT, m3));
        }
        for (; j < n; j++) {
            FloatVector v = fromMemorySegment(F, MEM, s + (j & INDEX) * BLOCK_BYTES, ORDER);
            m0 = m0.blend(v, v.compare(VectorOperators.GT, m0));
        }
        m0 = m0.blend(m1, m1.compare(VectorOperators.GT, m0));
        m2 = m2.blend(m3, m3.compare(VectorOperators.GT, m2));
        m0.blend(m2, m2.compare(VectorOperators.GT, m0)).intoMemorySegment(MEM, max, ORDER);
    }

    /**
     * Goes on with the keys that only later lanes see; for the others the score becomes minus infinity.
     *
     * @param lane the first lane that sees key {@code plain}
     */
    private static void maskAndMax(int plain, int end, int lane, long s, long max) {
        FloatVector lanes = FloatVector.zero(F).addIndex(1);
        FloatVector m = fromMemorySegment(F, MEM, max, ORDER);
        s &= ADDRESS;
        for (int j = plain; j < end; j++) {
            long at = s + (j & INDEX) * BLOCK_BYTES;
            FloatVector v = fromMemorySegment(F, MEM, at, ORDER)
                    .blend(Float.NEGATIVE_INFINITY, lanes.compare(VectorOperators.LT, (float) (lane + j - plain)));
            v.intoMemorySegment(MEM, at, ORDER);
            m = m.blend(v, v.compare(VectorOperators.GT, m));
        }
        m.intoMemorySegment(MEM, max, ORDER);
    }

    /** Fills the keys that lanes no longer see: lane {@code l} sees the keys behind {@code before + l}. */
    private static void maskBefore(int start, int end, int before, float value, long s) {
        FloatVector lanes = FloatVector.zero(F).addIndex(1);
        for (int j = start; j < end; j++) {
            fromMemorySegment(F, MEM, s + j * BLOCK_BYTES, ORDER)
                    .blend(value, lanes.compare(VectorOperators.GE, (float) (j - before)))
                    .intoMemorySegment(MEM, s + j * BLOCK_BYTES, ORDER);
        }
    }

    /** {@code s = cap tanh(s / cap)} for {@code n} vectors that lie {@code step} bytes apart. */
    static void softCap(int n, long step, long s, float cap) {
        for (int j = 0; j < n; j++) {
            VectorMath.tanh(fromMemorySegment(F, MEM, s + j * step, ORDER).mul(1 / cap))
                    .mul(cap)
                    .intoMemorySegment(MEM, s + j * step, ORDER);
        }
    }

    /** {@code slope = 1 - (s / cap)^2}, what a score's gradient is multiplied by. */
    private static void capSlope(int n, long s, float cap, long slope) {
        for (int j = 0; j < n; j++) {
            FloatVector t =
                    fromMemorySegment(F, MEM, s + j * BLOCK_BYTES, ORDER).mul(1 / cap);
            FloatVector.broadcast(F, 1).sub(t.mul(t)).intoMemorySegment(MEM, slope + j * BLOCK_BYTES, ORDER);
        }
    }

    private static void multiply(int n, long a, long by) {
        for (int j = 0; j < n; j++) {
            fromMemorySegment(F, MEM, a + j * BLOCK_BYTES, ORDER)
                    .mul(fromMemorySegment(F, MEM, by + j * BLOCK_BYTES, ORDER))
                    .intoMemorySegment(MEM, a + j * BLOCK_BYTES, ORDER);
        }
    }

    /** Adds the vectors of the keys {@code [start, end)} to {@value #VIRTUAL} sums. */
    private static void sum(int start, int end, long p, long sums) {
        clear(sums, VIRTUAL * BYTES);
        p &= ADDRESS;
        sums &= ADDRESS;
        for (int j = start; j < end; j++) {
            long sum = sums + (j & VIRTUAL - 1) * (long) BYTES;
            fromMemorySegment(F, MEM, p + (j & INDEX) * BLOCK_BYTES, ORDER)
                    .add(fromMemorySegment(F, MEM, sum, ORDER))
                    .intoMemorySegment(MEM, sum, ORDER);
        }
    }

    private static void fold(long sums) {
        for (int w = VIRTUAL / 2; w > 0; w /= 2) {
            for (int j = 0; j < w; j++) {
                long at = sums + (long) j * BYTES;
                fromMemorySegment(F, MEM, at, ORDER)
                        .add(fromMemorySegment(F, MEM, at + (long) w * BYTES, ORDER))
                        .intoMemorySegment(MEM, at, ORDER);
            }
        }
    }

    private static void finish(long max, long sum, long inverse, long lse) {
        FloatVector total = fromMemorySegment(F, MEM, sum, ORDER);
        FloatVector.broadcast(F, 1).div(total).intoMemorySegment(MEM, inverse, ORDER);
        VectorMath.log(total).add(fromMemorySegment(F, MEM, max, ORDER)).intoMemorySegment(MEM, lse, ORDER);
    }

    /**
     * Turns scores into probabilities {@code p} times their sum, and {@code ds}, which holds {@code dp}, into {@code scale p (dp -
     * sum(p dp))}; leaves 1 / sum to {@code inverse}. The sum is not 1 because {@code lse} is rounded: where scores are in
     * the thousands it is off by one in ten thousand.
     */
    private static void scoreGradients(
            Heads heads,
            int n,
            int i,
            int x,
            long p,
            long ds,
            long lse,
            long delta,
            long inverse,
            long slope,
            float scale) {
        int end = end(heads, n, i, x);
        int plain = plain(heads, end, i, x);
        int start = start(heads, i + x / HEIGHT * HEIGHT);
        long at = start * BLOCK_BYTES + x * 4L;
        float cap = (float) heads.softCap();
        if (cap > 0) {
            softCap(end - start, BLOCK_BYTES, p + at, cap);
            capSlope(end - start, p + at, cap, slope + at);
        }
        VectorMath.exp(end - start, BLOCK_BYTES, p + at, 1, lse + x * 4L, 1, p + at);
        if (heads.window() > 0) {
            maskBefore(start, Math.min(end, i + x + LANES - heads.window()), i + x - heads.window(), 0, p + x * 4L);
        }
        mask(plain, end, plain - x - i, p + x * 4L);
        sums(end - start, p + at, ds + at, delta, inverse + x * 4L);
        scoreGradients(end - start, p + at, delta, inverse + x * 4L, scale, ds + at);
        if (cap > 0) {
            multiply(end - start, ds + at, slope + at);
        }
    }

    /** Sets to 0 what lanes do not see. */
    private static void mask(int plain, int end, int lane, long p) {
        FloatVector lanes = FloatVector.zero(F).addIndex(1);
        p &= ADDRESS;
        for (int j = plain; j < end; j++) {
            long at = p + (j & INDEX) * BLOCK_BYTES;
            fromMemorySegment(F, MEM, at, ORDER)
                    .blend(0, lanes.compare(VectorOperators.LT, (float) (lane + j - plain)))
                    .intoMemorySegment(MEM, at, ORDER);
        }
    }

    /** {@code inverse = 1 / sum p, delta = sum(p dp) / sum p}. */
    private static void sums(int n, long p, long dp, long delta, long inverse) {
        p &= ADDRESS;
        dp &= ADDRESS;
        FloatVector weighted = FloatVector.zero(F);
        FloatVector sum = FloatVector.zero(F);
        for (int j = 0; j < n; j++) {
            long k = (j & INDEX) * BLOCK_BYTES;
            FloatVector v = fromMemorySegment(F, MEM, p + k, ORDER);
            weighted = v.fma(fromMemorySegment(F, MEM, dp + k, ORDER), weighted);
            sum = sum.add(v);
        }
        FloatVector.broadcast(F, 1).div(sum).intoMemorySegment(MEM, inverse, ORDER);
        weighted.div(sum).intoMemorySegment(MEM, delta, ORDER);
    }

    private static void scoreGradients(int n, long p, long delta, long inverse, float scale, long ds) {
        p &= ADDRESS;
        ds &= ADDRESS;
        FloatVector d = fromMemorySegment(F, MEM, delta, ORDER);
        FloatVector factor = fromMemorySegment(F, MEM, inverse, ORDER).mul(scale);
        for (int j = 0; j < n; j++) {
            long k = (j & INDEX) * BLOCK_BYTES;
            fromMemorySegment(F, MEM, ds + k, ORDER)
                    .sub(d)
                    .mul(fromMemorySegment(F, MEM, p + k, ORDER).mul(factor))
                    .intoMemorySegment(MEM, ds + k, ORDER);
        }
    }
}
