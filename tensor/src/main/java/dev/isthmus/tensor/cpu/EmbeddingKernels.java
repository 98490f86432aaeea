package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;

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
                NormLoops.add(c.cols(), table + id(ids, i) * row, out + i * row, c.accumulate());
            }
        });
    }

    static void embeddingBackward(EmbeddingBackward c) {
        long row = c.cols() * 4L;
        long ids = c.ids().address();
        long dOut = c.dOut().address();
        long dTable = c.dTable().address();
        if (!c.accumulate()) {
            Rows.parallel(
                    c.words(),
                    c.cols(),
                    (from, to) ->
                            MEM.asSlice(dTable + from * row, (to - from) * row).fill((byte) 0));
        }
        WorkerPool.parallel((c.cols() + COLUMNS - 1) / COLUMNS, task -> {
            int n = Math.min(COLUMNS, c.cols() - task * COLUMNS);
            long column = task * COLUMNS * 4L;
            for (int i = 0; i < c.rows(); i++) {
                NormLoops.add(n, dOut + i * row + column, dTable + id(ids, i) * row + column, true);
            }
        });
    }

    private static long id(long ids, int i) {
        return MEM.get(ValueLayout.JAVA_INT_UNALIGNED, ids + i * 4L);
    }
}
