package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.MatMul.K_BLOCK;
import static dev.isthmus.tensor.cpu.Panels.NOTHING;
import static dev.isthmus.tensor.cpu.Panels.ROW_BYTES;

import dev.isthmus.tensor.Buffer;
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

    private static final int MAX_ROWS = 256;
    private static final int MAX_PANELS = 16;

    /** The panels that are packed at once where B is packed for all tasks. */
    private static final long SHARED_BYTES = 8 << 20;

    private GemmKernels() {}

    static void matMul(MatMul c) {
        if (c.m() == 0 || c.n() == 0 || c.batch() == 0) {
            return;
        }
        long b = c.b().address();
        if (c.storingB() == Storing.PACKED) {
            new Product(c, 0, Panels.count(c.n()), b, c.strideB() * 4).run();
            return;
        }
        int panels = Panels.count(c.n());
        boolean shared = c.m() > MAX_ROWS || (c.batch() > 1 && c.strideB() == 0);
        if (!shared || (c.batch() > 1 && c.strideB() != 0)) {
            new Product(c, 0, panels, 0, 0).run();
            return;
        }
        long panelBytes = c.k() * ROW_BYTES;
        int atOnce = (int) Math.clamp(SHARED_BYTES / Math.max(1, panelBytes), 1, panels);
        long packed = Scratch.address(Scratch.Use.PANELS, atOnce * panelBytes);
        for (int first = 0; first < panels; first += atOnce) {
            int count = Math.min(atOnce, panels - first);
            pack(c.storingB() == Storing.TRANSPOSED, c.k(), c.n(), b, c.ldb() * 4, first, count, packed);
            new Product(c, first, count, packed, 0).run();
        }
    }

    static void packMatrix(PackMatrix c) {
        pack(c.transposed(), c.k(), c.n(), c.b().address(), c.ldb() * 4, 0, Panels.count(c.n()), c.packed().address());
    }

    private static void pack(
            boolean transposed, int k, int n, long b, long ldb, int first, int count, long packed) {
        IntConsumer task = i -> {
            int col = (first + i) * Panels.WIDTH;
            int cols = Math.min(Panels.WIDTH, n - col);
            Panels.pack(transposed, k, cols, b + col * (transposed ? ldb : 4), ldb, packed + i * k * ROW_BYTES);
        };
        if ((long) k * count * Panels.WIDTH < 30_000) {
            for (int i = 0; i < count; i++) {
                task.accept(i);
            }
        } else {
            WorkerPool.parallel(count, task);
        }
    }

    /** The product with some panels of B, cut into tasks of some rows and some panels. */
    private static final class Product implements IntConsumer {
        private final MatMul call;
        private final int firstPanel;
        private final int panels;
        /** The packed panels, or 0 if each task packs what it needs. */
        private final long packed;
        private final long packedStride;
        private int rowsPerTask;
        private int panelsPerTask;
        private int rowTasks;
        private int panelTasks;

        Product(MatMul call, int firstPanel, int panels, long packed, long packedStride) {
            this.call = call;
            this.firstPanel = firstPanel;
            this.panels = panels;
            this.packed = packed;
            this.packedStride = packedStride;
        }

        void run() {
            int height = GemmTiles.HEIGHT;
            int rowTiles = (call.m() + height - 1) / height;
            double flops = 2.0 * call.batch() * call.m() * call.n() * Math.max(1, call.k());
            int threads = WorkerPool.threads();
            int wanted = threads == 1 ? 1 : (int) Math.min(flops / MIN_FLOPS_PER_TASK, 4.0 * threads);
            int tiles = Math.min(rowTiles, MAX_ROWS / height);
            panelsPerTask = Math.min(panels, MAX_PANELS);
            while (true) {
                rowTasks = (rowTiles + tiles - 1) / tiles;
                panelTasks = (panels + panelsPerTask - 1) / panelsPerTask;
                if ((long) rowTasks * panelTasks * call.batch() >= wanted || (tiles == 1 && panelsPerTask == 1)) {
                    break;
                }
                if (panelsPerTask > 1 && panelsPerTask * Panels.WIDTH >= tiles * height) {
                    panelsPerTask = (panelsPerTask + 1) / 2;
                } else if (tiles > 1) {
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

        @Override
        public void accept(int task) {
            int matrix = task / (rowTasks * panelTasks);
            int within = task % (rowTasks * panelTasks);
            int row = within % rowTasks * rowsPerTask;
            int panel = within / rowTasks * panelsPerTask;
            block(
                    matrix,
                    row,
                    Math.min(rowsPerTask, call.m() - row),
                    panel,
                    Math.min(panelsPerTask, panels - panel));
        }

        /** The product of some rows with some panels, one block of K after another. */
        private void block(int matrix, int row, int rows, int panel, int count) {
            int k = call.k();
            int col = (firstPanel + panel) * Panels.WIDTH;
            int cols = Math.min(count * Panels.WIDTH, call.n() - col);
            Addend old = new Addend(
                    call.c().address() + (matrix * call.strideC() + row * call.ldc() + col) * 4, call.ldc() * 4, 4);
            Buffer biasBuffer = call.bias();
            Addend bias = biasBuffer == null ? Addend.NONE : new Addend(biasBuffer.plus(col).address(), 0, 4);
            // Sums of several blocks grow in C itself, or aside while C's old value is still needed.
            boolean aside = call.accumulate() && k > K_BLOCK;
            Addend sums = aside ? Addend.scratch(rows, count * ROW_BYTES) : old;
            int k0 = 0;
            do {
                int depth = Math.min(K_BLOCK, k - k0);
                Addend p = k0 > 0 ? sums : Addend.NONE;
                Addend q = k0 + depth == k ? bias : Addend.NONE;
                if (call.accumulate() && !aside) {
                    p = bias;
                    q = old;
                }
                blockOfK(matrix, row, rows, panel, count, cols, k0, depth, p, q, sums);
                k0 += depth;
            } while (k0 < k);
            if (aside) {
                GemmTiles.add(rows, cols, sums.at, sums.ld, old.at, old.ld);
            }
        }

        private void blockOfK(
                int matrix,
                int row,
                int rows,
                int panel,
                int count,
                int cols,
                int k0,
                int depth,
                Addend p,
                Addend q,
                Addend d) {
            long b = packed + matrix * packedStride + ((long) panel * call.k() + k0) * ROW_BYTES;
            long panelStride = call.k() * ROW_BYTES;
            if (packed == 0) {
                panelStride = depth * ROW_BYTES;
                b = Scratch.address(Scratch.Use.PANEL_BLOCK, count * panelStride);
                packPanels(matrix, panel, count, k0, depth, b);
            }
            long lda = call.lda() * 4;
            long a = call.a().address() + matrix * call.strideA() * 4;
            if (call.transA()) {
                a += k0 * lda + row * 4L;
                long turned = Scratch.address(Scratch.Use.A_BLOCK, rows * K_BLOCK * 4L);
                Panels.transpose(depth, rows, a, lda, turned, K_BLOCK * 4L);
                a = turned;
                lda = K_BLOCK * 4L;
            } else {
                a += row * lda + k0 * 4L;
            }
            int whole = rows - rows % GemmTiles.HEIGHT;
            for (int i = 0; i < count; i++) {
                for (int j = 0; j < Panels.WIDTH && i * Panels.WIDTH + j < cols; j += GemmTiles.WIDTH) {
                    int col = i * Panels.WIDTH + j;
                    int width = Math.min(GemmTiles.WIDTH, cols - col);
                    strip(whole, width, depth, a, lda, b + i * panelStride + j * 4L, p.col(col), q.col(col), d.col(col));
                }
            }
            if (whole < rows) {
                a += whole * lda;
                lastRows(rows - whole, cols, depth, a, lda, b, panelStride, p.row(whole), q.row(whole), d.row(whole));
            }
        }

        private void packPanels(int matrix, int panel, int count, int k0, int depth, long to) {
            long ldb = call.ldb() * 4;
            long b = call.b().address() + matrix * call.strideB() * 4;
            boolean transposed = call.storingB() == Storing.TRANSPOSED;
            for (int i = 0; i < count; i++) {
                int col = (firstPanel + panel + i) * Panels.WIDTH;
                Panels.pack(
                        transposed,
                        depth,
                        Math.min(Panels.WIDTH, call.n() - col),
                        transposed ? b + col * ldb + k0 * 4L : b + k0 * ldb + col * 4L,
                        ldb,
                        to + i * depth * ROW_BYTES);
            }
        }

        /** Whole tiles of rows with the columns of one tile. */
        private static void strip(
                int rows, int width, int depth, long a, long lda, long b, Addend p, Addend q, Addend d) {
            int height = GemmTiles.HEIGHT;
            if (width == GemmTiles.WIDTH && p.at == NOTHING && q.at == NOTHING) {
                for (int i = 0; i < rows; i += height) {
                    GemmTiles.tile(height, depth, a + i * lda, lda, b, d.at + i * d.ld, d.ld);
                }
                return;
            }
            for (int i = 0; i < rows; i += height) {
                edge(height, height, width, depth, a + i * lda, lda, b, p.row(i), q.row(i), d.row(i));
            }
        }

        /** A tile of which only some rows and columns are stored. */
        private static void edge(
                int height, int rows, int width, int depth, long a, long lda, long b, Addend p, Addend q, Addend d) {
            long ld = GemmTiles.WIDTH * 4L;
            long sums = Scratch.address(Scratch.Use.TILE, height * ld);
            GemmTiles.tile(height, depth, a, lda, b, sums, ld);
            GemmTiles.finish(rows, width, sums, ld, p.at, p.ld, q.at, q.ld, d.at, d.ld);
        }

        /** Fewer rows than the large tile has. */
        private static void lastRows(
                int rows,
                int cols,
                int depth,
                long a,
                long lda,
                long b,
                long panelStride,
                Addend p,
                Addend q,
                Addend d) {
            if (rows == 1) {
                lastRow(cols, depth, a, b, panelStride, p, q, d);
                return;
            }
            // A copy gives the tile the rows that are missing here; what stands in them is not stored.
            int height = rows <= GemmTiles.SMALL ? GemmTiles.SMALL : GemmTiles.HEIGHT;
            long ld = K_BLOCK * 4L;
            long copy = Scratch.address(Scratch.Use.ROWS, GemmTiles.HEIGHT * ld);
            Panels.copy(rows, depth, a, lda, copy, ld);
            for (int col = 0; col < cols; col += GemmTiles.WIDTH) {
                int width = Math.min(GemmTiles.WIDTH, cols - col);
                long at = columns(b, panelStride, col, cols);
                edge(height, rows, width, depth, copy, ld, at, p.col(col), q.col(col), d.col(col));
            }
        }

        private static void lastRow(
                int cols, int depth, long a, long b, long panelStride, Addend p, Addend q, Addend d) {
            int width = GemmTiles.WIDTH;
            long sums = Scratch.address(Scratch.Use.TILE, 4L * width * 4);
            for (int col = 0; col < cols; col += 4 * width) {
                GemmTiles.row(
                        depth,
                        a,
                        columns(b, panelStride, col, cols),
                        columns(b, panelStride, col + width, cols),
                        columns(b, panelStride, col + 2 * width, cols),
                        columns(b, panelStride, col + 3 * width, cols),
                        sums);
                for (int j = 0; j < 4 * width && col + j < cols; j += width) {
                    Addend pj = p.col(col + j);
                    Addend qj = q.col(col + j);
                    Addend dj = d.col(col + j);
                    GemmTiles.finish(
                            1, Math.min(width, cols - col - j), sums + j * 4L, 0, pj.at, 0, qj.at, 0, dj.at, 0);
                }
            }
        }

        /** Where the tile of columns that begins with {@code col} stands; any place behind the end. */
        private static long columns(long b, long panelStride, int col, int cols) {
            return col >= cols ? b : b + col / Panels.WIDTH * panelStride + col % Panels.WIDTH * 4L;
        }
    }

    /** Rows that are added to the sums, or take them: an address, and how far it is to the next row and column. */
    private record Addend(long at, long ld, int step) {
        static final Addend NONE = new Addend(NOTHING, 0, 0);

        static Addend scratch(int rows, long ld) {
            return new Addend(Scratch.address(Scratch.Use.SUMS, rows * ld), ld, 4);
        }

        Addend col(int col) {
            return new Addend(at + (long) col * step, ld, step);
        }

        Addend row(int row) {
            return new Addend(at + row * ld, ld, step);
        }
    }

    static void sumRows(SumRows c) {
        // Each task sums whole columns, in order of the rows.
        int columns = 64;
        int tasks = (c.n() + columns - 1) / columns;
        IntConsumer task = i -> {
            int col = i * columns;
            sumColumns(
                    c.m(),
                    Math.min(columns, c.n() - col),
                    c.x().plus(col).address(),
                    c.ldx() * 4,
                    c.out().plus(col).address(),
                    c.accumulate());
        };
        if ((long) c.m() * c.n() < 50_000) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
        } else {
            WorkerPool.parallel(tasks, task);
        }
    }

    private static void sumColumns(int m, int n, long x, long ldx, long out, boolean accumulate) {
        int whole = Simd.F.loopBound(n);
        for (int j = 0; j < whole; j += Simd.LANES) {
            sumVector(m, x + j * 4L, ldx, out + j * 4L, accumulate);
        }
        for (int j = whole; j < n; j++) {
            float sum = 0;
            for (int i = 0; i < m; i++) {
                sum += Simd.getFloat(x + i * ldx + j * 4L);
            }
            Simd.setFloat(out + j * 4L, accumulate ? Simd.getFloat(out + j * 4L) + sum : sum);
        }
    }

    private static void sumVector(int m, long x, long ldx, long out, boolean accumulate) {
        FloatVector sum = FloatVector.zero(Simd.F);
        for (int i = 0; i < m; i++) {
            sum = sum.add(Simd.load(x + i * ldx));
        }
        Simd.store(accumulate ? Simd.load(out).add(sum) : sum, out);
    }
}
