package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Gather;
import dev.isthmus.tensor.KernelCall.Scatter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Elements picked by index, on all threads: whole rows where the index is the same for a row, else one by one. */
final class IndexKernels {
    private IndexKernels() {}

    static void gather(Gather c) {
        long[] dense = RowLoop.dense(c.shape());
        RowLoop loop = new RowLoop(c.shape(), still(c.strideX(), c.dim()), c.strideIndex(), dense);
        long bytes = c.out().dtype().bytes();
        long pick = c.strideX()[c.dim()] * bytes;
        long nextX = loop.step(0) * bytes;
        long nextIndex = loop.step(1);
        boolean rows = nextIndex == 0 && loop.step(0) == 1;
        Picks picks = new Picks(c.index());
        loop.run((n, at) -> {
            long x = c.x().plus(at[0]).address();
            long out = c.out().plus(at[2]).address();
            if (rows) {
                MemorySegment.copy(MEM, x + picks.at(at[1]) * pick, MEM, out, n * bytes);
                return;
            }
            for (int i = 0; i < n; i++) {
                move((int) bytes, x + i * nextX + picks.at(at[1] + i * nextIndex) * pick, out + i * bytes);
            }
        });
    }

    /** Whether there is a kernel for a type. */
    static boolean has(Scatter c) {
        return !c.accumulate() || c.x().dtype() == DType.FLOAT32 || c.x().dtype() == DType.FLOAT64;
    }

    /**
     * Tasks have lines of their own: all that is written along {@code dim} at some places of the other dimensions, in order.
     */
    static void scatter(Scatter c) {
        int dim = c.dim();
        long count = c.shape()[dim];
        long[] lines = c.shape().clone();
        lines[dim] = 1;
        RowLoop loop = new RowLoop(lines, c.strideX(), c.strideIndex(), c.strideSrc());
        long bytes = c.x().dtype().bytes();
        long pick = c.strideX()[dim] * bytes;
        long[] next = {loop.step(0) * bytes, loop.step(1), loop.step(2) * bytes};
        boolean rows = next[1] == 0 && loop.step(0) == 1 && loop.step(2) == 1;
        boolean float32 = c.x().dtype() == DType.FLOAT32;
        Picks picks = new Picks(c.index());
        loop.run(count, (n, at) -> {
            long x = c.x().plus(at[0]).address();
            for (long p = 0; rows && p < count; p++) {
                long to = x + picks.at(at[1] + p * c.strideIndex()[dim]) * pick;
                long from = c.src().plus(at[2] + p * c.strideSrc()[dim]).address();
                if (!c.accumulate()) {
                    MemorySegment.copy(MEM, from, MEM, to, n * bytes);
                } else if (float32) {
                    NormLoops.add(n, from, to, true);
                } else {
                    addDoubles(n, from, to);
                }
            }
            for (int i = 0; !rows && i < n; i++) {
                for (long p = 0; p < count; p++) {
                    long to = x + i * next[0] + picks.at(at[1] + i * next[1] + p * c.strideIndex()[dim]) * pick;
                    long from = c.src().plus(at[2] + p * c.strideSrc()[dim]).address() + i * next[2];
                    if (!c.accumulate()) {
                        move((int) bytes, from, to);
                    } else if (float32) {
                        Simd.setFloat(to, Simd.getFloat(to) + Simd.getFloat(from));
                    } else {
                        addDoubles(1, from, to);
                    }
                }
            }
        });
    }

    private static void addDoubles(int n, long from, long to) {
        for (int i = 0; i < n; i++) {
            double sum = MEM.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, to + i * 8L)
                    + MEM.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, from + i * 8L);
            MEM.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, to + i * 8L, sum);
        }
    }

    /** Strides with none along {@code dim}, where the index says the place. */
    private static long[] still(long[] strides, int dim) {
        long[] still = strides.clone();
        still[dim] = 0;
        return still;
    }

    private static void move(int bytes, long from, long to) {
        switch (bytes) {
            case 4 -> MEM.set(ValueLayout.JAVA_INT_UNALIGNED, to, MEM.get(ValueLayout.JAVA_INT_UNALIGNED, from));
            case 8 -> MEM.set(ValueLayout.JAVA_LONG_UNALIGNED, to, MEM.get(ValueLayout.JAVA_LONG_UNALIGNED, from));
            case 2 -> MEM.set(ValueLayout.JAVA_SHORT_UNALIGNED, to, MEM.get(ValueLayout.JAVA_SHORT_UNALIGNED, from));
            default -> MEM.set(ValueLayout.JAVA_BYTE, to, MEM.get(ValueLayout.JAVA_BYTE, from));
        }
    }

    /** The numbers of an index of either type. */
    private record Picks(long address, boolean wide) {
        Picks(Buffer index) {
            this(index.address(), index.dtype() == DType.INT64);
        }

        long at(long i) {
            return wide
                    ? MEM.get(ValueLayout.JAVA_LONG_UNALIGNED, address + i * 8)
                    : MEM.get(ValueLayout.JAVA_INT_UNALIGNED, address + i * 4);
        }
    }
}
