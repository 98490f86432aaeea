package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;

/**
 * Products with stored weights, tiles of {@value #TILE} rows of A and {@value #TILE} rows of a weight.
 *
 * <p>A single row of A meets the weights as they are stored, at the speed of memory. For more rows, and where vectors are too
 * narrow, a chunk becomes float32 in scratch memory first; most of many rows are left to {@link WeightTiles}. Partial sums stay in
 * memory between chunks, so every path adds in the order that {@link WeightMatMul} promises.
 */
final class WeightKernels {
    /** The rows of A and of a weight whose products are made together. */
    static final int TILE = 4;

    /** The partial sums of an element, in bytes. */
    static final long SUMS = Rows.BYTES;

    /** The partial sums of a tile, in bytes. */
    private static final long TILE_SUMS = TILE * TILE * SUMS;

    /** The rows of a weight that become float32 together and meet all rows of A of a block. */
    private static final int COLS = 4 * TILE;

    /** The numbers of a row that are added before the partial sums go back to memory. */
    private static final int CHUNK = 1024;

    /** The rows of A whose partial sums stay in the cache of the core. */
    private static final int ROWS = 64;

    /** The bytes of the rows of A that all of a weight meets before the next ones: they stay in the cache of a core. */
    private static final int PANEL_BYTES = 1 << 18;

    private static final int TASK_BYTES = 1 << 17;

    private WeightKernels() {}

    static void matMul(WeightMatMul c) {
        if (c.m() == 1 && WeightDots.has(c.format())) {
            int groups = (c.n() + TILE - 1) / TILE;
            Rows.parallel(groups, perTask(c, 1, groups, TILE), (_, from, to) -> oneRow(c, groups, from, to));
            return;
        }
        int panel = Math.max(1, PANEL_BYTES / (4 * ROWS * Math.max(1, c.k()))) * ROWS;
        int blocks = (c.n() + COLS - 1) / COLS;
        for (int first = WeightTiles.matMul(c); first < c.m(); first += panel) {
            int begin = first;
            int end = Math.min(c.m(), first + panel);
            Rows.parallel(blocks, perTask(c, end - begin, blocks, COLS), (_, from, to) -> {
                for (int block = from; block < to; block++) {
                    for (int i = begin; i < end; i += ROWS) {
                        block(c, i, Math.min(ROWS, end - i), block * COLS);
                    }
                }
            });
        }
    }

    private static int perTask(WeightMatMul c, int m, int blocks, int cols) {
        long bytes = Math.max(1, cols * c.format().rowBytes(c.k()) * m);
        return (int) Math.clamp(TASK_BYTES / bytes, 1, Math.max(1, blocks / (4L * WorkerPool.threads())));
    }

    static void unpack(UnpackWeight c) {
        int k = c.k();
        int whole = k & -Rows.LANES;
        long row = c.format().rowBytes(k);
        Rows.parallel(c.rows(), Math.max(1, TASK_BYTES / (4 * Math.max(1, k))), (_, from, to) -> {
            for (int i = from; i < to; i++) {
                long w = c.w().address() + ScalarWeight.row(c, i) * row;
                long out = c.out().address() + (long) i * k * 4;
                WeightDots.toFloats(c.format(), whole, w, out);
                for (int x = whole; x < k; x++) {
                    setFloat(out + x * 4L, ScalarWeight.weight(c.format(), Simd.MEM, w, x));
                }
            }
        });
    }

    /**
     * Columns {@code from} to {@code to - 1} of each of the {@value #TILE} parts, of {@code apart} columns, of a C of one row.
     *
     * <p>So a thread reads as many streams of memory, each in order, however short a row of the weight is.
     */
    private static void oneRow(WeightMatMul c, int apart, int from, int to) {
        int whole = c.k() & -Rows.LANES;
        long row = c.format().rowBytes(c.k());
        long rest = c.format().rowBytes(whole);
        long sums = Scratch.address(Scratch.Use.SUMS, TILE_SUMS);
        long floats = Scratch.address(Scratch.Use.ROW_A, (TILE + 1) * Rows.BYTES);
        for (int first = from; first < to; first += TILE) {
            AttentionCopies.clear(sums, TILE_SUMS);
            int groups = Math.min(TILE, to - first);
            for (int g = 0; g < groups; g++) {
                int j = first + g;
                long w = c.w().address() + j * row;
                // Behind the last row the first stands in for those that are missing.
                long w1 = j + apart < c.n() ? w + apart * row : w;
                long w2 = j + 2L * apart < c.n() ? w + 2 * apart * row : w;
                long w3 = j + 3L * apart < c.n() ? w + 3 * apart * row : w;
                long s = sums + g * TILE * SUMS;
                WeightDots.dot(c.format(), whole, c.a().address(), w, w1, w2, w3, s);
                if (whole < c.k()) {
                    int n = c.k() - whole;
                    rest(c.format(), n, w + rest, w1 + rest, w2 + rest, w3 + rest, floats);
                    rest(1, n, c.a().address() + whole * 4L, 0, floats, floats + TILE * Rows.BYTES, s);
                }
            }
            WeightDots.fold(sums);
            for (int g = 0; g < groups; g++) {
                for (int r = 0; r < TILE && first + g + (long) r * apart < c.n(); r++) {
                    write(c, 0, first + g + r * apart, 1, 1, sums + (g * TILE + r) * 4L);
                }
            }
        }
    }

