package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Dropout;
import dev.isthmus.tensor.KernelCall.Fill;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Elementwise calls of the vector twin against the scalar twin. */
class ElementwiseTests {
    private static final int[] SIZES = {1, 7, 13, 207, 702, 4097, 70_001};

    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(1);
    private final ScalarDevice scalar = new ScalarDevice();
    private final VectorDevice vector = new VectorDevice(scalar);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @ParameterizedTest
    @EnumSource
    void unary(UnaryOp op) {
        for (int n : SIZES) {
            WorkerPool.setThreads(1 + n % 2);
            try (Scope _ = Scope.open()) {
                Buffer x = TestMemory.of(arguments(op, n + 3)).plus(3);
                check(n, 2e-6f, y -> new Unary(op, n, x, y, 0.5, 0.75));
                Buffer inPlace = TestMemory.copy(x, n);
                vector.run(new Unary(op, n, inPlace, inPlace, 0.5, 0.75));
                Buffer y = TestMemory.allocate(DType.FLOAT32, n);
                vector.run(new Unary(op, n, x, y, 0.5, 0.75));
                assertSame(op, x, TestMemory.read(y, n), TestMemory.read(inPlace, n));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void unaryBackward(UnaryOp op) {
        for (int n : SIZES) {
            WorkerPool.setThreads(1 + n % 2);
            try (Scope _ = Scope.open()) {
                Buffer x = TestMemory.of(arguments(op, n + 1)).plus(1);
                Buffer dy = TestMemory.gaussian(random, n);
                check(n, 8e-6f, dx -> new UnaryBackward(op, n, x, dy, dx, 0.5, 0.75, false));
                check(n, 8e-6f, dx -> new UnaryBackward(op, n, x, dy, dx, 0.5, 0.75, true));
                Buffer inPlace = TestMemory.copy(dy, n);
                vector.run(new UnaryBackward(op, n, x, inPlace, inPlace, 0.5, 0.75, false));
                Buffer dx = TestMemory.allocate(DType.FLOAT32, n);
                vector.run(new UnaryBackward(op, n, x, dy, dx, 0.5, 0.75, false));
                assertSame(op, x, TestMemory.read(dx, n), TestMemory.read(inPlace, n));
            }
        }
    }

    @Test
    void dropout() {
        Rng rng = Rng.of(5);
        for (int n : SIZES) {
            WorkerPool.setThreads(1 + n % 2);
            try (Scope _ = Scope.open()) {
                Buffer x = TestMemory.gaussian(random, n + 3).plus(3);
                check(n, 0, y -> new Dropout(n, x, y, rng, 0.3));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void extremeNumbers(UnaryOp op) {
        float inf = Float.POSITIVE_INFINITY;
        float[] extremes = {
            0,
            -0f,
            1e-30f,
            -1e-8f,
            1e-4f,
            0.5f,
            1,
            -1,
            20,
            -20,
            90,
            -90,
            1e20f,
            -1e20f,
            8191,
            1e4f,
            -12345.67f,
            inf,
            -inf,
            Float.NaN
        };
        int n = extremes.length;
        try (Scope _ = Scope.open()) {
            Buffer x = TestMemory.of(extremes);
            Buffer dy = TestMemory.allocate(DType.FLOAT32, n);
            vector.run(new Fill(n, dy, 1.25));
            for (double p : new double[] {0.5, -0.5, 3, 2.5}) {
                check(n, 4e-6f, y -> new Unary(op, n, x, y, p, 2.75));
                // beyond these numbers 0 times infinity appears in one of the two ways to write a slope
                check(12, 8e-6f, dx -> new UnaryBackward(op, 12, x, dy, dx, p, 2.75, false));
            }
        }
    }

    @Test
    void powersOfAllKinds() {
        int n = 4099;
        try (Scope _ = Scope.open()) {
            float[] a = new float[n];
            float[] b = new float[n];
            float[] special = {0, -0f, 1, -1, -2.5f, Float.POSITIVE_INFINITY, Float.NaN, 1e-40f, 3, 0.5f};
            for (int i = 0; i < n; i++) {
                a[i] = i % 3 == 0 ? special[i / 3 % 10] : (float) Math.exp(random.nextDouble(-20, 20));
                b[i] = i % 3 == 0 ? special[i / 30 % 10] : (float) random.nextDouble(-3, 3);
            }
            Buffer x = TestMemory.of(a);
            Buffer p = TestMemory.of(b);
            long[] shape = {n};
            long[] dense = {1};
            check(n, 1e-6f, out -> new Binary(BinaryOp.POW, shape, x, dense, p, dense, out, dense));
        }
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"GT", "GE", "EQ", "NE"})
    void binary(BinaryOp op) {
        WorkerPool.setThreads(2);
        long[][] shapes = {{1}, {207}, {70_001}, {13, 7}, {3, 1, 65}, {5, 4, 33}, {2, 3, 5, 17}, {9, 5000}, {0, 4}};
        for (long[] shape : shapes) {
            try (Scope _ = Scope.open()) {
                int n = (int) count(shape);
                long[] dense = dense(shape);
                Buffer a = TestMemory.of(arguments(UnaryOp.LOG, n + 2)).plus(2);
                Buffer b = TestMemory.gaussian(random, n);
                long[] scalarStride = new long[shape.length];
                long[] row = new long[shape.length];
                row[shape.length - 1] = 1;
                long[] column = dense.clone();
                column[shape.length - 1] = 0;
                for (long[] strideB : new long[][] {dense, scalarStride, row, column, turned(shape)}) {
                    check(n, 2e-6f, out -> new Binary(op, shape, a, dense, b, strideB, out, dense));
                    check(n, 2e-6f, out -> new Binary(op, shape, a, strideB, b, dense, out, dense));
                }
                check(n, 2e-6f, out -> new Binary(op, shape, a, dense, b, dense, out, turned(shape)));
                check(n, 2e-6f, out -> new Binary(op, shape, a, row, b, turned(shape), out, turned(shape)));
            }
        }
    }

    @Test
    void binaryInPlace() {
        try (Scope _ = Scope.open()) {
            Buffer a = TestMemory.gaussian(random, 207);
            Buffer b = TestMemory.gaussian(random, 207);
            long[] shape = {207};
            long[] dense = {1};
            Buffer sum = TestMemory.allocate(DType.FLOAT32, 207);
            vector.run(new Binary(BinaryOp.ADD, shape, a, dense, b, dense, sum, dense));
            vector.run(new Binary(BinaryOp.ADD, shape, a, dense, b, dense, a, dense));
            assertThat(TestMemory.read(a, 207)).isEqualTo(TestMemory.read(sum, 207));
        }
    }

    @Test
    void copy() {
        WorkerPool.setThreads(2);
        long[][] shapes = {{1}, {207}, {70_001}, {13, 7}, {5, 4, 33}, {2, 3, 5, 17}, {33, 64}, {9, 5000}};
        for (long[] shape : shapes) {
            try (Scope _ = Scope.open()) {
                int n = (int) count(shape);
                Buffer from = TestMemory.gaussian(random, n);
                long[] zero = new long[shape.length];
                for (boolean accumulate : new boolean[] {false, true}) {
                    for (long[] stride : new long[][] {dense(shape), turned(shape), zero}) {
                        check(n, 0, to -> new Copy(shape, from, stride, to, dense(shape), accumulate));
                    }
                    check(n, 0, to -> new Copy(shape, from, dense(shape), to, turned(shape), accumulate));
                }
            }
        }
    }

    @Test
    void copyPermutesHeads() {
        try (Scope _ = Scope.open()) {
            long[] shape = {3, 4, 17, 10};
            int n = (int) count(shape);
            Buffer from = TestMemory.gaussian(random, n);
            long[] stride = {17 * 40, 10, 40, 1};
            check(n, 0, to -> new Copy(shape, from, stride, to, dense(shape), false));
        }
    }

    @Test
    void fill() {
        for (int n : SIZES) {
            try (Scope _ = Scope.open()) {
                check(n, 0, x -> new Fill(n, x, -0.25));
            }
        }
    }

    /** Runs a call on both twins, their outputs beginning with the same numbers, and compares. */
    private void check(int n, float tolerance, Function<Buffer, KernelCall> call) {
        Buffer expected = TestMemory.gaussian(random, n + 5).plus(5);
        Buffer actual = TestMemory.copy(expected, n);
        scalar.run(call.apply(expected));
        KernelCall run = call.apply(actual);
        vector.run(run);
        float[] e = TestMemory.read(expected, n);
        float[] a = TestMemory.read(actual, n);
        for (int i = 0; i < n; i++) {
            if (Float.floatToIntBits(e[i]) != Float.floatToIntBits(a[i])) {
                assertThat(Math.abs(a[i] - e[i]))
                        .as("%s: element %d is %s, not %s", run, i, a[i], e[i])
                        .isLessThanOrEqualTo(tolerance * Math.max(1, Math.abs(e[i])));
            }
        }
    }

    /** Numbers from the domain of a function. */
    /** Compares bits and names the first argument whose results differ: a whole array says little. */
    private static void assertSame(UnaryOp op, Buffer x, float[] expected, float[] actual) {
        int i = Arrays.mismatch(expected, actual);
        if (i >= 0) {
            float argument = TestMemory.read(x, i + 1)[i];
            fail(
                    "%s of %a, number %d of %d: %a, in place %a",
                    op, argument, i, expected.length, expected[i], actual[i]);
        }
    }

    private float[] arguments(UnaryOp op, int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = (float) random.nextGaussian() * 3;
            switch (op) {
                case LOG, LOG1P, SQRT, RSQRT, RECIPROCAL, POW -> x[i] = Math.abs(x[i]) + 0.1f;
                default -> {}
            }
        }
        return x;
    }

    private static long count(long[] shape) {
        long n = 1;
        for (long s : shape) {
            n *= s;
        }
        return n;
    }

    private static long[] dense(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    /** The strides of the same elements with the last two dimensions stored the other way round. */
    private static long[] turned(long[] shape) {
        long[] strides = dense(shape);
        int last = shape.length - 1;
        if (last > 0) {
            strides[last] = shape[last - 1];
            strides[last - 1] = 1;
        }
        return strides;
    }
}
