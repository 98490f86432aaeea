package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.Where;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Comparisons, choices and conversions of the vector twin against the scalar twin: the same bytes. */
class BoolKernelsTests {
    private final SplittableRandom random = new SplittableRandom(3);

    @ParameterizedTest
    @EnumSource(names = {"GT", "GE", "EQ", "NE"})
    void comparisons(BinaryOp op) {
        for (long[] shape : new long[][] {{1}, {7}, {13}, {207}, {702}, {70_001}, {3, 65}, {9, 5000}}) {
            try (Scope _ = Scope.open()) {
                int n = (int) (shape.length == 1 ? shape[0] : shape[0] * shape[1]);
                Buffer a = numbers(n + 3).plus(3);
                Buffer b = numbers(n);
                long[] dense = RowLoop.dense(shape);
                long[] still = new long[shape.length];
                long[] column = dense.clone();
                column[shape.length - 1] = 0;
                long[] turned = shape.length == 1 ? dense : new long[] {1, shape[0]};
                for (long[] strideB : new long[][] {dense, still, column, turned}) {
                    same(DType.BOOL, n, out -> new Binary(op, shape, a, dense, b, strideB, out, dense));
                }
                same(DType.BOOL, n, out -> new Binary(op, shape, a, turned, b, dense, out, turned));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 207, 702, 70_001})
    void choices(int n) {
        try (Scope _ = Scope.open()) {
            Buffer cond = TestMemory.allocate(DType.BOOL, n + 8).plus(5);
            for (int i = 0; i < n + 3; i++) {
                Numbers.setLong(cond, i, random.nextInt(2));
            }
            Buffer a = numbers(n);
            Buffer b = numbers(n + 1).plus(1);
            long[] shape = {n};
            long[] one = {1};
            long[] still = {0};
            same(DType.FLOAT32, n, out -> new Where(shape, cond, one, a, one, b, still, out));
            same(DType.FLOAT32, n, out -> new Where(shape, cond, one, a, one, b, one, out));
            same(DType.FLOAT32, n, out -> new Where(shape, cond, still, a, still, b, one, out));
            long[] square = {3, n};
            long[] rows = {0, 1};
            same(DType.FLOAT32, 3 * n, out -> new Where(square, cond, new long[] {1, 0}, a, rows, b, rows, out));
            Buffer inPlace = TestMemory.copy(a, n);
            Buffer expected = TestMemory.allocate(DType.FLOAT32, n);
            Twins.VECTOR.run(new Where(shape, cond, one, a, one, b, one, expected));
            Twins.VECTOR.run(new Where(shape, cond, one, inPlace, one, b, one, inPlace));
            assertThat(TestMemory.read(inPlace, n)).isEqualTo(TestMemory.read(expected, n));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 207, 702, 70_001})
    void conversions(int n) {
        long[] shape = {n};
        long[] one = {1};
        for (DType small : new DType[] {DType.BFLOAT16, DType.FLOAT16, DType.BOOL}) {
            try (Scope _ = Scope.open()) {
                Buffer x = numbers(n + 3).plus(3);
                same(small, n, to -> new Copy(shape, x, one, to, one, false));
                Buffer stored = TestMemory.allocate(small, n + 1).plus(1);
                Twins.SCALAR.run(new Copy(shape, x, one, stored, one, false));
                same(DType.FLOAT32, n, to -> new Copy(shape, stored, one, to, one, false));
            }
        }
    }

    /** Small whole numbers, so that some are equal, and all that is special. */
    private Buffer numbers(int n) {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -0f, 1e-6f, -3e-8f, 1e-40f, 7e4f
        };
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            int draw = random.nextInt(20);
            x[i] = draw < special.length ? special[draw] : draw % 2 == 0 ? random.nextInt(-2, 3) : random.nextFloat();
        }
        return TestMemory.of(x);
    }

    /** Both twins write the same bytes, and none behind the last element. */
    private static void same(DType dtype, int n, Function<Buffer, KernelCall> call) {
        Buffer expected = filled(dtype, n + 32).plus(5);
        Buffer actual = filled(dtype, n + 32).plus(5);
        Twins.SCALAR.run(call.apply(expected));
        Twins.VECTOR.run(call.apply(actual));
        long bytes = (n + 32L) * dtype.bytes();
        long mismatch = actual.storage()
                .segment()
                .asSlice(0, bytes)
                .mismatch(expected.storage().segment().asSlice(0, bytes));
        assertThat(mismatch).as("first byte that differs").isEqualTo(-1);
    }

    private static Buffer filled(DType dtype, int n) {
        Buffer buffer = TestMemory.allocate(dtype, n);
        for (long i = 0; i < (long) n * dtype.bytes(); i++) {
            buffer.storage().segment().set(ValueLayout.JAVA_BYTE, i, (byte) 0x55);
        }
        return buffer;
    }
}
