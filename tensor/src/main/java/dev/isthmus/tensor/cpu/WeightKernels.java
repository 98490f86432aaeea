package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import java.util.ArrayList;
import java.util.List;

/**
 * Products with stored weights, tiles of {@value #TILE} rows of A and {@value #TILE} rows of a weight.
 *
 * <p>A single row of A meets the weights as they are stored, at the speed of memory. For more rows a chunk becomes float32 in scratch
 * memory first; most of many rows are left to {@link WeightTiles}, and weights of blocks to {@link PackedProducts}. Partial sums stay
 * in memory between chunks, so every path adds in the order that {@link WeightMatMul} promises.
 */
final class WeightKernels {
    /** The rows of A and of a weight whose products are made together. */
    static final int TILE = 4;

    /** The partial sums of an element, in bytes. */
    static final long SUMS = Rows.BYTES;

    /** The partial sums of a tile, in bytes. */
    private static final long TILE_SUMS = TILE * TILE * SUMS;

    /** The numbers of a row of a weight that a single row of A meets before it meets those of another row. */
    private static final int TURN = 256;

    /** The bytes of the last tasks with a single row of A. */
    private static final int ROW_TASK_BYTES = 1 << 16;

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
        if (isFewRows(c)) {
            fewRows(List.of(c));
            return;
        }
        if (c.format().isPacked()) {
            new PackedProducts(c).matMul();
            return;
        }
        int panel = Math.max(1, PANEL_BYTES / (4 * ROWS * Math.max(1, c.k()))) * ROWS;
        int blocks = (c.n() + COLS - 1) / COLS;
        for (int first = WeightTiles.matMul(c); first < c.m(); first += panel) {
            int begin = first;
            int end = Math.min(c.m(), first + panel);
            int perTask = perTask(TASK_BYTES, COLS * c.format().rowBytes(c.k()) * (end - begin), blocks);
            Rows.parallel(blocks, perTask, (_, from, to) -> {
                for (int block = from; block < to; block++) {
                    for (int i = begin; i < end; i += ROWS) {
                        block(c, i, Math.min(ROWS, end - i), block * COLS);
                    }
                }
            });
        }
    }

    static void matMul(List<WeightMatMul> calls) {
        if (calls.stream().allMatch(WeightKernels::isFewRows)) {
            fewRows(calls);
        } else {
            calls.forEach(WeightKernels::matMul);
        }
    }

    private static boolean isFewRows(WeightMatMul c) {
        return c.m() == 1 || (c.format().isPacked() && c.m() <= PackedProducts.MOST_DOTS);
    }

    /**
     * Products of a single row of A, or of few with packed weights, as one region.
     *
     * <p>A task is what each thread would have of the rest (Polychronopoulos and Kuck 1987): a thread that begins a task waits for its
     * first lines, so there are few, and the last ones are small, so that threads end together.
     */
    private static void fewRows(List<WeightMatMul> calls) {
        List<Share> shares = new ArrayList<>();
        long left = 0;
        for (WeightMatMul c : calls) {
            Share share = share(c);
            left += share.bytes * share.count;
            shares.add(share);
        }
        List<Runnable> tasks = new ArrayList<>();
        for (Share share : shares) {
            for (int first = 0; first < share.count; ) {
                long bytes = Math.max(ROW_TASK_BYTES, left / WorkerPool.threads());
                int from = first;
                long size = Math.max(1, bytes / Math.max(1, share.bytes * share.together)) * share.together;
                int to = (int) Math.min(share.count, from + size);
                tasks.add(() -> share.body.run(from, to));
                left -= (to - from) * share.bytes;
                first = to;
            }
        }
        WorkerPool.parallel(tasks.size(), i -> tasks.get(i).run());
    }

    /** What a product of few rows is cut into: {@code count} parts of so many bytes of a weight, some together. */
    private record Share(int count, int together, long bytes, Rows.Range body) {}

    private static Share share(WeightMatMul c) {
        if (c.format().isPacked()) {
            PackedProducts products = new PackedProducts(c);
            return new Share(products.apart(), 1, products.dotBytes(), products::dots);
        }
        int streams = streams(c.format());
        int apart = (c.n() + streams - 1) / streams;
        return new Share(
                apart,
                TILE * TILE / streams,
                streams * c.format().rowBytes(c.k()),
                (from, to) -> oneRow(c, streams, apart, from, to));
    }

    private static int perTask(int most, long bytes, int blocks) {
        return (int) Math.clamp(most / Math.max(1, bytes), 1, Math.max(1, blocks / (4L * WorkerPool.threads())));
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

    /** How many rows of a weight a single row of A meets in turn: where there is arithmetic to do, too many for one dot. */
    private static int streams(WeightFormat format) {
        return format == WeightFormat.F16 ? 2 * TILE : TILE;
    }

    /**
     * Columns {@code from} to {@code to - 1} of each of {@code streams} parts, of {@code apart} columns, of a C of one row.
     *
     * <p>A thread takes a few numbers of a row of each part in turn, so as many streams of memory, each in order, are read at once. The
     * processor fetches each of them ahead while it computes with the others; of the rows of one dot alone it does not fetch enough.
     */
    private static void oneRow(WeightMatMul c, int streams, int apart, int from, int to) {
        int whole = c.k() & -Rows.LANES;
        long rest = c.format().rowBytes(whole);
        long sums = Scratch.address(Scratch.Use.SUMS, TILE_SUMS);
        long floats = Scratch.address(Scratch.Use.ROW_A, (TILE + 1) * Rows.BYTES);
        int together = TILE * TILE / streams;
        // The rows of one dot are read at once as it is.
        int turn = streams == TILE ? Math.max(1, whole) : TURN;
        for (int first = from; first < to; first += together) {
            AttentionCopies.clear(sums, TILE_SUMS);
            int last = Math.min(to, first + together);
            for (int j = first; j < last; j++) {
                long s = sums + (j - first) * streams * SUMS;
                for (int x = 0; x < whole; x += turn) {
                    long a = c.a().address() + x * 4L;
                    long at = c.format().rowBytes(x);
                    int n = Math.min(turn, whole - x);
                    for (int r = 0; r < streams; r += TILE) {
                        WeightDots.dot(
                                c.format(),
                                n,
                                a,
                                row(c, j, r, apart) + at,
                                row(c, j, r + 1, apart) + at,
                                row(c, j, r + 2, apart) + at,
                                row(c, j, r + 3, apart) + at,
                                s + r * SUMS);
                    }
                }
                for (int r = 0; r < streams && whole < c.k(); r += TILE) {
                    int n = c.k() - whole;
                    rest(
                            c.format(),
                            n,
                            row(c, j, r, apart) + rest,
                            row(c, j, r + 1, apart) + rest,
                            row(c, j, r + 2, apart) + rest,
                            row(c, j, r + 3, apart) + rest,
                            floats);
                    rest(1, n, c.a().address() + whole * 4L, 0, floats, floats + TILE * Rows.BYTES, s + r * SUMS);
                }
            }
            WeightDots.fold(sums);
            for (int j = first; j < last; j++) {
                for (int r = 0; r < streams && j + (long) r * apart < c.n(); r++) {
                    write(c, 0, j + r * apart, 1, 1, sums + ((j - first) * streams + r) * 4L);
                }
            }
        }
    }

    /** The address of row {@code j} of part {@code r} of the weight; where there is none, row {@code j} of the first stands in. */
    private static long row(WeightMatMul c, int j, int r, int apart) {
        long i = j + (long) r * apart;
        return c.w().address() + (i < c.n() ? i : j) * c.format().rowBytes(c.k());
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
