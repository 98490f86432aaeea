package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Gather;
import dev.isthmus.tensor.KernelCall.Scatter;
import dev.isthmus.tensor.KernelCall.Sort;
import dev.isthmus.tensor.Layout;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Gather, scatter and sort of the vector twin against the scalar twin: the same bits. */
class IndexTests {
    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(5);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    private int[] indices(int count, int size) {
        return random.ints(count, 0, size).toArray();
    }

    /** {@code x [rows, n]}, {@code index [rows, picks]} or for whole rows, of both types, and views with offset and stride. */
    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 207, 702})
    void gatherAndScatter(int n) {
        WorkerPool.setThreads(1 + n % 2);
        int rows = 37;
        try (Scope _ = Scope.open()) {
            for (DType type : new DType[] {DType.INT32, DType.INT64}) {
                Tensor wide = Tensor.of(
                        TestMemory.read(TestMemory.gaussian(random, rows * (n + 3)), rows * (n + 3)), rows, n + 3);
                Tensor lastDim = Tensor.of(indices(rows * 9, n), rows, 9).to(type);
                Tensor firstDim = Tensor.of(indices(50 * n, rows), 50, n).to(type);
                Tensor wholeRows = Tensor.of(indices(50, rows), 50, 1).to(type).expand(50, n);
                Tensor wholeColumns = Tensor.of(indices(50, n), 1, 50).to(type).expand(rows, 50);
                for (DType numbers : new DType[] {DType.FLOAT32, DType.FLOAT64, DType.INT64}) {
                    Tensor x = wide.mul(100).to(numbers).narrow(1, 2, n);
                    check(x, 1, lastDim);
                    check(x, 0, firstDim);
                    check(x, 0, wholeRows);
                    check(x, 1, wholeColumns);
                    check(x.t(), 1, wholeRows.t());
                    check(x.t(), 0, lastDim.t());
                }
            }
        }
    }

    private static void check(Tensor x, int dim, Tensor index) {
        Layout from = x.layout();
        Layout at = index.layout();
        int picked = (int) index.count();
        Buffer[] out = new Buffer[2];
        Arrays.setAll(out, _ -> TestMemory.allocate(x.dtype(), picked));
        Twins.SCALAR.run(new Gather(at.shape(), dim, x.buffer(), from.strides(), index.buffer(), at.strides(), out[0]));
        Twins.VECTOR.run(new Gather(at.shape(), dim, x.buffer(), from.strides(), index.buffer(), at.strides(), out[1]));
        assertThat(read(out[1], picked)).isEqualTo(read(out[0], picked));
        for (boolean accumulate : new boolean[] {false, true}) {
            Tensor[] to = new Tensor[2];
            for (int i = 0; i < 2; i++) {
                to[i] = Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
                Scatter call = new Scatter(
                        at.shape(),
                        dim,
                        to[i].buffer(),
                        to[i].layout().strides(),
                        index.buffer(),
                        at.strides(),
                        out[0],
                        Layout.contiguous(at.shape()).strides(),
                        accumulate);
                (i == 0 ? Twins.SCALAR : Twins.VECTOR).run(call);
            }
            assertThat(to[1].toDoubles()).isEqualTo(to[0].toDoubles());
            assertThat(to[1].toDoubles()).isNotEqualTo(accumulate ? x.toDoubles() : new double[0]);
        }
    }

    private static double[] read(Buffer buffer, int n) {
        double[] values = new double[n];
        Arrays.setAll(values, i -> Numbers.get(buffer, i));
        return values;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 207, 702})
    void sortAndTopk(int n) {
        WorkerPool.setThreads(2);
        int rows = 29;
        float[] values = new float[rows * n];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 11 == 3 ? Float.NaN : i % 7 == 2 ? -0f : Math.round(4 * random.nextGaussian());
        }
        try (Scope _ = Scope.open()) {
            Buffer x = Tensor.of(values, rows, n).buffer();
            Buffer whole = Tensor.of(values, rows, n)
                    .maskedFill(Tensor.zeros(DType.BOOL, 1), 0)
                    .to(DType.INT32)
                    .buffer();
            for (Buffer numbers : new Buffer[] {x, whole}) {
                for (int k : new int[] {0, 1, Math.min(5, n), n / 8, n / 2, n}) {
                    for (boolean descending : new boolean[] {false, true}) {
                        Buffer expected = TestMemory.allocate(DType.INT32, rows * k);
                        Buffer found = TestMemory.allocate(DType.INT32, rows * k);
                        Twins.SCALAR.run(new Sort(rows, n, k, descending, numbers, expected));
                        Twins.VECTOR.run(new Sort(rows, n, k, descending, numbers, found));
                        assertThat(read(found, rows * k)).isEqualTo(read(expected, rows * k));
                    }
                }
            }
        }
    }

    @Test
    void scatterAddHasOneOrder() {
        float[] results = null;
        try (Scope _ = Scope.open()) {
            Tensor src = Tensor.of(TestMemory.read(TestMemory.gaussian(random, 3000 * 70), 3000 * 70), 3000, 70);
            Tensor index = Tensor.of(indices(3000, 5), 3000);
            for (int t : new int[] {1, 2, 3}) {
                WorkerPool.setThreads(t);
                float[] sum = Tensor.zeros(DType.FLOAT32, 5, 70)
                        .indexAdd(0, index, src)
                        .toFloats();
                results = results == null ? sum : results;
                assertThat(sum).isEqualTo(results);
            }
        }
    }
}
