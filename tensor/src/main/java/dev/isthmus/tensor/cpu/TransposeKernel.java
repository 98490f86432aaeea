package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.KernelCall.Copy;

/**
 * Copies in which the unit step changes from one dimension to another.
 *
 * <p>Blocks are so small that their lines stay in the cache, of the source and of the result, until all of each line is used.
 */
final class TransposeKernel {
    /** The rows and columns of a block. */
    static final int BLOCK = 64;

    private static final int BLOCKS_PER_TASK = 4;

    private TransposeKernel() {}

    /** The dimension along which the source has unit steps where the result has them along the last one; -1 if there is none. */
    static int turned(Copy c, RowLoop loop) {
        int last = loop.dims() - 1;
        if (!c.accumulate() && loop.step(1) == 1 && loop.step(0) != 1) {
            for (int d = 0; d < last; d++) {
                if (loop.stride(0, d) == 1) {
                    return d;
                }
            }
        }
        return -1;
    }

    static void copy(Copy c, RowLoop loop, int turned) {
        int last = loop.dims() - 1;
        long rows = loop.size(last);
        long cols = loop.size(turned);
        long down = (rows + BLOCK - 1) / BLOCK;
        long blocks = down * ((cols + BLOCK - 1) / BLOCK);
        long matrices = 1;
        for (int d = 0; d < last; d++) {
            matrices *= d == turned ? 1 : loop.size(d);
        }
        long count = matrices * blocks;
        WorkerPool.parallel(Math.toIntExact((count + BLOCKS_PER_TASK - 1) / BLOCKS_PER_TASK), task -> {
            long first = (long) task * BLOCKS_PER_TASK;
            for (long block = first; block < Math.min(count, first + BLOCKS_PER_TASK); block++) {
                long row = block % blocks % down * BLOCK;
                long col = block % blocks / down * BLOCK;
                long from = row * loop.step(0) + col;
                long to = row + col * loop.stride(1, turned);
                long matrix = block / blocks;
                for (int d = last - 1; d >= 0; d--) {
                    if (d != turned) {
                        from += matrix % loop.size(d) * loop.stride(0, d);
                        to += matrix % loop.size(d) * loop.stride(1, d);
                        matrix /= loop.size(d);
                    }
                }
                Panels.transpose(
                        (int) Math.min(BLOCK, rows - row),
                        (int) Math.min(BLOCK, cols - col),
                        c.from().plus(from).address(),
                        loop.step(0) * 4,
                        c.to().plus(to).address(),
                        loop.stride(1, turned) * 4);
            }
        });
    }
}
