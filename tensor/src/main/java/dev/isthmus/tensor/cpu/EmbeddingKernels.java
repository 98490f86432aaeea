package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.Embedding;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import java.lang.foreign.ValueLayout;

/** Table look-ups and their gradient. */
final class EmbeddingKernels {
    /** The columns of a task of the gradient: each task adds up all rows, in order, in columns of its own. */
    private static final int COLUMNS = 64;

    private EmbeddingKernels() {}

    static void embedding(Embedding c) {
        long row = c.cols() * 4L;
        long table = c.table().address();
        long ids = c.ids().address();
        long out = c.out().address();
        Rows.parallel(c.rows(), 2 * c.cols(), (from, to) -> {
            for (int i = from; i < to; i++) {
                if (c.accumulate()) {
                    add(c.cols(), table + id(ids, i) * row, out + i * row);
                } else {
                    Panels.copy(1, c.cols(), table + id(ids, i) * row, 0, out + i * row, 0);
                }
            }
        });
    }

    static void embeddingBackward(EmbeddingBackward c) {
        long row = c.cols() * 4L;
        long ids = c.ids().address();
        long dOut = c.dOut().address();
        long dTable = c.dTable().address();
        if (!c.accumulate()) {
            Rows.parallel(c.words(), c.cols(), (from, to) -> MEM.asSlice(dTable + from * row, (to - from) * row).fill((byte) 0));
        }
        WorkerPool.parallel((c.cols() + COLUMNS - 1) / COLUMNS, task -> {
            int n = Math.min(COLUMNS, c.cols() - task * COLUMNS);
            long column = task * COLUMNS * 4L;
            for (int i = 0; i < c.rows(); i++) {
                add(n, dOut + i * row + column, dTable + id(ids, i) * row + column);
            }
        });
    }

    private static long id(long ids, int i) {
        return MEM.get(ValueLayout.JAVA_INT_UNALIGNED, ids + i * 4L);
    }

    private static void add(int n, long from, long to) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            store(load(to + j * 4L).add(load(from + j * 4L)), to + j * 4L);
        }
        for (int j = whole; j < n; j++) {
            setFloat(to + j * 4L, getFloat(to + j * 4L) + getFloat(from + j * 4L));
        }
    }
}
