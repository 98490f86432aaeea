package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.Layout;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Copies between any two orders of dimensions, bit for bit as the scalar twin copies. */
class TransposeTests {
    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(9);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 64, 207, 702})
    void matrices(int n) {
        for (int rows : new int[] {1, 3, 64, 65, 131}) {
            WorkerPool.setThreads(1 + rows % 2);
            int wide = n + 5;
            check(new long[] {n, rows}, new long[] {1, wide}, rows * wide);
            check(new long[] {2, n, rows}, new long[] {(long) rows * wide, 1, wide}, 2 * rows * wide);
            check(new long[] {n, 2, rows}, new long[] {1, (long) rows * wide, wide}, 2 * rows * wide);
        }
    }

    @Test
    void everyOrderOfFourDimensions() {
        WorkerPool.setThreads(2);
        long[] sizes = {3, 66, 5, 70};
        long[] strides = Layout.contiguous(sizes).strides();
        for (int order = 0; order < 256; order++) {
            int[] dims = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
            if ((1 << dims[0] | 1 << dims[1] | 1 << dims[2] | 1 << dims[3]) == 15) {
                long[] shape = new long[4];
                long[] from = new long[4];
                for (int d = 0; d < 4; d++) {
                    shape[d] = sizes[dims[d]];
                    from[d] = strides[dims[d]];
                }
                check(shape, from, (int) Layout.count(sizes));
            }
        }
    }

    /** From memory with an offset, to memory with gaps that stay as they are; and the same adding up. */
    private void check(long[] shape, long[] strideFrom, int length) {
        try (Scope _ = Scope.open()) {
            long[] gaps = shape.clone();
            gaps[gaps.length - 1] += 3;
            long[] strideTo = Layout.contiguous(gaps).strides();
            int n = (int) Layout.count(gaps);
            Buffer from = TestMemory.gaussian(random, length + 3).plus(3);
            for (boolean accumulate : new boolean[] {false, true}) {
                Buffer expected = TestMemory.gaussian(random, n);
                Buffer found = TestMemory.copy(expected, n);
                Twins.SCALAR.run(new Copy(shape, from, strideFrom, expected, strideTo, accumulate));
                Twins.VECTOR.run(new Copy(shape, from, strideFrom, found, strideTo, accumulate));
                assertThat(TestMemory.read(found, n)).isEqualTo(TestMemory.read(expected, n));
            }
        }
    }
}
