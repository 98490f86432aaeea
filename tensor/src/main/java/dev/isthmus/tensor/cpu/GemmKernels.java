package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.MatMul.K_BLOCK;
import static dev.isthmus.tensor.cpu.Panels.NOTHING;
import static dev.isthmus.tensor.cpu.Panels.ROW_BYTES;
import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackMatrix;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix products: every product is one of rows of A with panels of B (Goto and van de Geijn 2008).
 *
 * <p>A is read where it stands unless it is transposed; B is packed into panels, once for all where several blocks of rows use
 * it, else a block at a time by the task that needs it. Work is split over rows and panels, never over K, so that each element
 * is summed in the one order that {@link MatMul} prescribes.
 */
final class GemmKernels {
    /** Below this much work a second thread costs more than it does. */
    private static final long MIN_FLOPS_PER_TASK = 400_000;

    /** From this size on, multiplications in a product, {@link TileWarmup} costs less than it gives. */
    private static final double WARMUP_WORK = 4e6;

    private static final int SUM_BLOCK = 256;

    /** The rows that a task packs. */
    private static final int PACK_ROWS = 64;

    private static final int MAX_ROWS = 384;

    /** The rows of a task that packs nothing: with a block of K of them and of its panels, what one core's cache holds. */
    private static final int MAX_UNPACKED_ROWS = 96;

    /** The same where it has many panels, each of which is to be read from far for as many rows as possible. */
    private static final int MAX_ROWS_OF_MANY_PANELS = 192;

    /** The panels of a task with a whole block of K; the more, the fewer times A is read. */
    private static final int MAX_PANELS = 16;

    /** The same where a task packs all it needs: there are few tasks, and each more turns the same rows of A again. */
    private static final int MAX_TURNED_PANELS = 24;

    /** The row tiles of a task that pay for packing panels again. */
    private static final int MIN_TILES = 8;

    /** The panels that are packed at once where B is packed for all tasks. */
    private static final long SHARED_BYTES = 8 << 20;

    /** As many as that at least, however long they are: A is read once for each time. */
    private static final int MIN_SHARED_PANELS = 12;

    /** The blocks of K that are packed at once, at least: C is read and written once for each time. */
    private static final int MIN_SLICE = 4;

    private GemmKernels() {}

    static void matMul(MatMul c) {
        if (c.m() == 0 || c.n() == 0 || c.batch() == 0) {
            return;
        }
        if ((double) c.batch() * c.m() * c.n() * c.k() > WARMUP_WORK) {
            TileWarmup.once();
        }
        long b = c.b().address();
        if (c.storingB() == Storing.PACKED) {
            new Product(c, 0, Panels.count(c.n()), 0, c.k(), b, c.strideB() * 4).run();
            return;
        }
        int panels = Panels.count(c.n());
        boolean shared = c.m() > MAX_ROWS || (c.batch() > 1 && c.strideB() == 0);
        if (!shared || (c.batch() > 1 && c.strideB() != 0)) {
            new Product(c, 0, panels, 0, c.k(), 0, 0).run();
            return;
        }
        int slice = slice(c, panels);
        long fitting = SHARED_BYTES / Math.max(1, slice * ROW_BYTES);
        int atOnce = evenly(panels, (int) Math.clamp(fitting, Math.min(MIN_SHARED_PANELS, panels), panels));
        long packed = Scratch.address(Scratch.Use.PANELS, atOnce * slice * ROW_BYTES);
        boolean transposed = c.storingB() == Storing.TRANSPOSED;
        for (int first = 0; first < panels; first += atOnce) {
            int count = Math.min(atOnce, panels - first);
            int k0 = 0;
            do {
                int depth = Math.min(slice, c.k() - k0);
                long from = b + k0 * (transposed ? 4 : c.ldb() * 4);
                pack(transposed, depth, c.n(), from, c.ldb() * 4, first, count, packed);
                new Product(c, first, count, k0, depth, packed, 0).run();
                k0 += depth;
            } while (k0 < c.k());
        }
    }

