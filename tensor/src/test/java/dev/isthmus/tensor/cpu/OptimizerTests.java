package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.AdamW;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.KernelCall.SumSquares;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class OptimizerTests {
    private static final int[] SIZES = {1, 7, 13, 207, 702, 32_768, 100_003};

    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(1);
    private final ScalarDevice scalar = new ScalarDevice();
    private final VectorDevice vector = new VectorDevice(scalar);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @Test
    void adamWEqualsTheScalarTwin() {
        for (int n : SIZES) {
            WorkerPool.setThreads(1 + n % 2);
            try (Scope _ = Scope.open()) {
                Buffer grad = TestMemory.gaussian(random, n + 1).plus(1);
                float[] start = TestMemory.read(TestMemory.gaussian(random, n), n);
                float[][] expected = steps(scalar, n, grad, start);
                float[][] actual = steps(vector, n, grad, start);
                for (int i = 0; i < 3; i++) {
                    for (int j = 0; j < n; j++) {
                        assertThat(actual[i][j]).isEqualTo(expected[i][j], within(2e-6f * (1 + Math.abs(expected[i][j]))));
                    }
                }
            }
        }
    }

    private static float[][] steps(Device device, int n, Buffer grad, float[] start) {
        Buffer param = TestMemory.of(start);
        Buffer m = TestMemory.of(new float[n]);
        Buffer v = TestMemory.of(new float[n]);
        for (int step = 1; step <= 3; step++) {
            device.run(new AdamW(n, param, grad, m, v, 1e-2, 0.9, 0.95, 1e-8, 0.1, step, 0.5));
        }
        return new float[][] {TestMemory.read(param, n), TestMemory.read(m, n), TestMemory.read(v, n)};
    }

    @Test
    void sumOfSquaresDoesNotDependOnThreads() {
        for (int n : SIZES) {
            try (Scope _ = Scope.open()) {
                Buffer x = TestMemory.gaussian(random, n + 1).plus(1);
                double expected = sumSquares(scalar, n, x);
                WorkerPool.setThreads(1);
                double one = sumSquares(vector, n, x);
                WorkerPool.setThreads(2);
                assertThat(sumSquares(vector, n, x)).isEqualTo(one).isEqualTo(expected, within(1e-12 * expected));
            }
        }
    }

    /** The same bits for every vector width: 16 partial sums of each chunk, added in order. */
    @Test
    void sumOfSquaresHasOneOrder() {
        int n = 1003;
        try (Scope _ = Scope.open()) {
            Buffer x = TestMemory.gaussian(random, n);
            double[] sums = new double[16];
            for (int i = 0; i < n; i++) {
                double value = TestMemory.read(x.plus(i), 1)[0];
                sums[i % 16] = Math.fma(value, value, sums[i % 16]);
            }
            double expected = 0;
            for (double s : sums) {
                expected += s;
            }
            assertThat(sumSquares(vector, n, x)).isEqualTo(expected);
        }
    }

    private static double sumSquares(Device device, int n, Buffer x) {
        Buffer out = TestMemory.allocate(DType.FLOAT64, 1);
        device.run(new SumSquares(n, x, out));
        return out.storage().segment().getAtIndex(ValueLayout.JAVA_DOUBLE, 0);
    }

    @Test
    void sumRowsEqualsTheScalarTwin() {
        for (int n : new int[] {1, 13, 64, 65, 207, 702}) {
            for (int m : new int[] {1, 7, 256, 700}) {
                for (boolean accumulate : new boolean[] {false, true}) {
                    try (Scope _ = Scope.open()) {
                        Buffer x = TestMemory.gaussian(random, m * (n + 2) + 1).plus(1);
                        Buffer expected = TestMemory.gaussian(random, n);
                        Buffer actual = TestMemory.copy(expected, n);
                        scalar.run(new SumRows(m, n, x, n + 2, expected, accumulate));
                        vector.run(new SumRows(m, n, x, n + 2, actual, accumulate));
                        float[] e = TestMemory.read(expected, n);
                        float[] a = TestMemory.read(actual, n);
                        for (int i = 0; i < n; i++) {
                            assertThat(a[i]).isEqualTo(e[i], within(1e-5f * (float) Math.sqrt(m)));
                        }
                    }
                }
            }
        }
    }
}
