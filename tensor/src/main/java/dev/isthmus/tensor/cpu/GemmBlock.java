package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.MatMul.K_BLOCK;
import static dev.isthmus.tensor.cpu.Panels.NOTHING;
import static dev.isthmus.tensor.cpu.Panels.ROW_BYTES;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;

/** The product of some rows of A with some panels of B: the work of one task. */
final class GemmBlock {
    private static final int HEIGHT = GemmTiles.HEIGHT;
    private static final int WIDTH = GemmTiles.WIDTH;

    /** With more panels than these, a block is done a few rows of tiles at a time, not panel by panel. */
    static final int MANY_PANELS = 8;

    /** The rows of tiles that share a panel in turn: it comes from the second cache once for them. Two to six tiles do about the same. */
    private static final int ROWS_AT_ONCE = 4 * HEIGHT;

    /** With fewer panels than these, beside other tasks with the same rows, reading A ahead costs a tenth of the time. */
    private static final int FEW_PANELS = 4;

    private final MatMul call;
    private final int matrix;
    private final int row;
    private final int rows;
    private final int panel;
    private final int panels;
    private final int cols;
    private final int firstK;
    private final int lastK;
    private final long packed;

    // Where the current block of K stands.
    private int depth;
    private long a;
    private long lda;
    private long b;
    private long panelStride;
    private Rows p = Rows.NONE;
    private Rows q = Rows.NONE;
    private Rows d = Rows.NONE;

    /** Takes packed panels of some steps of K at {@code packed}, or 0 to pack what it needs. */
    GemmBlock(MatMul call, int matrix, int row, int rows, int panel, int panels, int firstK, int countK, long packed) {
        this.call = call;
        this.matrix = matrix;
        this.row = row;
        this.rows = rows;
        this.panel = panel;
        this.panels = panels;
        this.firstK = firstK;
        this.lastK = firstK + countK;
        this.packed = packed;
        this.cols = Math.min(panels * Panels.WIDTH, call.n() - panel * Panels.WIDTH);
    }

    void run() {
        int k = call.k();
        int col = panel * Panels.WIDTH;
        Rows old = new Rows(
                call.c().address() + (matrix * call.strideC() + row * call.ldc() + col) * 4, call.ldc() * 4, 4);
        Buffer biasBuffer = call.bias();
        Rows bias =
                biasBuffer == null ? Rows.NONE : new Rows(biasBuffer.plus(col).address(), 0, 4);
        // Sums of several blocks grow in C itself, or aside while C's old value is still needed.
        boolean aside = call.accumulate() && k > K_BLOCK;
        long asideBytes = panels * ROW_BYTES;
        d = aside ? new Rows(Scratch.address(Scratch.Use.SUMS, rows * asideBytes), asideBytes, 4) : old;
        int k0 = firstK;
        do {
            depth = Math.min(K_BLOCK, lastK - k0);
            p = k0 > 0 ? d : Rows.NONE;
            q = k0 + depth == k ? bias : Rows.NONE;
            if (call.accumulate() && !aside) {
                p = bias;
                q = old;
            }
            if (p == Rows.NONE) {
                p = q;
                q = Rows.NONE;
            }
            blockOfK(k0);
            k0 += depth;
        } while (k0 < lastK);
        if (aside) {
            for (int j = 0; j < cols; j += Panels.WIDTH) {
                Panels.finish(
                        rows,
                        Math.min(Panels.WIDTH, cols - j),
                        d.col(j),
                        d.ld,
                        old.col(j),
                        old.ld,
                        NOTHING,
                        0,
                        old.col(j),
                        old.ld);
            }
        }
    }

    private void blockOfK(int k0) {
        if (packed == 0) {
            packPanels(k0);
        } else {
            panelStride = (lastK - firstK) * ROW_BYTES;
            b = packed + (k0 - firstK) * ROW_BYTES;
        }
        lda = call.lda() * 4;
        a = call.a().address() + matrix * call.strideA() * 4;
        int whole = rows - rows % HEIGHT;
        if (call.transA()) {
            turn(whole, a + k0 * lda + row * 4L);
        } else {
            a += row * lda + k0 * 4L;
            if (panels >= FEW_PANELS || cols == call.n()) {
                ReadAhead.matrix(rows, depth, a, lda);
            }
        }
        wholeTiles(whole);
        if (whole < rows) {
            if (call.transA()) {
                lastTile(whole);
            } else if (rows - whole == 1) {
                oneRow(whole);
            } else if (rows - whole <= 4) {
                fourRows(whole);
            } else {
                long copy = Scratch.address(Scratch.Use.ROWS, HEIGHT * K_BLOCK * 4L);
                Panels.copy(rows - whole, depth, a + whole * lda, lda, copy, K_BLOCK * 4L);
                a = copy;
                lda = K_BLOCK * 4L;
                lastTile(whole);
            }
        }
    }

    private void packPanels(int k0) {
        panelStride = depth * ROW_BYTES;
        b = Scratch.address(Scratch.Use.PANEL_BLOCK, panels * panelStride);
        long ldb = call.ldb() * 4;
        long from = call.b().address() + matrix * call.strideB() * 4;
        boolean transposed = call.storingB() == Storing.TRANSPOSED;
        int first = 0;
        if (!transposed) {
            first = cols / Panels.WIDTH;
            Panels.packRows(depth, first, from + k0 * ldb + panel * ROW_BYTES, ldb, b, panelStride);
        }
        for (int i = first; i < panels; i++) {
            int col = (panel + i) * Panels.WIDTH;
            long at = transposed ? from + col * ldb + k0 * 4L : from + k0 * ldb + col * 4L;
            Panels.pack(transposed, depth, Math.min(Panels.WIDTH, call.n() - col), at, ldb, b + i * panelStride);
        }
    }