    /** Rows {@code i} to {@code i + rows - 1} and columns {@code j} to {@code j + COLS - 1} of C. */
    private static void block(WeightMatMul c, int i, int rows, int j) {
        int whole = c.k() & -Rows.LANES;
        int cols = Math.min(COLS, c.n() - j);
        int groups = (cols + TILE - 1) / TILE;
        int tiles = (rows + TILE - 1) / TILE;
        long size = tiles * TILE_SUMS;
        long sums = Scratch.address(Scratch.Use.SUMS, groups * size);
        AttentionCopies.clear(sums, groups * size);
        long floats = Scratch.address(Scratch.Use.ROW_A, COLS * CHUNK * 4L);
        long row = c.format().rowBytes(c.k());
        long weights = c.w().address() + j * row;
        long a = c.a().address() + i * c.lda() * 4;
        for (int x = 0; x < whole; x += CHUNK) {
            int n = Math.min(CHUNK, whole - x);
            long w = weights + c.format().rowBytes(x);
            long next = row;
            if (c.format() != WeightFormat.F32) {
                next = n * 4L;
                for (int r = 0; r < cols; r++) {
                    WeightDots.toFloats(c.format(), n, w + r * row, floats + r * next);
                }
                w = floats;
            }
            for (int t = 0; t < tiles; t++) {
                long at = a + (t * TILE * c.lda() + x) * 4;
                for (int g = 0; g < groups; g++) {
                    // Behind the last row the first of a group stands in for those that are missing.
                    int left = cols - g * TILE;
                    long w0 = w + g * TILE * next;
                    long w1 = left > 1 ? w0 + next : w0;
                    long w2 = left > 2 ? w0 + 2 * next : w0;
                    long w3 = left > 3 ? w0 + 3 * next : w0;
                    int m = Math.min(TILE, rows - t * TILE);
                    WeightDots.floats(m, n, at, c.lda() * 4, w0, w1, w2, w3, sums + g * size + t * TILE_SUMS);
                }
            }
        }
        for (int g = 0; g < groups; g++) {
            if (whole < c.k()) {
                int left = cols - g * TILE;
                long w0 = weights + c.format().rowBytes(whole) + g * TILE * row;
                long w1 = left > 1 ? w0 + row : w0;
                long w2 = left > 2 ? w0 + 2 * row : w0;
                long w3 = left > 3 ? w0 + 3 * row : w0;
                int n = c.k() - whole;
                rest(c.format(), n, w0, w1, w2, w3, floats);
                rest(rows, n, a + whole * 4L, c.lda() * 4, floats, floats + TILE * Rows.BYTES, sums + g * size);
            }
            for (int t = 0; t < tiles; t++) {
                long tile = sums + g * size + t * TILE_SUMS;
                WeightDots.fold(tile);
                int m = Math.min(TILE, rows - t * TILE);
                write(c, i + t * TILE, j + g * TILE, m, Math.min(TILE, cols - g * TILE), tile);
            }
        }
    }

    private static void write(WeightMatMul c, int i, int j, int rows, int cols, long tile) {
        long to = c.c().address() + (i * c.ldc() + j) * 4;
        Buffer given = c.bias();
        boolean biased = given != null;
        long bias = given == null ? 0 : given.address() + j * 4L;
        for (int y = 0; y < rows; y++) {
            for (int x = 0; x < cols; x++) {
                float value = getFloat(tile + (y * TILE + x) * 4L);
                setFloat(to + x * 4L, biased ? value + getFloat(bias + x * 4L) : value);
            }
            to += c.ldc() * 4;
        }
    }

    /** The {@code n} last numbers of four rows, fewer than the partial sums, as float32 with zeros behind them. */
    private static void rest(WeightFormat format, int n, long w, long w1, long w2, long w3, long to) {
        AttentionCopies.clear(to, TILE * Rows.BYTES);
        for (int x = 0; x < n; x++) {
            setFloat(to + x * 4L, ScalarWeight.weight(format, Simd.MEM, w, x));
            setFloat(to + Rows.BYTES + x * 4L, ScalarWeight.weight(format, Simd.MEM, w1, x));
            setFloat(to + 2 * Rows.BYTES + x * 4L, ScalarWeight.weight(format, Simd.MEM, w2, x));
            setFloat(to + 3 * Rows.BYTES + x * 4L, ScalarWeight.weight(format, Simd.MEM, w3, x));
        }
    }

    /** Adds the terms of the last numbers of rows of A, each with zeros behind it at {@code row}. */
    private static void rest(int m, int n, long a, long lda, long w, long row, long sums) {
        AttentionCopies.clear(row, Rows.BYTES);
        for (int i = 0; i < m; i++) {
            Panels.copy(1, n, a + i * lda, 0, row, 0);
            long s = sums + i * TILE * SUMS;
            long w1 = w + Rows.BYTES;
            WeightDots.floats(1, Rows.LANES, row, 0, w, w1, w1 + Rows.BYTES, w1 + 2 * Rows.BYTES, s);
        }
    }
}
