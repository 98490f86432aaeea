package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.PackWeight.ROWS;
import static dev.isthmus.tensor.cpu.PackedDots.PANEL_ROW;
import static dev.isthmus.tensor.cpu.PackedWeights.BLOCK;
import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;
import static jdk.incubator.vector.VectorOperators.LSHR;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products with packed weights: few rows of A by dots of four panels, which are read in turn, many by tiles of numbers that become float32
 * a panel of C at a time.
 */
final class PackedProducts {
    /** Up to so many rows of A, dots are faster than tiles. */
    static final int MOST_DOTS = 3;

    /** The panels of a dot. */
    static final int STREAMS = 4;

    /** The columns of C in a task of many rows, two panels of a weight. */
    private static final int COLS = 2 * ROWS;

    private static final long COLS_BYTES = COLS * 4L;

    /** The rows of A, and the numbers of them, that meet before the next ones: both their sums and a piece of a panel stay near. */
    private static final int ROWS_OF_A = 64, CHUNK = 256;

    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());

    private final WeightMatMul c;
    private final long panelBytes;
    private final long scales;

    PackedProducts(WeightMatMul c) {
        this.c = c;
        this.panelBytes = PackWeight.bytes(c.format(), ROWS, c.k());
        this.scales = PackedWeights.numberBytes(c.format(), c.k());
    }

    void matMul() {
        WorkerPool.parallel((c.n() + COLS - 1) / COLS, this::columns);
    }

    // ---- few rows ----

    /** The panels of each of the {@value #STREAMS} parts of the weight. */
    int apart() {
        int panels = (c.n() + ROWS - 1) / ROWS;
        return (panels + STREAMS - 1) / STREAMS;
    }

    /** The bytes of a panel of each part. */
    long dotBytes() {
        return STREAMS * panelBytes;
    }

    /** Panels {@code from} to {@code to - 1} of each part. */
    void dots(int from, int to) {
        int apart = apart();
        long sums = Scratch.address(Scratch.Use.SUMS, STREAMS * PANEL_ROW);
        for (int p = from; p < to; p++) {
            for (int i = 0; i < c.m(); i++) {
                long a = c.a().address() + i * c.lda() * 4;
                PackedDots.dot(
                        c.format(),
                        c.k(),
                        a,
                        panel(p),
                        panel(p + apart),
                        panel(p + 2 * apart),
                        panel(p + 3 * apart),
                        scales,
                        sums);
                for (int r = 0; r < STREAMS; r++) {
                    write(i, 1, (p + r * apart) * ROWS, ROWS, sums + r * PANEL_ROW, 0);
                }
            }
        }
    }

    /** The address of a panel; behind the last one, of the first. */
    private long panel(int p) {
        return c.w().address() + (p * ROWS < c.n() ? p * panelBytes : 0);
    }

    // ---- many rows ----

    private void columns(int task) {
        int first = task * COLS;
        long left = panel(2 * task);
        long right = panel(2 * task + 1);
        long floats = Scratch.address(Scratch.Use.PANEL_BLOCK, c.k() * COLS_BYTES);
        toFloats(left, floats);
        toFloats(right, floats + PANEL_ROW);
        long total = Scratch.address(Scratch.Use.SUMS, ROWS_OF_A * COLS_BYTES);
        for (int i = 0; i < c.m(); i += ROWS_OF_A) {
            int rows = Math.min(ROWS_OF_A, c.m() - i);
            AttentionCopies.clear(total, ROWS_OF_A * COLS_BYTES);
            for (int x = 0; x < c.k(); x += CHUNK) {
                int blocks = Math.min(CHUNK, c.k() - x) / BLOCK;
                for (int r = 0; r < rows; r += GemmTiles.HEIGHT) {
                    tiles(
                            i + r,
                            Math.min(GemmTiles.HEIGHT, rows - r),
                            x,
                            blocks,
                            floats,
                            left,
                            right,
                            total + r * COLS_BYTES);
                }
            }
            write(i, rows, first, COLS, total, COLS_BYTES);
        }
    }

    /** {@code total [HEIGHT, COLS] += } the products of some rows and some blocks. */
    private void tiles(int i, int rows, int x, int blocks, long floats, long left, long right, long total) {
        long a = c.a().address() + (i * c.lda() + x) * 4;
        long lda = c.lda() * 4;
        if (rows < GemmTiles.HEIGHT) {
            // What comes of the rows that are missing is not written.
            long copy = Scratch.address(Scratch.Use.ROWS, GemmTiles.HEIGHT * CHUNK * 4L);
            Panels.copy(rows, blocks * BLOCK, a, lda, copy, CHUNK * 4L);
            a = copy;
            lda = CHUNK * 4L;
        }
        long sums = Scratch.address(Scratch.Use.TILE, GemmTiles.HEIGHT * COLS_BYTES);
        for (int block = 0; block < blocks; block++) {
            long at = floats + (x + block * BLOCK) * COLS_BYTES;
            for (int col = 0; col < COLS; col += GemmTiles.WIDTH) {
                long o = col * 4L;
                GemmTiles.tile(BLOCK, a + block * (BLOCK * 4L), lda, at + o, Panels.NOTHING, 0, sums + o, COLS_BYTES);
            }
            long d = scales + (x / BLOCK + block) * PANEL_ROW;
            addScaled(sums, left + d, total);
            addScaled(sums + PANEL_ROW, right + d, total + PANEL_ROW);
        }
    }

    /** {@code total [HEIGHT, 16] += d [16] sums}. */
    private static void addScaled(long sums, long d, long total) {
        sums &= ADDRESS;
        d &= ADDRESS;
        total &= ADDRESS;
        for (int lane = 0; lane < ROWS; lane += LANES) {
            long o = (lane & ROWS - 1) * 4L;
            FloatVector scale = load(d + o);
            for (int i = 0; i < GemmTiles.HEIGHT; i++) {
                long at = (i & 15) * COLS_BYTES + o;
                store(load(sums + at).fma(scale, load(total + at)), total + at);
            }
        }
    }

    /** The numbers of a panel without their scales: {@code to [K, COLS]}. */
    private void toFloats(long panel, long to) {
        int bits = PackedWeights.bits(c.format());
        int half = 1 << bits - 1;
        int perInt = 32 / bits;
        for (int x = 0; x < c.k(); x += perInt) {
            for (int lane = 0; lane < ROWS; lane += LANES) {
                toFloats(panel + x / perInt * PANEL_ROW + lane * 4L, bits, half, to + x * COLS_BYTES + lane * 4L);
            }
        }
    }

    private static void toFloats(long from, int bits, int half, long to) {
        from &= ADDRESS;
        to &= ADDRESS;
        IntVector v = IntVector.fromMemorySegment(I, MEM, from, ORDER);
        for (int shift = 0; shift < 32; shift += bits) {
            IntVector q = v.lanewise(LSHR, shift).and(2 * half - 1).sub(half);
            store((FloatVector) q.convertShape(VectorOperators.I2F, F, 0), to);
            to += COLS_BYTES;
            to &= ADDRESS;
        }
    }

    /** Some rows of sums, and the bias, become a part of C. */
    private void write(int i, int rows, int j, int cols, long sums, long ld) {
        int width = Math.min(cols, c.n() - j);
        if (width <= 0) {
            return;
        }
        Buffer bias = c.bias();
        long add = bias == null ? Panels.NOTHING : bias.address() + j * 4L;
        long to = c.c().address() + (i * c.ldc() + j) * 4;
        Panels.finish(rows, width, sums, ld, add, 0, Panels.NOTHING, 0, to, c.ldc() * 4);
    }
}
