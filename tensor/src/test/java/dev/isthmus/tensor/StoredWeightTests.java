package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Stored weights as the projections and tables of a model. */
class StoredWeightTests {
    private static StoredWeight weight(WeightFormat format, int in, int out, long seed) {
        Rng rng = Rng.of(seed);
        MemorySegment data = Arena.ofAuto().allocate(out * format.rowBytes(in), 64);
        for (long i = 0; i < data.byteSize(); i++) {
            data.set(ValueLayout.JAVA_BYTE, i, (byte) rng.nextInt());
        }
        for (int row = 0; row < out; row++) {
            for (int i = 0; i < in; i += format.block()) {
                long at = row * format.rowBytes(in) + format.rowBytes(i);
                float number = (float) rng.nextGaussian();
                switch (format) {
                    case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, number);
                    case BF16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, BFloat16.of(number));
                    case F16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number));
                    case Q8_0 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number / 100));
                    case Q4_0 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number / 8));
                }
            }
        }
        return new StoredWeight(format, data, in, out);
    }

    /** What a linear layer with the same numbers gives, and its gradients. */
    @ParameterizedTest
    @EnumSource
    void isALinearLayerThatIsFrozen(WeightFormat format) {
        try (Scope scope = Scope.open()) {
            int in = 96;
            StoredWeight first = weight(format, in, 700, 1);
            StoredWeight second = weight(format, in, 37, 2);
            Tensor numbers = Tensor.cat(0, first.toTensor(DType.FLOAT32), second.toTensor(DType.FLOAT32));
            Tensor bias = Tensor.randn(DType.FLOAT32, Rng.of(3), 1, 737).requireGrad();
            Tensor x = Tensor.randn(DType.FLOAT32, Rng.of(4), 1, 13, in).requireGrad();
            Tensor dy = Tensor.randn(DType.FLOAT32, Rng.of(5), 1, 13, 737);

            Tensor expected = Functional.linear(x, numbers, bias);
            expected.mul(dy).sum().backward();
            float[] dx = x.grad().toFloats();
            float[] db = bias.grad().toFloats();
            x.zeroGrad();
            bias.zeroGrad();

            Tensor actual = StoredWeight.linear(List.of(first, second), x, bias);
            actual.mul(dy).sum().backward();
            assertThat(actual.toFloats()).satisfies(y -> close(y, expected.toFloats(), 1e-4f));
            assertThat(x.grad().toFloats()).satisfies(g -> close(g, dx, 1e-3f));
            assertThat(bias.grad().toFloats()).isEqualTo(db);
        }
    }

    @ParameterizedTest
    @EnumSource
    void theGradientIsThatOfFiniteDifferences(WeightFormat format) {
        try (Scope scope = Scope.open(Device.scalar())) {
            StoredWeight weight = weight(format, 32, 5, 1);
            Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(4), 1, 3, 32).requireGrad();
            Tensor bias = Tensor.randn(DType.FLOAT64, Rng.of(6), 1, 5).requireGrad();
            GradCheck.check(t -> weight.linear(t[0], t[1]), x, bias);
        }
    }

    @ParameterizedTest
    @EnumSource
    void rowsAreThoseOfAFloat32Table(WeightFormat format) {
        for (Device device : List.of(Device.scalar(), Device.cpu())) {
            try (Scope scope = Scope.open(device)) {
                for (int in : format.block() == 1 ? new int[] {1, 7, 13, 207, 702} : new int[] {32, 224, 2080}) {
                    StoredWeight weight = weight(format, in, 13, 7);
                    float[] table = weight.toTensor(DType.FLOAT32).toFloats();
                    float[] rows = weight.embedding(Tensor.of(new int[] {12, 0, 5, 12}, 4))
                            .toFloats();
                    for (int i = 0; i < in; i++) {
                        assertThat(new float[] {rows[i], rows[in + i], rows[2 * in + i], rows[3 * in + i]})
                                .containsExactly(table[12 * in + i], table[i], table[5 * in + i], table[12 * in + i]);
                    }
                    Tensor identity = Tensor.of(identity(in), in, in);
                    close(weight.linear(identity, null).transpose(0, 1).toFloats(), table, 0);
                }
            }
        }
    }

    private static void close(float[] actual, float[] expected, float tolerance) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("number " + i).isCloseTo(expected[i], within(tolerance));
        }
    }

    private static float[] identity(int n) {
        float[] ones = new float[n * n];
        for (int i = 0; i < n; i++) {
            ones[i * (n + 1)] = 1;
        }
        return ones;
    }

    @Test
    void mistakesAreTold() {
        try (Scope scope = Scope.open()) {
            StoredWeight weight = weight(WeightFormat.BF16, 8, 4, 1);
            assertThatThrownBy(() -> weight.linear(Tensor.zeros(DType.FLOAT32, 2, 8), Tensor.zeros(DType.FLOAT32, 3)))
                    .isInstanceOf(TensorException.class)
                    .hasMessage("linear with a stored weight [4, 8]: expected a bias of 4 numbers, found [3]");
            assertThatThrownBy(() -> weight.embedding(Tensor.of(new int[] {4}, 1)))
                    .isInstanceOf(TensorException.class)
                    .hasMessageContaining("4");
        }
    }
}
