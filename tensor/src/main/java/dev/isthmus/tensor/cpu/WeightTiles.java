package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Products of many rows of A with a stored weight, in the order of additions of {@link WeightMatMul}: tiles of {@value #HEIGHT}
 * rows of the weight and {@link #WIDTH} rows of A, of which lanes hold a number each.
 *
 * <p>A is turned into panels once: of each {@value #CHUNK} numbers of a row, those that belong to the same partial sum lie
 * together, {@code [16, K / 16, WIDTH]}. So a tile is that of an ordinary product, which reads a number of the weight where dots
 * ({@link WeightDots}) read a vector; and partial sums are added lane by lane.
 */
final class WeightTiles {
    /** The rows of the weight in a tile. */
    private static final int HEIGHT = 8;

    /** The rows of A in a tile. */
    private static final int WIDTH = 2 * LANES;

    /** From one number of K to the next in a panel, and from one row of a tile to the next. */
    private static final long ROW = WIDTH * 4L;

    /** The numbers of a row that meet before the partial sums go back to memory: {@value #HEIGHT} rows stay in the nearest cache. */
    private static final int CHUNK = 1024;

    /** The multiple of numbers that chunks are cut at. */
    private static final int BLOCK = 32;

    /** One more line than a power of two, so that the parts of a panel do not meet in the same set of a cache. */
    private static final long PAD = 64;

    /** The bytes of the panels that all of a weight meets before the next ones: they stay in the cache of a core. */
    private static final long PANEL_BYTES = 1 << 20;

    /** One partial sum of all elements of a tile, and all of them. */
    private static final long PART = HEIGHT * ROW, SUMS = Rows.LANES * PART;

    /** The columns of C in a task, and the rows that are written together: whole lines of the cache. */
    private static final int COLS = 4 * HEIGHT, TURNED = 8;

    /** Fewer rows of A than these are left to dots. */
    private static final int LEAST_ROWS = WIDTH - WIDTH / 8;

    /** What the partial sums begin with: a row of a tile. */
    private static final long ZEROS = Arena.global().allocate(ROW, 64).address();

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Covers every step of a chunk. */
    private static final int DEPTHS = 0xFFFF;

    private final WeightMatMul c;
    private final int first;
    private final int rows;
    private final long panels;
    private final long panelBytes;
    private final int chunk;

    /** The product with some rows of A, from {@code first} on. */
    private WeightTiles(WeightMatMul c, int first, int rows, long panels, long panelBytes, int chunk) {
        this.c = c;
        this.first = first;
        this.rows = rows;
        this.panels = panels;
        this.panelBytes = panelBytes;
        this.chunk = chunk;
    }

    /** Computes as many of the first rows of C as are worth it, and returns how many. */
    static int matMul(WeightMatMul c) {
        int left = c.m() % WIDTH;
        int m = left < LEAST_ROWS ? c.m() - left : c.m();
        if (LANES != Rows.LANES || m == 0 || c.k() == 0 || c.k() % BLOCK != 0) {
            return 0;
        }
        int chunks = (c.k() + CHUNK - 1) / CHUNK;
        int chunk = (c.k() / BLOCK + chunks - 1) / chunks * BLOCK;
        long panelBytes = c.k() * ROW + chunks * Rows.LANES * PAD;
        int all = panels(m);
        int most = (int) Math.max(1, PANEL_BYTES / (c.k() * ROW));
        int passes = (all + most - 1) / most;
        int atOnce = (all + passes - 1) / passes;
        for (int i = 0; i < all; i += atOnce) {
            int count = Math.min(atOnce, all - i);
            long panels = Scratch.address(Scratch.Use.PANELS, count * panelBytes);
            int rows = Math.min(count * WIDTH, m - i * WIDTH);
            WeightTiles tiles = new WeightTiles(c, i * WIDTH, rows, panels, panelBytes, chunk);
            WorkerPool.parallel(count, tiles::turn);
            WorkerPool.parallel((c.n() + COLS - 1) / COLS, tiles::columns);
        }
        return m;
    }

    /** The panels of so many rows. */
    private static int panels(int rows) {
        return (rows + WIDTH - 1) / WIDTH;
    }

    /** The bytes of what a panel has of one partial sum of a chunk. */
    private static long part(int depth) {
        return depth * ROW + PAD;
    }

    /** Makes a panel. Behind the last row of A it stands in for those that are missing. */
    private void turn(int panel) {
        int i = panel * WIDTH;
        int count = Math.min(WIDTH, rows - i);
        long a = c.a().address() + (first + i) * c.lda() * 4;
        long to = panels + panel * panelBytes;
        for (int x = 0; x < c.k(); x += chunk) {
            int depth = Math.min(chunk, c.k() - x) / Rows.LANES;
            for (int k = 0; k < depth; k++) {
                long from = a + (x + k * Rows.LANES) * 4L;
                Panels.transpose(count, Rows.LANES, from, c.lda() * 4, to + k * ROW, part(depth));
                for (int missing = count; missing < WIDTH; missing++) {
                    Panels.transpose(1, Rows.LANES, from, 0, to + k * ROW + missing * 4L, part(depth));
                }
            }
            to += Rows.LANES * part(depth);
        }
    }

    /** The columns of C that {@value #COLS} rows of the weight make. */
    private void columns(int task) {
        int from = task * COLS;
        int cols = Math.min(COLS, c.n() - from);
        long row = panels(rows) * ROW;
        long turned = Scratch.address(Scratch.Use.ROW_B, COLS * row);
        for (int j = 0; j < cols; j += HEIGHT) {
            group(from + j, Math.min(HEIGHT, cols - j), turned + j * row, row);
        }
        // Some rows at a time, whole lines of the cache.
        long to = c.c().address() + (first * c.ldc() + from) * 4;
        for (int i = 0; i < rows; i += TURNED) {
            int count = Math.min(TURNED, rows - i);
            Panels.transpose(cols, count, turned + i * 4L, row, to + i * c.ldc() * 4, c.ldc() * 4);
        }
    }

    /** Columns {@code j} to {@code j + cols - 1} of C, transposed. */
    private void group(int j, int cols, long turned, long ld) {
        int count = panels(rows);
        long row = c.format().rowBytes(c.k());
        long w = c.w().address() + j * row;
        long sums = Scratch.address(Scratch.Use.SUMS, count * SUMS);
        long floats = Scratch.address(Scratch.Use.ROW_A, HEIGHT * CHUNK * 4L);
        long done = 0;
        for (int x = 0; x < c.k(); x += chunk) {
            int n = Math.min(chunk, c.k() - x);
            int depth = n / Rows.LANES;
            for (int r = 0; r < cols; r++) {
                WeightDots.toFloats(c.format(), n, w + r * row + c.format().rowBytes(x), floats + r * n * 4L);
            }
            // Behind the last row of the weight stands what was there before; what comes of it is not written.
            for (int p = 0; p < count; p++) {
                long panel = panels + p * panelBytes + done;
                for (int l = 0; l < Rows.LANES; l++) {
                    long to = sums + p * SUMS + l * PART;
                    tile(
                            depth,
                            floats + l * 4L,
                            n * 4L,
                            panel + l * part(depth),
                            x == 0 ? ZEROS : to,
                            x == 0 ? 0 : ROW,
                            to);
                }
            }
            done += Rows.LANES * part(depth);
        }
        Buffer bias = c.bias();
        for (int r = 0; r < cols; r++) {
            float b = bias == null ? -0.0f : Simd.getFloat(bias.address() + (j + r) * 4L);
            for (int p = 0; p < count; p++) {
                fold(sums + p * SUMS + r * ROW, b, turned + r * ld + p * ROW);
            }
        }
    }

    /** {@code to [HEIGHT, WIDTH] = from + } the terms of one partial sum. */
    private static void tile(int depth, long w, long ldw, long a, long from, long ldFrom, long to) {
        w &= ADDRESS;
        a &= ADDRESS;
        long w1 = w + ldw & ADDRESS;
        long w2 = w1 + ldw & ADDRESS;
        long w3 = w2 + ldw & ADDRESS;
        long w4 = w3 + ldw & ADDRESS;
        long w5 = w4 + ldw & ADDRESS;
        long w6 = w5 + ldw & ADDRESS;
        long w7 = w6 + ldw & ADDRESS;
        from &= ADDRESS;
        FloatVector c00 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c01 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c10 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c11 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c20 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c21 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c30 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c31 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c40 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c41 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c50 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c51 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c60 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c61 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        from += ldFrom;
        from &= ADDRESS;
        FloatVector c70 = fromMemorySegment(F, MEM, from, ORDER);
        FloatVector c71 = fromMemorySegment(F, MEM, from + BYTES, ORDER);
        for (int i = 0; i < depth; i++) {
            long o = i & DEPTHS;
            FloatVector a0 = fromMemorySegment(F, MEM, a + o * ROW, ORDER);
            FloatVector a1 = fromMemorySegment(F, MEM, a + o * ROW + BYTES, ORDER);
            FloatVector x = FloatVector.broadcast(F, MEM.get(FLOAT, w + o * Rows.BYTES));
            c00 = x.fma(a0, c00);
            c01 = x.fma(a1, c01);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w1 + o * Rows.BYTES));
            c10 = x.fma(a0, c10);
            c11 = x.fma(a1, c11);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w2 + o * Rows.BYTES));
            c20 = x.fma(a0, c20);
            c21 = x.fma(a1, c21);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w3 + o * Rows.BYTES));
            c30 = x.fma(a0, c30);
            c31 = x.fma(a1, c31);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w4 + o * Rows.BYTES));
            c40 = x.fma(a0, c40);
            c41 = x.fma(a1, c41);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w5 + o * Rows.BYTES));
            c50 = x.fma(a0, c50);
            c51 = x.fma(a1, c51);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w6 + o * Rows.BYTES));
            c60 = x.fma(a0, c60);
            c61 = x.fma(a1, c61);
            x = FloatVector.broadcast(F, MEM.get(FLOAT, w7 + o * Rows.BYTES));
            c70 = x.fma(a0, c70);
            c71 = x.fma(a1, c71);
        }
        to &= ADDRESS;
        c00.intoMemorySegment(MEM, to, ORDER);
        c01.intoMemorySegment(MEM, to + BYTES, ORDER);
        c10.intoMemorySegment(MEM, to + ROW, ORDER);
        c11.intoMemorySegment(MEM, to + ROW + BYTES, ORDER);
        c20.intoMemorySegment(MEM, to + 2 * ROW, ORDER);
        c21.intoMemorySegment(MEM, to + 2 * ROW + BYTES, ORDER);
        c30.intoMemorySegment(MEM, to + 3 * ROW, ORDER);
        c31.intoMemorySegment(MEM, to + 3 * ROW + BYTES, ORDER);
        c40.intoMemorySegment(MEM, to + 4 * ROW, ORDER);
        c41.intoMemorySegment(MEM, to + 4 * ROW + BYTES, ORDER);
        c50.intoMemorySegment(MEM, to + 5 * ROW, ORDER);
        c51.intoMemorySegment(MEM, to + 5 * ROW + BYTES, ORDER);
        c60.intoMemorySegment(MEM, to + 6 * ROW, ORDER);
        c61.intoMemorySegment(MEM, to + 6 * ROW + BYTES, ORDER);
        c70.intoMemorySegment(MEM, to + 7 * ROW, ORDER);
        c71.intoMemorySegment(MEM, to + 7 * ROW + BYTES, ORDER);
    }

    /** Adds up the partial sums of a row of a tile, in the order of {@link Rows#fold}, and a bias, which may be -0. */
    private static void fold(long sums, float bias, long to) {
        sums &= ADDRESS;
        to &= ADDRESS;
        FloatVector b = FloatVector.broadcast(F, bias);
        for (int v = 0; v < 2; v++) {
            long at = sums + v * BYTES;
            FloatVector s0 = load(at).add(load(at + 8 * PART));
            FloatVector s1 = load(at + PART).add(load(at + 9 * PART));
            FloatVector s2 = load(at + 2 * PART).add(load(at + 10 * PART));
            FloatVector s3 = load(at + 3 * PART).add(load(at + 11 * PART));
            s0 = s0.add(load(at + 4 * PART).add(load(at + 12 * PART)));
            s1 = s1.add(load(at + 5 * PART).add(load(at + 13 * PART)));
            s2 = s2.add(load(at + 6 * PART).add(load(at + 14 * PART)));
            s3 = s3.add(load(at + 7 * PART).add(load(at + 15 * PART)));
            store(s0.add(s2).add(s1.add(s3)).add(b), to + v * BYTES);
        }
    }
}
