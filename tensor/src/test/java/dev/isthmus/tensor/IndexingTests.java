package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Elements picked by index, and their order: values, gradients and errors. */
class IndexingTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor index(int... values) {
        return Tensor.of(values, values.length);
    }

    private static Tensor counted(long... shape) {
        return Tensor.arange(DType.FLOAT32, Layout.count(shape)).reshape(shape);
    }

    private static void check(Function<Tensor[], Tensor> f, long[]... shapes) {
        Tensor[] inputs = new Tensor[shapes.length];
        for (int i = 0; i < shapes.length; i++) {
            inputs[i] = Tensor.randn(DType.FLOAT64, Rng.of(3).split("input", i), 1, shapes[i]);
        }
        GradCheck.check(f, inputs);
    }

    private static long[] shape(long... sizes) {
        return sizes;
    }

    @ParameterizedTest
    @EnumSource(
            mode = Mode.INCLUDE,
            names = {"INT32", "INT64"})
    void picksWithBothIndexTypes(DType type) {
        Tensor x = counted(3, 4);
        Tensor rows = index(2, 0, 2).to(type);
        assertThat(x.indexSelect(0, rows).toFloats()).containsExactly(8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11);
        assertThat(x.t().indexSelect(1, rows).toFloats())
                .isEqualTo(x.indexSelect(0, rows).t().toFloats());
        assertThat(x.gather(1, rows.view(3, 1)).toFloats()).containsExactly(2, 4, 10);
        assertThat(x.gather(1, rows.narrow(0, 0, 2).view(1, 2)).toFloats()).containsExactly(2, 0);
        assertThat(x.takeAlongDim(rows.view(1, 3), 1).toFloats()).containsExactly(2, 0, 2, 6, 4, 6, 10, 8, 10);
        assertThat(Functional.embedding(x, rows.view(1, 3)).shape()).containsExactly(1, 3, 4);
        assertThat(Functional.oneHot(rows, 3).toInts()).containsExactly(0, 0, 1, 1, 0, 0, 0, 0, 1);
        assertThat(Functional.oneHot(rows, 3).dtype()).isEqualTo(DType.INT64);
    }

    @Test
    void writes() {
        Tensor x = counted(2, 3);
        Tensor columns = Tensor.of(new int[] {2, 0, 1, 1}, 2, 2);
        Tensor src = Tensor.of(new float[] {10, 20, 30, 40}, 2, 2);
        assertThat(x.scatter(1, columns, src).toFloats()).containsExactly(20, 1, 10, 3, 40, 5);
        assertThat(x.scatter(1, columns, -1).toFloats()).containsExactly(-1, 1, -1, 3, -1, 5);
        assertThat(x.scatterAdd(1, columns, src).toFloats()).containsExactly(20, 1, 12, 3, 74, 5);
        assertThat(x.indexAdd(1, index(2, 2), src).toFloats()).containsExactly(0, 1, 32, 3, 4, 75);
        assertThat(x.indexAdd(0, index(1), src.view(1, 4).narrow(1, 0, 3)).toFloats())
                .containsExactly(0, 1, 2, 13, 24, 35);
        assertThat(x.toFloats()).containsExactly(0, 1, 2, 3, 4, 5);
        long large = (1L << 53) + 1;
        Tensor exact = Tensor.empty(DType.INT64, 2);
        exact.segment().setAtIndex(java.lang.foreign.ValueLayout.JAVA_LONG, 0, large);
        exact.segment().setAtIndex(java.lang.foreign.ValueLayout.JAVA_LONG, 1, large + 1);
        for (Device device : new Device[] {Device.cpu(), Device.scalar()}) {
            try (Scope _ = Scope.open(device)) {
                Tensor moved = exact.indexSelect(0, index(1, 0));
                assertThat(moved.segment().getAtIndex(java.lang.foreign.ValueLayout.JAVA_LONG, 1))
                        .isEqualTo(large);
                assertThat(exact.argsort(0, true).toInts()).containsExactly(1, 0);
            }
        }
    }

    @Test
    void masks() {
        Tensor x = counted(2, 3);
        assertThat(x.maskedSelect(x.gt(3)).toFloats()).containsExactly(4, 5);
        assertThat(x.maskedSelect(index(1, 0, 1).to(DType.FLOAT32)).toFloats()).containsExactly(0, 2, 3, 5);
        assertThat(x.gt(3).nonzero().toInts()).containsExactly(1, 1, 1, 2);
        assertThat(x.gt(9).nonzero().shape()).containsExactly(0, 2);
    }

    @Test
    void sortsStablyWithNanLargest() {
        Tensor x = Tensor.of(new float[] {1, Float.NaN, -1, 0, -0f, Float.POSITIVE_INFINITY}, 6);
        for (DType type : new DType[] {DType.FLOAT32, DType.FLOAT64}) {
            Tensor t = x.to(type);
            assertThat(t.argsort(0, false).toInts()).containsExactly(2, 3, 4, 0, 5, 1);
            assertThat(t.argsort(0, true).toInts()).containsExactly(1, 5, 0, 3, 4, 2);
            assertThat(t.topk(2, 0, true).indices().toInts()).containsExactly(1, 5);
            assertThat(t.topk(2, 0, false).values().toFloats()).containsExactly(-1, 0);
        }
        Tensor matrix = Tensor.of(new int[] {3, 1, 2, 9, 1, 5}, 3, 2);
        assertThat(matrix.sort(0, false).values().toInts()).containsExactly(1, 1, 2, 5, 3, 9);
        assertThat(matrix.sort(0, false).indices().toInts()).containsExactly(2, 0, 1, 2, 0, 1);
        assertThat(matrix.topk(0, 0, true).values().shape()).containsExactly(0, 2);
        assertThatThrownBy(() -> matrix.topk(4, 0, true))
                .hasMessageContaining("4 elements")
                .hasMessageContaining("[3, 2]");
    }

    @Test
    void gradients() {
        Tensor twice = Tensor.of(new int[] {1, 1, 2, 0, 0, 0}, 2, 3);
        check(t -> t[0].gather(1, twice), shape(2, 3));
        check(t -> t[0].transpose(0, 2).gather(1, twice.unsqueeze(0)), shape(4, 3, 2));
        check(t -> t[0].indexSelect(1, index(2, 0, 2, 2)), shape(2, 3, 2));
        check(t -> t[0].takeAlongDim(index(1, 1).view(2, 1), 0), shape(2, 3));
        check(t -> t[0].scatterAdd(1, twice, t[1]), shape(2, 4), shape(3, 4));
        check(t -> t[0].scatter(0, index(1, 0, 1).view(1, 3), t[1]).square(), shape(2, 3), shape(1, 3));
        check(t -> t[0].scatter(1, twice.narrow(1, 0, 1), 3).square(), shape(2, 3));
        check(t -> t[0].indexAdd(0, index(1, 1, 0), t[1]).square(), shape(2, 3), shape(3, 3));
        check(t -> t[0].maskedSelect(twice).square(), shape(2, 3));
        check(t -> t[0].sort(0, true).values().mul(t[0]), shape(4, 3));
        check(t -> t[0].topk(2, 1, true).values().mul(t[0].topk(2, 1, false).values()), shape(2, 5));
        check(t -> Functional.embedding(t[0], twice), shape(3, 2));
        check(t -> Functional.embedding(t[0].t(), index(1, 1)), shape(3, 2));
    }

    @Test
    void indicesOutsideAreNamed() {
        Tensor x = counted(2, 3);
        Tensor index = Tensor.of(new int[] {0, 1, 2, 3}, 2, 2);
        assertThatThrownBy(() -> x.gather(1, index))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("index 3 at [1, 1]")
                .hasMessageContaining("dimension 1, whose size is 3");
        assertThatThrownBy(() -> x.indexSelect(0, index(0, -1).to(DType.INT64)))
                .hasMessageContaining("index -1 at [1]");
        assertThatThrownBy(() -> x.scatterAdd(0, index, counted(2, 2))).hasMessageContaining("index 2 at [1, 0]");
        assertThatThrownBy(() -> Functional.embedding(x, index(2))).hasMessageContaining("embedding: index 2");
        assertThatThrownBy(() -> Functional.oneHot(index(5), 5)).hasMessageContaining("oneHot: index 5");
        assertThatThrownBy(() -> x.gather(1, counted(2, 2))).hasMessageContaining("FLOAT32");
        assertThatThrownBy(() -> x.gather(1, Tensor.zeros(DType.INT32, 3, 1))).hasMessageContaining("[3, 1]");
        assertThatThrownBy(() -> x.scatterAdd(1, index.narrow(1, 0, 1), counted(1, 1)))
                .hasMessageContaining("[1, 1]");
        assertThatThrownBy(() -> x.indexAdd(0, index(0), counted(2, 3))).hasMessageContaining("expected shape [1, 3]");
    }
}