    /**
     * The steps of K that are packed at once: all, or few enough for all panels, so that A is read once. Sums to which an old value is
     * added last cannot wait in C.
     */
    private static int slice(MatMul c, int panels) {
        int blocks = (c.k() + K_BLOCK - 1) / K_BLOCK;
        if (blocks <= MIN_SLICE || c.accumulate()) {
            return c.k();
        }
        long most = Math.clamp(SHARED_BYTES / (panels * ROW_BYTES * K_BLOCK), MIN_SLICE, blocks);
        return Math.min(c.k(), evenly(blocks, (int) most) * K_BLOCK);
    }

    /** The size of parts of at most {@code most} that are about the same. */
    private static int evenly(int all, int most) {
        int parts = (all + most - 1) / most;
        return (all + parts - 1) / parts;
    }

    static void packMatrix(PackMatrix c) {
        pack(
                c.transposed(),
                c.k(),
                c.n(),
                c.b().address(),
                c.ldb() * 4,
                0,
                Panels.count(c.n()),
                c.packed().address());
    }

    private static void pack(boolean transposed, int k, int n, long b, long ldb, int first, int count, long packed) {
        int last = first + count;
        int whole = transposed ? first : Math.min(last, n / Panels.WIDTH);
        int slices = whole > first ? (k + PACK_ROWS - 1) / PACK_ROWS : 0;
        // Whole panels of a plain matrix are packed some rows at a time, all others one by one.
        IntConsumer task = i -> {
            if (i < slices) {
                int row = i * PACK_ROWS;
                long to = packed + row * ROW_BYTES;
                Panels.packRows(
                        Math.min(PACK_ROWS, k - row),
                        whole - first,
                        b + row * ldb + first * ROW_BYTES,
                        ldb,
                        to,
                        k * ROW_BYTES);
                return;
            }
            int panel = whole + i - slices;
            int col = panel * Panels.WIDTH;
            int cols = Math.min(Panels.WIDTH, n - col);
            Panels.pack(
                    transposed,
                    k,
                    cols,
                    b + col * (transposed ? ldb : 4),
                    ldb,
                    packed + (panel - first) * k * ROW_BYTES);
        };
        int tasks = slices + last - whole;
        if ((long) k * count * Panels.WIDTH < 30_000) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
        } else {
            WorkerPool.parallel(tasks, task);
        }
    }

    /** The product of some steps of K with some panels of B, cut into tasks of some rows and some panels. */
    private static final class Product implements IntConsumer {
        private final MatMul call;
        private final int firstPanel;
        private final int panels;
        private final int firstK;
        private final int depth;
        /** The packed panels, or 0 if each task packs what it needs. */
        private final long packed;

        private final long packedStride;
        private int rowsPerTask;
        private int panelsPerTask;
        private int rowTasks;
        private int panelTasks;

        Product(MatMul call, int firstPanel, int panels, int firstK, int depth, long packed, long packedStride) {
            this.call = call;
            this.firstPanel = firstPanel;
            this.panels = panels;
            this.firstK = firstK;
            this.depth = depth;
            this.packed = packed;
            this.packedStride = packedStride;
        }

        void run() {
            int height = GemmTiles.HEIGHT;
            int rowTiles = (call.m() + height - 1) / height;
            double flops = 2.0 * call.batch() * call.m() * panels * Panels.WIDTH * Math.max(1, depth);
            int threads = WorkerPool.threads();
            // What a task packs itself, other tasks may pack again.
            int many = call.transA() ? threads : 4 * threads;
            double wanted = threads == 1 ? 1 : Math.min(flops / MIN_FLOPS_PER_TASK, many);
            int most = packed == 0 && call.transA() ? MAX_TURNED_PANELS : MAX_PANELS;
            panelsPerTask = evenly(panels, Math.min(panels, most * K_BLOCK / Math.clamp(depth, 1, K_BLOCK)));
            int tiles = evenly(rowTiles, Math.min(rowTiles, maxRows() / height));
            while (true) {
                rowTasks = (rowTiles + tiles - 1) / tiles;
                panelTasks = (panels + panelsPerTask - 1) / panelsPerTask;
                if ((double) rowTasks * panelTasks * call.batch() >= wanted || (tiles == 1 && panelsPerTask == 1)) {
                    break;
                }
                boolean rows = call.transA()
                        ? tiles > MIN_TILES
                        : packed != 0 && tiles * height > panelsPerTask * Panels.WIDTH;
                if (tiles > 1 && (rows || panelsPerTask == 1)) {
                    tiles = (tiles + 1) / 2;
                } else {
                    panelsPerTask = (panelsPerTask + 1) / 2;
                }
            }
            rowsPerTask = tiles * height;
            int tasks = Math.multiplyExact(Math.multiplyExact(rowTasks, panelTasks), call.batch());
            if (flops < 2 * MIN_FLOPS_PER_TASK) {
                for (int i = 0; i < tasks; i++) {
                    accept(i);
                }
            } else {
                WorkerPool.parallel(tasks, this);
            }
        }

        private int maxRows() {
            if (packed == 0 || call.transA()) {
                return MAX_ROWS;
            }
            return panelsPerTask > GemmBlock.MANY_PANELS ? MAX_ROWS_OF_MANY_PANELS : MAX_UNPACKED_ROWS;
        }

        @Override
        public void accept(int task) {
            int matrix = task / (rowTasks * panelTasks);
            int within = task % (rowTasks * panelTasks);
            int row = within % rowTasks * rowsPerTask;
            int panel = within / rowTasks * panelsPerTask;
            int rows = Math.min(rowsPerTask, call.m() - row);
            int count = Math.min(panelsPerTask, panels - panel);
            long b = packed == 0 ? 0 : packed + matrix * packedStride + (long) panel * depth * ROW_BYTES;
            new GemmBlock(call, matrix, row, rows, firstPanel + panel, count, firstK, depth, b).run();
        }
    }

    /** Sums {@value #SUM_BLOCK} rows at a time, to lose fewer digits, each column in order of the rows. */
    static void sumRows(SumRows c) {
        int width = 4 * LANES;
        IntConsumer task = i -> {
            int col = i * width;
            sumColumns(c, col, Math.min(width, c.n() - col));
        };
        int tasks = (c.n() + width - 1) / width;
        if ((long) c.m() * c.n() < 50_000) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
        } else {
            WorkerPool.parallel(tasks, task);
        }
    }

    private static void sumColumns(SumRows c, int col, int cols) {
        long ldx = c.ldx() * 4;
        long out = c.out().plus(col).address();
        long total = Scratch.address(Scratch.Use.SUMS, 8L * BYTES);
        long sums = total + 4L * BYTES;
        for (int row = 0; row < c.m() || row == 0; row += SUM_BLOCK) {
            long x = c.x().plus(row * c.ldx() + col).address();
            int rows = Math.min(SUM_BLOCK, c.m() - row);
            if (cols == 4 * LANES) {
                sumBlock(rows, x, ldx, sums);
            } else {
                sumEdge(rows, cols, x, ldx, sums);
            }
            Panels.finish(1, cols, sums, 0, row == 0 ? NOTHING : total, 0, NOTHING, 0, total, 0);
        }
        Panels.finish(1, cols, total, 0, c.accumulate() ? out : NOTHING, 0, NOTHING, 0, out, 0);
    }

    private static void sumBlock(int rows, long x, long ldx, long sums) {
        FloatVector zero = FloatVector.zero(Simd.F);
        FloatVector s0 = zero, s1 = zero, s2 = zero, s3 = zero;
        for (int i = 0; i < rows; i++) {
            long at = x + i * ldx;
            s0 = s0.add(load(at));
            s1 = s1.add(load(at + BYTES));
            s2 = s2.add(load(at + 2L * BYTES));
            s3 = s3.add(load(at + 3L * BYTES));
        }
        store(s0, sums);
        store(s1, sums + BYTES);
        store(s2, sums + 2L * BYTES);
        store(s3, sums + 3L * BYTES);
    }

    private static void sumEdge(int rows, int cols, long x, long ldx, long sums) {
        for (int j = 0; j < cols; j++) {
            float sum = 0;
            for (int i = 0; i < rows; i++) {
                sum += Simd.getFloat(x + i * ldx + j * 4L);
            }
            Simd.setFloat(sums + j * 4L, sum);
        }
    }
}