    private void turn(int whole, long from) {
        long stride = Panels.turnedStride(depth);
        a = Scratch.address(Scratch.Use.A_BLOCK, (rows / HEIGHT + 1) * stride);
        Panels.turn(depth, whole / HEIGHT, from, lda, a);
        if (whole < rows) {
            Panels.turnEdge(depth, rows - whole, from + whole * 4L, lda, a + whole / HEIGHT * stride);
        }
    }

    private void tile(int i, long b, long p, long ldp, long d, long ldd) {
        if (call.transA()) {
            GemmTiles.turnedTile(depth, a + i / HEIGHT * Panels.turnedStride(depth), b, p, ldp, d, ldd);
        } else {
            GemmTiles.tile(depth, a + i * lda, lda, b, p, ldp, d, ldd);
        }
    }

    /**
     * Tiles side by side go along rows of C, so that the processor fetches the lines ahead that they will write, a few rows of tiles
     * at a time. Where panels are few, each is done with all rows.
     */
    private void wholeTiles(int whole) {
        int step = panels > MANY_PANELS ? ROWS_AT_ONCE : rows;
        for (int first = 0; first < whole; first += step) {
            int end = Math.min(whole, first + step);
            for (int col = 0; col < cols; col += WIDTH) {
                for (int i = first; i < end; i += HEIGHT) {
                    wholeTile(i, col);
                }
            }
            addLater(first, end - first);
        }
    }

    /** Adds what comes second to whole tiles whose sums grew where they are stored: whole rows take less than tiles. */
    private void addLater(int i, int count) {
        if (q != Rows.NONE && p == d) {
            Panels.add(count, cols - cols % WIDTH, d.at(i, 0), d.ld, q.at(i, 0), q.ld);
        }
    }

    private void wholeTile(int i, int col) {
        if (cols - col >= WIDTH && (q == Rows.NONE || p == d)) {
            tile(i, columns(col), p.at(i, col), p.ld, d.at(i, col), d.ld);
        } else {
            long ld = WIDTH * 4L;
            long sums = Scratch.address(Scratch.Use.TILE, HEIGHT * ld);
            tile(i, columns(col), NOTHING, 0, sums, ld);
            finish(i, HEIGHT, col, sums, ld);
        }
    }

    /** Fewer rows than a tile has, of which {@link #a} holds as many as a tile. */
    private void lastTile(int whole) {
        long ld = WIDTH * 4L;
        long sums = Scratch.address(Scratch.Use.TILE, HEIGHT * ld);
        for (int col = 0; col < cols; col += WIDTH) {
            tile(call.transA() ? whole : 0, columns(col), NOTHING, 0, sums, ld);
            finish(whole, rows - whole, col, sums, ld);
        }
    }

    private void fourRows(int whole) {
        int count = rows - whole;
        long ld = 2L * WIDTH * 4;
        long sums = Scratch.address(Scratch.Use.TILE, 4 * ld);
        long a0 = a + whole * lda;
        long a3 = a + (rows - 1) * lda;
        for (int col = 0; col < cols; col += 2 * WIDTH) {
            GemmTiles.fourRows(
                    depth, a0, a0 + lda, count > 2 ? a0 + 2 * lda : a3, a3, columns(col), columns(col + WIDTH), sums);
            finish(whole, count, col, sums, ld);
            finish(whole, count, col + WIDTH, sums + WIDTH * 4L, ld);
        }
    }

    private void oneRow(int whole) {
        long sums = Scratch.address(Scratch.Use.TILE, 4L * WIDTH * 4);
        for (int col = 0; col < cols; col += 4 * WIDTH) {
            GemmTiles.oneRow(
                    depth,
                    a + whole * lda,
                    columns(col),
                    columns(col + WIDTH),
                    columns(col + 2 * WIDTH),
                    columns(col + 3 * WIDTH),
                    sums);
            for (int j = 0; j < 4; j++) {
                finish(whole, 1, col + j * WIDTH, sums + j * WIDTH * 4L, 0);
            }
        }
    }

    /** Where a tile's columns stand in the packed panels; any of them if they are behind the end. */
    private long columns(int col) {
        return col >= cols ? b : b + col / Panels.WIDTH * panelStride + col % Panels.WIDTH * 4L;
    }

    private void finish(int i, int count, int col, long sums, long ld) {
        int width = Math.min(WIDTH, cols - col);
        if (width > 0) {
            Panels.finish(count, width, sums, ld, p.at(i, col), p.ld, q.at(i, col), q.ld, d.at(i, col), d.ld);
        }
    }

    /** Rows that are added to sums, or take them: where the first is, and how far it is to the next row and column. */
    private record Rows(long first, long ld, int step) {
        static final Rows NONE = new Rows(NOTHING, 0, 0);

        long at(int row, int col) {
            return first + row * ld + (long) col * step;
        }

        long col(int col) {
            return at(0, col);
        }
    }
}
