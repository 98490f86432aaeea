package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackMatrix;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every path of the vector product against the order of additions that {@link MatMul} prescribes, bit for bit. */
class MatMulTests {
    private static final int[] DEPTHS = {1, 7, 64, 255, 256, 257, 700};
    private static final int[] COLUMNS = {1, 13, 32, 33, 65, 207};
    private static final int[] ROWS = {1, 2, 3, 4, 5, 7, 8, 9, 13, 40, 207, 702};

    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(1);
    private final Device vector = new VectorDevice(new ScalarDevice());

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @ParameterizedTest
    @EnumSource
    void everyPathAddsInTheSameOrder(Storing storing) {
        for (int n : COLUMNS) {
            for (int k : DEPTHS) {
                for (int m : ROWS) {
                    if ((long) m * n * k < 4_000_000) {
                        checkExact(false, storing, m, n, k, (m + n) % 2 == 0, (m + k) % 3 == 0, 1 + m % 2);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"PLAIN", "TRANSPOSED"})
    void transposedA(Storing storing) {
        for (int n : new int[] {1, 33, 65, 207}) {
            for (int k : DEPTHS) {
                for (int m : new int[] {1, 5, 8, 13, 64, 207}) {
                    checkExact(true, storing, m, n, k, false, m % 2 == 0, 1 + k % 2);
                }
            }
        }
    }

    /** Decoding and training give the same numbers: the row of a large product is the product of that row. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aRowDoesNotDependOnTheOthers(int threadCount) {
        WorkerPool.setThreads(threadCount);
        int m = 300;
        for (int n : COLUMNS) {
            for (int k : DEPTHS) {
                try (Scope _ = Scope.open()) {
                    Buffer a = TestMemory.gaussian(random, m * k);
                    Buffer b = TestMemory.gaussian(random, n * k);
                    Buffer packed = TestMemory.allocate(DType.FLOAT32, PackMatrix.size(k, n));
                    vector.run(new PackMatrix(true, k, n, b, k, packed));
                    Buffer plain = TestMemory.allocate(DType.FLOAT32, (long) k * n);
                    TestMemory.write(plain, transpose(TestMemory.read(b, n * k), n, k));
                    Buffer all = TestMemory.allocate(DType.FLOAT32, (long) m * n);
                    vector.run(product(Storing.TRANSPOSED, m, n, k, a, b, k, all));
                    for (int row : new int[] {0, 7, 150, m - 1}) {
                        float[] expected = TestMemory.read(all.plus((long) row * n), n);
                        Buffer one = a.plus((long) row * k);
                        Buffer c = TestMemory.allocate(DType.FLOAT32, n);
                        vector.run(product(Storing.PACKED, 1, n, k, one, packed, 0, c));
                        assertThat(TestMemory.read(c, n)).isEqualTo(expected);
                        vector.run(product(Storing.TRANSPOSED, 1, n, k, one, b, k, c));
                        assertThat(TestMemory.read(c, n)).isEqualTo(expected);
                        vector.run(product(Storing.PLAIN, 1, n, k, one, plain, n, c));
                        assertThat(TestMemory.read(c, n)).isEqualTo(expected);
                    }
                }
            }
        }
    }

    @Test
    void batches() {
        WorkerPool.setThreads(2);
        int m = 33;
        int n = 70;
        int k = 300;
        int batch = 5;
        for (Storing storing : Storing.values()) {
            for (boolean shared : new boolean[] {false, true}) {
                try (Scope _ = Scope.open()) {
                    Buffer a = TestMemory.gaussian(random, batch * m * k);
                    Buffer b = TestMemory.gaussian(random, batch * 96 * k);
                    Buffer c = TestMemory.gaussian(random, batch * m * n);
                    float[] expected = TestMemory.read(c, batch * m * n);
                    long ldb = storing == Storing.PLAIN ? n : k;
                    long strideB = shared ? 0 : 96L * k;
                    for (int i = 0; i < batch; i++) {
                        Buffer bi = b.plus(i * strideB);
                        reference(
                                false,
                                storing,
                                m,
                                n,
                                k,
                                a.plus((long) i * m * k),
                                k,
                                bi,
                                ldb,
                                null,
                                expected,
                                i * m * n,
                                n,
                                true);
                    }
                    vector.run(new MatMul(
                            false, storing, m, n, k, a, k, b, ldb, null, c, n, true, batch, m * k, strideB, m * n));
                    assertThat(TestMemory.read(c, batch * m * n)).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void nothingToSumLeavesTheBias() {
        try (Scope _ = Scope.open()) {
            Buffer c = TestMemory.of(9f, 9f, 9f, 9f);
            Buffer empty = TestMemory.allocate(DType.FLOAT32, 0);
            Buffer bias = TestMemory.of(1f, 2f);
            vector.run(new MatMul(false, Storing.PLAIN, 2, 2, 0, empty, 0, empty, 2, bias, c, 2, false));
            assertThat(TestMemory.read(c, 4)).containsExactly(1, 2, 1, 2);
        }
    }

    @Test
    void largeShapesSplitIntoManyTasks() {
        for (boolean transA : new boolean[] {false, true}) {
            for (Storing storing : Storing.values()) {
                checkExact(transA, storing, 530, 610, 513, true, true, 2);
            }
        }
        checkExact(false, Storing.TRANSPOSED, 520, 9000, 300, false, false, 2);
    }

    /** B is packed a slice of K at a time where it is large; panels that come packed are taken whole. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void slicesOfKAddInTheSameOrder(boolean transA) {
        WorkerPool.setThreads(2);
        int m = 397;
        int n = 2085;
        int k = 1290;
        try (Scope _ = Scope.open()) {
            Buffer a = TestMemory.gaussian(random, m * k);
            Buffer bias = TestMemory.gaussian(random, n);
            Buffer b = TestMemory.gaussian(random, n * k);
            Buffer packed = TestMemory.allocate(DType.FLOAT32, PackMatrix.size(k, n));
            int lda = transA ? m : k;
            for (Storing storing : new Storing[] {Storing.PLAIN, Storing.TRANSPOSED}) {
                int ldb = storing == Storing.PLAIN ? n : k;
                vector.run(new PackMatrix(storing == Storing.TRANSPOSED, k, n, b, ldb, packed));
                for (boolean accumulate : new boolean[] {false, true}) {
                    Buffer c = TestMemory.gaussian(random, m * n);
                    Buffer expected = TestMemory.allocate(DType.FLOAT32, (long) m * n);
                    TestMemory.write(expected, TestMemory.read(c, m * n));
                    vector.run(new MatMul(
                            transA, Storing.PACKED, m, n, k, a, lda, packed, 0, bias, expected, n, accumulate));
                    vector.run(new MatMul(transA, storing, m, n, k, a, lda, b, ldb, bias, c, n, accumulate));
                    assertThat(TestMemory.read(c, m * n)).isEqualTo(TestMemory.read(expected, m * n));
                }
            }
        }
    }

    private void checkExact(
            boolean transA, Storing storing, int m, int n, int k, boolean biased, boolean accumulate, int threadCount) {
        WorkerPool.setThreads(threadCount);
        try (Scope _ = Scope.open()) {
            int offset = m % 3;
            int lda = (transA ? m : k) + m % 4;
            int ldb = (storing == Storing.TRANSPOSED ? k : n) + k % 3;
            int ldc = n + n % 5;
            Buffer a =
                    TestMemory.gaussian(random, offset + lda * (transA ? k : m)).plus(offset);
            Buffer b = storing == Storing.PACKED
                    ? packed(k, n)
                    : TestMemory.gaussian(random, offset + ldb * (storing == Storing.TRANSPOSED ? n : k))
                            .plus(offset);
            Buffer bias = biased ? TestMemory.gaussian(random, n) : null;
            Buffer c = TestMemory.gaussian(random, m * ldc + 7).plus(7);
            float[] expected = TestMemory.read(c, m * ldc);
            reference(transA, storing, m, n, k, a, lda, b, ldb, bias, expected, 0, ldc, accumulate);
            vector.run(new MatMul(transA, storing, m, n, k, a, lda, b, ldb, bias, c, ldc, accumulate));
            assertThat(TestMemory.read(c, m * ldc))
                    .as(
                            "%s %s m %d n %d k %d bias %s accumulate %s threads %d",
                            transA, storing, m, n, k, biased, accumulate, threadCount)
                    .isEqualTo(expected);
        }
    }

    private Buffer packed(int k, int n) {
        Buffer packed = TestMemory.allocate(DType.FLOAT32, PackMatrix.size(k, n));
        vector.run(new PackMatrix(false, k, n, TestMemory.gaussian(random, k * n), n, packed));
        return packed;
    }

    @Test
    void packingEqualsTheScalarTwin() {
        for (boolean transposed : new boolean[] {false, true}) {
            for (int n : COLUMNS) {
                for (int k : DEPTHS) {
                    try (Scope _ = Scope.open()) {
                        int ld = (transposed ? k : n) + 3;
                        Buffer b = TestMemory.gaussian(random, ld * Math.max(n, k) + 1)
                                .plus(1);
                        int size = (int) PackMatrix.size(k, n);
                        Buffer expected = TestMemory.allocate(DType.FLOAT32, size);
                        Buffer actual = TestMemory.gaussian(random, size);
                        new ScalarDevice().run(new PackMatrix(transposed, k, n, b, ld, expected));
                        vector.run(new PackMatrix(transposed, k, n, b, ld, actual));
                        assertThat(TestMemory.read(actual, size)).isEqualTo(TestMemory.read(expected, size));
                    }
                }
            }
        }
    }

    private static MatMul product(Storing storing, int m, int n, int k, Buffer a, Buffer b, long ldb, Buffer c) {
        return new MatMul(false, storing, m, n, k, a, k, b, ldb, null, c, n, false);
    }

    /** The order of additions of {@link MatMul}'s contract, spelled out. */
    private static void reference(
            boolean transA,
            Storing storing,
            int m,
            int n,
            int k,
            Buffer aBuffer,
            int lda,
            Buffer bBuffer,
            long ldb,
            @Nullable Buffer biasBuffer,
            float[] c,
            int offset,
            int ldc,
            boolean accumulate) {
        float[] a = TestMemory.read(aBuffer, transA ? (k - 1) * lda + m : (m - 1) * lda + k);
        float[] b = columns(storing, n, k, bBuffer, (int) ldb);
        float[] bias = biasBuffer == null ? null : TestMemory.read(biasBuffer, n);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                float total = 0;
                for (int k0 = 0; k0 < k; k0 += MatMul.K_BLOCK) {
                    float sum = 0;
                    for (int l = k0; l < Math.min(k, k0 + MatMul.K_BLOCK); l++) {
                        sum = Math.fma(transA ? a[l * lda + i] : a[i * lda + l], b[j * k + l], sum);
                    }
                    total = k0 == 0 ? sum : total + sum;
                }
                if (bias != null) {
                    total += bias[j];
                }
                int at = offset + i * ldc + j;
                c[at] = accumulate ? total + c[at] : total;
            }
        }
    }

    /** B as {@code [N, K]}. */
    private static float[] columns(Storing storing, int n, int k, Buffer b, int ldb) {
        float[] result = new float[n * k];
        float[] from = TestMemory.read(
                b,
                switch (storing) {
                    case PLAIN -> (k - 1) * ldb + n;
                    case TRANSPOSED -> (n - 1) * ldb + k;
                    case PACKED -> (int) PackMatrix.size(k, n);
                });
        for (int j = 0; j < n; j++) {
            for (int l = 0; l < k; l++) {
                result[j * k + l] = from[
                        switch (storing) {
                            case PLAIN -> l * ldb + j;
                            case TRANSPOSED -> j * ldb + l;
                            case PACKED -> j / 32 * 32 * k + l * 32 + j % 32;
                        }];
            }
        }
        return result;
    }

    private static float[] transpose(float[] x, int rows, int cols) {
        float[] y = new float[x.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                y[j * rows + i] = x[i * cols + j];
            }
        }
        return y;
    }
}
