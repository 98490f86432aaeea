package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.Scan;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Reductions of the vector twin against the scalar twin. */
class ReductionKernelsTests {
    private static final int[][] SHAPES = {
        {1, 1, 1},
        {1, 7, 1},
        {3, 13, 1},
        {5, 207, 1},
        {9, 702, 1},
        {2, 4097, 1},
        {1, 100_001, 1},
        {3, 70_003, 1},
        {2000, 5, 1},
        {1, 7, 13},
        {2, 207, 7},
        {3, 702, 33},
        {1, 300, 2500},
        {4, 1, 16},
        {0, 5, 3}
    };

    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(5);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @ParameterizedTest
    @EnumSource
    void reduce(ReduceOp op) {
        boolean index = op == ReduceOp.ARGMAX || op == ReduceOp.ARGMIN;
        for (int[] s : SHAPES) {
            try (Scope _ = Scope.open()) {
                int n = s[0] * s[1] * s[2];
                int results = s[0] * s[2];
                Buffer x = numbers(op, n + 3).plus(3);
                double tolerance = op == ReduceOp.SUM ? 1e-6 * Math.sqrt(s[1]) : op == ReduceOp.PROD ? 4e-6 : 0;
                Twins.check(tolerance, device -> {
                    Buffer out = TestMemory.allocate(index ? DType.INT32 : DType.FLOAT32, results);
                    device.run(new Reduce(op, s[0], s[1], s[2], x, out));
                    float[] values = new float[results];
                    for (int i = 0; i < results; i++) {
                        values[i] = (float) Numbers.get(out, i);
                    }
                    return values;
                });
            }
        }
    }

    @Test
    void nanIsTheExtreme() {
        for (int at : new int[] {0, 5, 16, 206, 5000, 40_000, 69_999}) {
            try (Scope _ = Scope.open()) {
                float[] values = new float[70_000];
                for (int i = 0; i < values.length; i++) {
                    values[i] = i == at || i == 65_000 ? Float.NaN : i % 100;
                }
                Buffer x = TestMemory.of(values);
                for (ReduceOp op : new ReduceOp[] {ReduceOp.MAX, ReduceOp.MIN}) {
                    assertThat(single(Twins.VECTOR, op, values.length, x, DType.FLOAT32))
                            .isNaN();
                }
                for (ReduceOp op : new ReduceOp[] {ReduceOp.ARGMAX, ReduceOp.ARGMIN}) {
                    assertThat(single(Twins.VECTOR, op, values.length, x, DType.INT32))
                            .isEqualTo(Math.min(at, 65_000));
                }
            }
        }
    }

    @Test
    void theFirstOfEqualExtremes() {
        try (Scope _ = Scope.open()) {
            float[] values = new float[70_000];
            values[40_000] = 3;
            values[40_017] = 3;
            values[66_000] = 3;
            assertThat(single(Twins.VECTOR, ReduceOp.ARGMAX, values.length, TestMemory.of(values), DType.INT32))
                    .isEqualTo(40_000);
        }
    }

    private static double single(Device device, ReduceOp op, int n, Buffer x, DType type) {
        Buffer out = TestMemory.allocate(type, 1);
        device.run(new Reduce(op, 1, n, 1, x, out));
        return Numbers.get(out, 0);
    }

    @ParameterizedTest
    @EnumSource(names = {"SUM", "PROD"})
    void scan(ReduceOp op) {
        for (int[] s : SHAPES) {
            for (boolean reverse : new boolean[] {false, true}) {
                try (Scope _ = Scope.open()) {
                    int n = s[0] * s[1] * s[2];
                    Buffer x = numbers(op, n + 1).plus(1);
                    Twins.check(4e-6 * Math.sqrt(s[1]), device -> {
                        Buffer y = Twins.filled(n + 1);
                        device.run(new Scan(op, s[0], s[1], s[2], x, y, reverse));
                        float[] result = TestMemory.read(y, n + 1);
                        assertThat(result[n]).isEqualTo(77.25f);
                        Buffer inPlace = TestMemory.copy(x, n);
                        device.run(new Scan(op, s[0], s[1], s[2], inPlace, inPlace, reverse));
                        assertThat(TestMemory.read(inPlace, n)).isEqualTo(Arrays.copyOf(result, n));
                        return result;
                    });
                }
            }
        }
    }

    @Test
    void oneOrderForAnyNumberOfThreads() {
        for (int[] s : SHAPES) {
            try (Scope _ = Scope.open()) {
                Buffer x = numbers(ReduceOp.SUM, s[0] * s[1] * s[2]);
                Buffer one = TestMemory.allocate(DType.FLOAT32, s[0] * s[2]);
                Buffer three = TestMemory.allocate(DType.FLOAT32, s[0] * s[2]);
                WorkerPool.setThreads(1);
                Twins.VECTOR.run(new Reduce(ReduceOp.SUM, s[0], s[1], s[2], x, one));
                WorkerPool.setThreads(3);
                Twins.VECTOR.run(new Reduce(ReduceOp.SUM, s[0], s[1], s[2], x, three));
                assertThat(TestMemory.read(three, s[0] * s[2])).isEqualTo(TestMemory.read(one, s[0] * s[2]));
            }
        }
    }

    /** Factors near 1, so that long products stay finite. */
    private Buffer numbers(ReduceOp op, int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            float v = (float) random.nextGaussian();
            x[i] = op == ReduceOp.PROD ? (float) Math.exp(v * 1e-3) * (i % 2 == 0 ? 1 : -1) : v;
        }
        return TestMemory.of(x);
    }
}
