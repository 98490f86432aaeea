package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.TestMemory.read;
import static dev.isthmus.tensor.cpu.Twins.VECTOR;
import static dev.isthmus.tensor.cpu.Twins.check;
import static dev.isthmus.tensor.cpu.Twins.filled;
import static dev.isthmus.tensor.cpu.Twins.gaussian;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import dev.isthmus.tensor.KernelCall.WeightMatMuls;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.TensorException;
import dev.isthmus.tensor.TestMemory;
import dev.isthmus.testing.Fixtures;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Products with weights as files hold them. */
class WeightTests {
    private static final int[] SIZES = {1, 7, 13, 207, 702};
    private static final int[] BLOCKED_SIZES = {32, 64, 224, 1056, 2080};

    private final int threads = WorkerPool.threads();
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        WorkerPool.setThreads(threads);
    }

    /** {@code n} rows, two bytes behind the alignment of files; float16 scales of blocks are between 0.03 and 0.12. */
    private static MemorySegment weight(WeightFormat format, int n, int k) {
        Rng rng = Rng.of(3);
        MemorySegment w =
                Arena.ofAuto().allocate(n * format.rowBytes(k) + 2, 64).asSlice(2);
        for (long i = 0; i < w.byteSize(); i++) {
            w.set(ValueLayout.JAVA_BYTE, i, (byte) rng.nextInt());
        }
        for (long i = 0; i < (long) n * k; i += format.block()) {
            long at = i / k * format.rowBytes(k) + format.rowBytes((int) (i % k));
            float number = (float) rng.nextGaussian();
            switch (format) {
                case F32 -> w.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, number);
                case BF16 ->
                    w.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) (Float.floatToRawIntBits(number) >> 16));
                case F16 -> w.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number));
                case Q8_0, Q4_0 -> w.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number / 10));
            }
        }
        return w;
    }

    /** The weight as products take it. */
    private static MemorySegment packed(WeightFormat format, int n, int k, MemorySegment w) {
        if (format.block() == 1) {
            return w;
        }
        MemorySegment packed = Arena.ofAuto().allocate(PackWeight.bytes(format, n, k), 64);
        VECTOR.run(new PackWeight(format, n, k, w, packed));
        return packed;
    }

    private static int[] sizes(WeightFormat format) {
        return format.block() == 1 ? SIZES : BLOCKED_SIZES;
    }

    @ParameterizedTest
    @EnumSource
    void equalsTheScalarTwin(WeightFormat format) {
        for (int k : sizes(format)) {
            for (int n : SIZES) {
                if ((long) n * k > 200_000) {
                    continue;
                }
                MemorySegment w = packed(format, n, k, weight(format, n, k));
                for (int m : new int[] {1, 2, 4, 7, 13, 61}) {
                    for (int pad : new int[] {0, 3}) {
                        int lda = k + pad;
                        int ldc = n + 2 * pad;
                        Buffer a = gaussian(1, m * lda + pad).plus(pad);
                        Buffer bias = pad == 0 ? null : gaussian(2, n + 1).plus(1);
                        check(1e-5 * Math.sqrt(k), device -> {
                            Buffer c = filled(m * ldc);
                            device.run(new WeightMatMul(format, m, n, k, a, lda, w, bias, c, ldc));
                            return read(c, m * ldc);
                        });
                    }
                }
            }
        }
    }

    /** Every float16 there is, with and without leading one, infinite or not a number, in every lane of a row. */
    @Test
    void everyHalfIsMultipliedExactly() {
        int n = 1 << 16;
        int k = 32;
        MemorySegment w = Arena.ofAuto().allocate(2L * n * k, 64);
        for (int i = 0; i < n; i++) {
            w.setAtIndex(ValueLayout.JAVA_SHORT, (long) i * k + i % k, (short) (i * 40503));
        }
        Tensor ones = Tensor.full(DType.FLOAT32, 1, 2, k);
        StoredWeight weight = new StoredWeight(WeightFormat.F16, w, k, n);
        float[] alone = weight.linear(ones.narrow(0, 0, 1), null).toFloats();
        float[] both = weight.linear(ones, null).toFloats();
        for (int i = 0; i < n; i++) {
            float expected = Float.float16ToFloat((short) (i * 40503));
            // 0 + -0 is 0.
            assertThat(new Float[] {alone[i], both[i], both[n + i]}).containsOnly(expected == 0 ? 0f : expected);
        }
    }

    /** Decoding, a row at a time, gives the bits of all rows at once, on any number of threads. */
    @ParameterizedTest
    @EnumSource
    void aRowHasTheSameBitsAloneAndAmongOthers(WeightFormat format) {
        for (int k : IntStream.concat(IntStream.of(sizes(format)), IntStream.of(BLOCKED_SIZES))
                .toArray()) {
            int m = 125; // tiles of which the last has rows that are missing, and several times through long rows
            int n = 71;
            MemorySegment w = packed(format, n, k, weight(format, n, k));
            Buffer a = gaussian(1, m * k);
            Buffer all = filled(m * n);
            VECTOR.run(new WeightMatMul(format, m, n, k, a, k, w, null, all, n));
            Buffer one = filled(m * n);
            WorkerPool.setThreads(1);
            for (int i = 0; i < m; i++) {
                VECTOR.run(
                        new WeightMatMul(format, 1, n, k, a.plus((long) i * k), k, w, null, one.plus((long) i * n), n));
            }
            WorkerPool.setThreads(threads);
            assertThat(read(one, m * n)).isEqualTo(read(all, m * n));
        }
    }

    /** Two and three rows, which packed weights meet one after the other, too. */
    @ParameterizedTest
    @EnumSource
    void fewRowsHaveTheBitsOfMany(WeightFormat format) {
        int k = 96;
        int n = 71;
        MemorySegment w = packed(format, n, k, weight(format, n, k));
        Buffer a = gaussian(1, 9 * k);
        Buffer all = filled(9 * n);
        VECTOR.run(new WeightMatMul(format, 9, n, k, a, k, w, null, all, n));
        for (int m : new int[] {0, 2, 3}) {
            Buffer few = filled(9 * n);
            float[] before = read(few, 9 * n);
            VECTOR.run(new WeightMatMul(format, m, n, k, a, k, w, null, few, n));
            float[] expected = read(all, 9 * n);
            System.arraycopy(before, m * n, expected, m * n, (9 - m) * n);
            assertThat(read(few, 9 * n)).isEqualTo(expected);
        }
    }

    /** Several weights at once give what each gives alone, on any number of threads. */
    @ParameterizedTest
    @CsvSource({"1, 1", "1, 2", "1, 3", "1, 7", "5, 2"})
    void severalWeightsAreMultipliedAtOnce(int m, int threads) {
        int k = 416;
        int[] sizes = {1, 71, 702, 1500, 9};
        int out = IntStream.of(sizes).sum();
        Buffer a = gaussian(3, m * k);
        Buffer bias = gaussian(4, out);
        for (Device device : List.of(VECTOR, Device.scalar())) {
            Buffer expected = filled(m * out);
            Buffer actual = filled(m * out);
            List<WeightMatMul> calls = new ArrayList<>();
            int first = 0;
            for (int n : sizes) {
                WeightFormat format = WeightFormat.values()[calls.size()];
                MemorySegment w = packed(format, n, k, weight(format, n, k));
                Buffer b = n > 100 ? bias.plus(first) : null;
                device.run(new WeightMatMul(format, m, n, k, a, k, w, b, expected.plus(first), out));
                calls.add(new WeightMatMul(format, m, n, k, a, k, w, b, actual.plus(first), out));
                first += n;
            }
            WorkerPool.setThreads(threads);
            device.run(new WeightMatMuls(calls));
            assertThat(read(actual, m * out)).isEqualTo(read(expected, m * out));
        }
    }

    /** A product with a row that is 1 in one place gives back the weight: every float16, and every byte and nibble times a scale. */
    @ParameterizedTest
    @EnumSource
    void weightsBecomeFloat32Exactly(WeightFormat format) {
        int k = 32;
        int n = format == WeightFormat.F16 ? 2048 : 100;
        MemorySegment w = weight(format, n, k);
        if (format == WeightFormat.F16) {
            for (int i = 0; i < 1 << 16; i++) {
                w.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, (i & 0x7c00) == 0x7c00 ? 0 : (short) i);
            }
        }
        for (int m : new int[] {1, 32}) {
            for (int first = 0; first < k; first += m) {
                Buffer a = TestMemory.allocate(DType.FLOAT32, (long) m * k);
                float[] ones = new float[m * k];
                for (int i = 0; i < m; i++) {
                    ones[i * k + first + i] = 1;
                }
                TestMemory.write(a, ones);
                Buffer c = filled(m * n);
                VECTOR.run(new WeightMatMul(format, m, n, k, a, k, packed(format, n, k, w), null, c, n));
                float[] actual = read(c, m * n);
                for (int i = 0; i < m; i++) {
                    for (int j = 0; j < n; j++) {
                        float expected = ScalarWeight.weight(format, w, j * format.rowBytes(k), first + i);
                        assertThat(actual[i * n + j] + 0f).isEqualTo(expected + 0f);
                    }
                }
            }
        }
    }

    /** Hashes that hold for every vector width. */
    @RepeatedTest(2)
    void everyWidthGivesTheSameBits() {
        int hash = 0;
        for (WeightFormat format : WeightFormat.values()) {
            for (int k : sizes(format)) {
                for (int m : new int[] {1, 6}) {
                    float[] numbers = new float[m * k];
                    for (int i = 0; i < numbers.length; i++) {
                        numbers[i] = ((i + 1) * 0x9E3779B9 >> 8) * 0x1p-22f;
                    }
                    Buffer c = filled(m * 31);
                    VECTOR.run(new WeightMatMul(
                            format,
                            m,
                            31,
                            k,
                            TestMemory.of(numbers),
                            k,
                            packed(format, 31, k, weight(format, 31, k)),
                            null,
                            c,
                            31));
                    hash = 31 * hash + Arrays.hashCode(read(c, m * 31));
                }
            }
        }
        assertThat(hash).isEqualTo(-266633572);
    }

    /** The gradient of a frozen weight's input is that of the same weight as float32. */
    @ParameterizedTest
    @EnumSource
    void gradientsFlowThroughAFrozenWeight(WeightFormat format) {
        for (int k : sizes(format)) {
            int out = k > 1000 ? 1111 : 71; // more than a panel of rows
            StoredWeight weight = new StoredWeight(format, weight(format, out, k), k, out);
            Tensor floats = weight.toTensor(DType.FLOAT32);
            assertThat(floats.toFloats()[k - 1]).isEqualTo(ScalarWeight.weight(format, weight.data(), 0, k - 1));
            Rng rng = Rng.of(5);
            Tensor x = Tensor.randn(DType.FLOAT32, rng, 1, 9, k).requireGrad();
            Tensor bias = Tensor.randn(DType.FLOAT32, rng, 1, out).requireGrad();
            Tensor dy = Tensor.randn(DType.FLOAT32, rng, 1, 9, out);
            Functional.linear(x, floats, bias).backward(dy);
            float[] dx = x.grad().toFloats();
            float[] db = bias.grad().toFloats();
            x.zeroGrad();
            bias.zeroGrad();
            weight.linear(x, bias).backward(dy);
            Twins.assertNear(x.grad().toFloats(), dx, 1e-4 * Math.sqrt(out));
            assertThat(bias.grad().toFloats()).isEqualTo(db);
        }
    }

    /** Byte offsets of the tensors in the file, as its header gives them. */
    @Tag("fixture")
    @ParameterizedTest
    @CsvSource({"F32, t.f32, 448", "F16, t.f16, 1216", "Q4_0, t.q4_0, 1600", "Q8_0, t.q8_0, 1728", "BF16, t.bf16, 1952"
    })
    void readsWhatOthersWrote(WeightFormat format, String name, long offset) throws IOException {
        JsonNode values = JsonMapper.shared()
                .readTree(Fixtures.resource("models/gguf_tiny/expected.json").toFile())
                .at("/tensors/" + name + "/values");
        try (Arena arena = Arena.ofConfined();
                FileChannel file = FileChannel.open(Fixtures.resource("models/gguf_tiny/tiny.gguf"))) {
            MemorySegment mapped = file.map(FileChannel.MapMode.READ_ONLY, offset, 3 * format.rowBytes(64), arena);
            StoredWeight weight = new StoredWeight(format, mapped, 64, 3);
            float[] identity = new float[64 * 64];
            for (int i = 0; i < 64; i++) {
                identity[i * 65] = 1;
            }
            float[] y = weight.linear(Tensor.of(identity, 64, 64), null)
                    .transpose(0, 1)
                    .toFloats();
            for (int i = 0; i < y.length; i++) {
                assertThat(y[i]).as("number " + i).isEqualTo((float)
                        values.get(i).asDouble());
            }
        }
    }

    @Test
    void sizesThatDoNotFitAreTold() {
        MemorySegment data = Arena.ofAuto().allocate(34 * 4);
        assertThatThrownBy(() -> new StoredWeight(WeightFormat.Q8_0, data, 48, 2))
                .isInstanceOf(TensorException.class)
                .hasMessage("weight [2, 48] as Q8_0: rows of 48 numbers are no multiple of its blocks of 32");
        assertThatThrownBy(() -> new StoredWeight(WeightFormat.Q8_0, data, 64, 3))
                .isInstanceOf(TensorException.class)
                .hasMessage("weight [3, 64] as Q8_0: expected 204 bytes of native memory, found 136");
        StoredWeight weight = new StoredWeight(WeightFormat.Q8_0, data, 64, 2);
        assertThatThrownBy(() -> weight.linear(Tensor.of(new float[32], 1, 32), null))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("expected an input [N, 64]");
    }
}
