package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Low-rank updates of a product: values, gradients and bits. */
class LowRankTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor random(DType dtype, int seed, long... shape) {
        return Tensor.randn(dtype, Rng.of(3).split("input", seed), 1, shape);
    }

    @Test
    void gradients() {
        // The first and the last of three products are updated.
        GradCheck.check(
                t -> Functional.addLowRank(
                        Functional.linear(t[0], t[1], null), t[0], t[2], t[3], 0.75, new int[] {0, 5}, new int[] {2, 4
                        }),
                random(DType.FLOAT64, 0, 5, 3),
                random(DType.FLOAT64, 1, 9, 3),
                random(DType.FLOAT64, 2, 4, 3),
                random(DType.FLOAT64, 3, 6, 2));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 207, 702})
    void isTheSumOfTheProducts(int size) {
        int n = Math.max(1, size / 3);
        int in = size;
        int r = Math.min(size, 8);
        Tensor x = random(DType.FLOAT32, 0, n, in);
        Tensor w = random(DType.FLOAT32, 1, 3L * size, in);
        Tensor a = random(DType.FLOAT32, 2, 2L * r, in).mul(1 / Math.sqrt(in)).detach();
        Tensor b = random(DType.FLOAT32, 3, 2L * size, r);
        Tensor[] inputs = {x, a, b};
        Tensor[] expected = new Tensor[3];
        Tensor[] found = new Tensor[3];
        for (Tensor t : inputs) {
            t.requireGrad();
        }
        Tensor parts = Functional.linear(x, w, null);
        Tensor first = lowRank(x, a.narrow(0, 0, r), b.narrow(0, 0, size));
        Tensor last = lowRank(x, a.narrow(0, r, r), b.narrow(0, size, size));
        Tensor zeros = Tensor.zeros(DType.FLOAT32, n, size);
        Tensor byHand = parts.add(Tensor.cat(1, first, zeros, last));
        Tensor dy = random(DType.FLOAT32, 4, n, 3L * size);
        byHand.backward(dy);
        for (int i = 0; i < 3; i++) {
            expected[i] = inputs[i].grad().mul(1);
            inputs[i].zeroGrad();
        }
        Tensor y = Functional.addLowRank(
                Functional.linear(x, w, null), x, a, b, 2, new int[] {0, 2 * size}, new int[] {size, size});
        y.backward(dy);
        for (int i = 0; i < 3; i++) {
            found[i] = inputs[i].grad();
        }
        assertNear(y, byHand);
        for (int i = 0; i < 3; i++) {
            assertNear(found[i], expected[i]);
        }
    }

    private static Tensor lowRank(Tensor x, Tensor a, Tensor b) {
        return Functional.linear(Functional.linear(x, a, null), b, null).mul(2);
    }

    private static void assertNear(Tensor found, Tensor expected) {
        float[] e = expected.toFloats();
        float[] f = found.toFloats();
        float largest = 1;
        for (float value : e) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < e.length; i++) {
            assertThat(f[i]).isCloseTo(e[i], within(2e-5f * largest));
        }
    }

    @Test
    void aRowHasTheSameBitsAloneAndAmongOthers() {
        int in = 300;
        for (int r : new int[] {1, 8, 40}) {
            Tensor x = random(DType.FLOAT32, 0, 37, in);
            Tensor a = random(DType.FLOAT32, 1, 2L * r, in);
            Tensor b = random(DType.FLOAT32, 2, 100, r);
            Tensor y = random(DType.FLOAT32, 3, 37, 130);
            Tensor alone = y.mul(1);
            Functional.addLowRank(y, x, a, b, 0.5, new int[] {3, 70}, new int[] {40, 60});
            for (int i = 0; i < 37; i++) {
                Tensor row = alone.narrow(0, i, 1);
                Functional.addLowRank(row, x.narrow(0, i, 1), a, b, 0.5, new int[] {3, 70}, new int[] {40, 60});
                assertThat(row.toFloats()).isEqualTo(y.narrow(0, i, 1).toFloats());
            }
        }
    }

    @Test
    void shapesThatDoNotFitAreTold() {
        Tensor x = random(DType.FLOAT32, 0, 4, 6);
        Tensor a = random(DType.FLOAT32, 1, 2, 6);
        Tensor b = random(DType.FLOAT32, 2, 5, 3);
        Tensor y = random(DType.FLOAT32, 3, 4, 5);
        assertThatThrownBy(() -> Functional.addLowRank(y, x, a, b, 1, new int[] {0}, new int[] {5}))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("addLowRank");
        assertThatThrownBy(() -> Functional.addLowRank(y, x, a, b, 1, new int[] {1}, new int[] {5}))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("columns 1 to 6");
        assertThat(Arrays.stream(y.toDoubles()).allMatch(Double::isFinite)).isTrue();
    }
}
