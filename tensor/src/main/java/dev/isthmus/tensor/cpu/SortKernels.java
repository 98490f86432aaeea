package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Sort;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The order of 32-bit numbers: each becomes a long, an integer of the same order above and its place below, so that sorting longs
 * is stable.
 */
final class SortKernels {
    /** Below one in so many the first are found with a heap. */
    private static final int HEAP_SHARE = 8;

    private SortKernels() {}

    /** Whether there is a kernel for a type. */
    static boolean has(Sort c) {
        return c.x().dtype() == DType.FLOAT32 || c.x().dtype() == DType.INT32;
    }

    static void sort(Sort c) {
        long x = c.x().address();
        long index = c.index().address();
        boolean heap = c.k() <= c.cols() / HEAP_SHARE;
        boolean floats = c.x().dtype() == DType.FLOAT32;
        int flip = c.descending() ? -1 : 0;
        Rows.parallel(c.rows(), 16 * c.cols(), (from, to) -> {
            long[] first = new long[heap ? c.k() : c.cols()];
            for (int row = from; row < to; row++) {
                long at = x + (long) row * c.cols() * 4;
                if (heap) {
                    smallest(c.cols(), at, floats, flip, first);
                } else {
                    for (int i = 0; i < c.cols(); i++) {
                        first[i] = key(at, floats, flip, i);
                    }
                }
                Arrays.sort(first);
                for (int i = 0; i < c.k(); i++) {
                    MEM.set(ValueLayout.JAVA_INT_UNALIGNED, index + ((long) row * c.k() + i) * 4, (int) first[i]);
                }
            }
        });
    }

    /** Fills {@code heap} with the smallest of {@code n} keys; the root is the largest of them. */
    private static void smallest(int n, long x, boolean floats, int flip, long[] heap) {
        int k = heap.length;
        if (k == 0) {
            return;
        }
        for (int i = 0; i < k; i++) {
            heap[i] = key(x, floats, flip, i);
        }
        for (int i = k / 2 - 1; i >= 0; i--) {
            sink(heap, i, heap[i]);
        }
        for (int i = k; i < n; i++) {
            long key = key(x, floats, flip, i);
            if (key < heap[0]) {
                sink(heap, 0, key);
            }
        }
    }

    /** Puts {@code key} in place of {@code heap[hole]}, or below. */
    private static void sink(long[] heap, int hole, long key) {
        for (int child = 2 * hole + 1; child < heap.length; child = 2 * hole + 1) {
            if (child + 1 < heap.length && heap[child + 1] > heap[child]) {
                child++;
            }
            if (heap[child] <= key) {
                break;
            }
            heap[hole] = heap[child];
            hole = child;
        }
        heap[hole] = key;
    }

    private static long key(long x, boolean floats, int flip, int i) {
        int bits = MEM.get(ValueLayout.JAVA_INT_UNALIGNED, x + i * 4L);
        int order = floats ? order(Float.intBitsToFloat(bits)) : bits;
        return ((long) (order ^ flip) << 32) | i;
    }

    /** An integer of the same order; the zeros are equal, NaN is the largest. */
    private static int order(float x) {
        int bits = Float.floatToIntBits(x + 0.0f);
        return bits ^ (bits >> 31) & Integer.MAX_VALUE;
    }
}
