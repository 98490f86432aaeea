package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Views and copies in another order: values, shared memory, gradients and errors. */
class MovementTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    /** 0, 1, 2, ... in a shape. */
    private static Tensor counted(long... shape) {
        return Tensor.arange(DType.FLOAT32, Layout.count(shape)).reshape(shape);
    }

    private static void check(Function<Tensor, Tensor> f, long... shape) {
        GradCheck.check(t -> f.apply(t[0]), Tensor.randn(DType.FLOAT64, Rng.of(3), 1, shape));
    }

    @Test
    void createsRangesAndIdentities() {
        assertThat(Tensor.arange(DType.INT64, 4).toInts()).containsExactly(0, 1, 2, 3);
        assertThat(Tensor.arange(DType.FLOAT32, 1, 0, -0.25).toFloats()).containsExactly(1, 0.75f, 0.5f, 0.25f);
        assertThat(Tensor.arange(DType.INT32, 2, 2, 1).shape()).containsExactly(0);
        assertThatThrownBy(() -> Tensor.arange(DType.INT32, 0, 3, -1)).hasMessageContaining("steps of -1");
        assertThat(Tensor.linspace(DType.FLOAT64, -1, 1, 5).toDoubles()).containsExactly(-1, -0.5, 0, 0.5, 1);
        assertThat(Tensor.linspace(DType.FLOAT64, 3, 9, 1).toDoubles()).containsExactly(3);
        assertThat(Tensor.eye(DType.INT32, 2).toInts()).containsExactly(1, 0, 0, 1);
        Tensor x = counted(2, 3);
        assertThat(Tensor.onesLike(x).shape()).containsExactly(2, 3);
        assertThat(Tensor.zerosLike(x).toFloats()).containsOnly(0);
        assertThat(Tensor.fullLike(x, 2.5).toFloats()).containsOnly(2.5f);
    }

    @Test
    void viewsShareMemoryWhereTheLayoutAllows() {
        Tensor x = counted(2, 3, 4);
        Tensor turned = x.permute(2, 0, 1); // [4, 2, 3] whose last two lie as one
        assertThat(turned.view(4, 6).storage()).isSameAs(x.storage());
        assertThat(turned.view(4, 6).toFloats()).isEqualTo(turned.toFloats());
        assertThat(turned.view(2, 2, 1, 3, 2).toFloats()).isEqualTo(turned.toFloats());
        assertThatThrownBy(() -> turned.view(8, 3))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("[4, 2, 3]")
                .hasMessageContaining("reshape()");
        assertThat(turned.reshape(8, 3).storage()).isNotSameAs(x.storage());
        assertThat(turned.reshape(8, 3).toFloats()).isEqualTo(turned.toFloats());
        Tensor every = x.slice(2, 0, 4, 2).slice(0, 1); // strides [12, 4, 2] from 12
        assertThat(every.view(6).toFloats()).containsExactly(12, 14, 16, 18, 20, 22);
        assertThat(Tensor.full(DType.FLOAT32, 3).expand(4, 5).view(20).storage().length())
                .isEqualTo(1);
        assertThat(x.view(1, 24, 1).squeeze().shape()).containsExactly(24);
        assertThat(x.narrow(0, 0, 0).view(5, 0).shape()).containsExactly(5, 0);
        x.select(0, -1).fill(7);
        assertThat(turned.select(1, 1).toFloats()).containsOnly(7);
    }

    @Test
    void addsAndRemovesDimensions() {
        Tensor x = counted(2, 1, 3);
        assertThat(x.squeeze().shape()).containsExactly(2, 3);
        assertThat(x.squeeze(1).shape()).containsExactly(2, 3);
        assertThat(x.squeeze(0).shape()).containsExactly(2, 1, 3);
        assertThat(x.unsqueeze(-1).shape()).containsExactly(2, 1, 3, 1);
        assertThat(x.unsqueeze(0).shape()).containsExactly(1, 2, 1, 3);
        assertThat(x.flatten().shape()).containsExactly(6);
        assertThat(x.flatten(0, 1).shape()).containsExactly(2, 3);
        assertThat(counted(2, 3).t().shape()).containsExactly(3, 2);
        assertThatThrownBy(() -> x.t()).hasMessageContaining("transpose()");
        assertThatThrownBy(() -> x.unsqueeze(5)).hasMessageContaining("dimension 5");
        assertThatThrownBy(() -> x.reshape(4, -1)).hasMessageContaining("[2, 1, 3]");
    }

    @Test
    void slicesAsPythonDoes() {
        Tensor x = counted(6);
        assertThat(x.slice(0, -2).toFloats()).containsExactly(4, 5);
        assertThat(x.slice(0, 1, -2).toFloats()).containsExactly(1, 2, 3);
        assertThat(x.slice(0, 0, 100, 4).toFloats()).containsExactly(0, 4);
        assertThat(x.slice(0, -100, 1).toFloats()).containsExactly(0);
        assertThat(x.slice(0, 4, 2).shape()).containsExactly(0);
        assertThatThrownBy(() -> x.slice(0, 0, 6, -1)).hasMessageContaining("flip()");
        assertThat(x.select(0, -1).item()).isEqualTo(5);
        assertThatThrownBy(() -> x.select(0, 6)).hasMessageContaining("index 6").hasMessageContaining("[6]");
        assertThat(counted(3, 4).diagonal(1, 0, 1).toFloats()).containsExactly(1, 6, 11);
        assertThat(counted(3, 4).diagonal(-1, 0, 1).toFloats()).containsExactly(4, 9);
        assertThat(counted(3, 4).diagonal(-1, 1, 0).toFloats()).containsExactly(1, 6, 11);
        assertThat(counted(3, 4).diagonal(9, 0, 1).shape()).containsExactly(0);
    }

    @Test
    void splitsIntoViews() {
        Tensor x = counted(7, 2);
        assertThat(sizes(x.split(3, 0))).containsExactly(3, 3, 1);
        assertThat(sizes(x.split(new long[] {2, 5}, 0))).containsExactly(2, 5);
        assertThat(sizes(x.chunk(3, 0))).containsExactly(3, 3, 1);
        assertThat(sizes(x.chunk(4, 0))).containsExactly(2, 2, 2, 1);
        assertThat(x.unbind(1)[1].toFloats()).containsExactly(1, 3, 5, 7, 9, 11, 13);
        assertThat(x.split(3, 0)[1].storage()).isSameAs(x.storage());
        assertThatThrownBy(() -> x.split(new long[] {2, 4}, 0)).hasMessageContaining("[2, 4]");
        assertThatThrownBy(() -> x.split(0, 0)).hasMessageContaining("at least 1");
    }

    private static long[] sizes(Tensor[] parts) {
        return Arrays.stream(parts).mapToLong(part -> part.size(0)).toArray();
    }

    @Test
    void repeatsAndTurns() {
        Tensor x = counted(2, 2);
        assertThat(x.repeat(1, 2).toFloats()).containsExactly(0, 1, 0, 1, 2, 3, 2, 3);
        assertThat(x.repeat(2, 1, 1).shape()).containsExactly(2, 2, 2);
        assertThat(x.repeatInterleave(2, 1).toFloats()).containsExactly(0, 0, 1, 1, 2, 2, 3, 3);
        assertThat(x.flip(0, 1).toFloats()).containsExactly(3, 2, 1, 0);
        assertThat(counted(2, 3).t().flip(0).toFloats()).containsExactly(2, 5, 1, 4, 0, 3);
        assertThat(counted(5).roll(2, 0).toFloats()).containsExactly(3, 4, 0, 1, 2);
        assertThat(counted(5).roll(-6, 0).toFloats()).containsExactly(1, 2, 3, 4, 0);
        assertThat(counted(1, 3).expand(2, -1).toFloats()).containsExactly(0, 1, 2, 0, 1, 2);
        assertThat(Tensor.arange(DType.INT64, 3).flip(0).toInts()).containsExactly(2, 1, 0);
        assertThatThrownBy(() -> x.repeat(2)).hasMessageContaining("[2, 2]");
        assertThatThrownBy(() -> counted(2, 3).broadcastTo(3, 3)).hasMessageContaining("[3, 3]");
    }

    @Test
    void padsAndCuts() {
        Tensor x = counted(2, 3);
        assertThat(x.pad(9, 1, 0).toFloats()).containsExactly(9, 0, 1, 2, 9, 3, 4, 5);
        assertThat(x.pad(9, -1, 0, 0, 1).toFloats()).containsExactly(1, 2, 4, 5, 9, 9);
        assertThatThrownBy(() -> x.pad(0, 1)).hasMessageContaining("a pair for each dimension");
        assertThatThrownBy(() -> x.pad(0, -2, -2)).hasMessageContaining("more");
        assertThat(Tensor.cat(0, x, x.narrow(0, 1, 1)).toFloats()).containsExactly(0, 1, 2, 3, 4, 5, 3, 4, 5);
        assertThat(Tensor.stack(-1, counted(2), counted(2)).toFloats()).containsExactly(0, 0, 1, 1);
        assertThatThrownBy(() -> Tensor.cat(0, x, counted(3)))
                .hasMessageContaining("[3]")
                .hasMessageContaining("[2, 3]");
        assertThatThrownBy(() -> Tensor.cat(0, x, x.to(DType.FLOAT64))).hasMessageContaining("FLOAT64");
    }

    @Test
    void triangles() {
        assertThat(counted(2, 3).add(1).tril(0).toFloats()).containsExactly(1, 0, 0, 4, 5, 0);
        assertThat(counted(2, 3).add(1).triu(1).toFloats()).containsExactly(0, 2, 3, 0, 0, 6);
        assertThat(counted(3, 2).add(1).triu(-1).toFloats()).containsExactly(1, 2, 3, 4, 0, 6);
        Tensor mask = counted(2, 3).gt(3);
        assertThat(counted(2, 3).maskedFill(mask, -1).toFloats()).containsExactly(0, 1, 2, 3, -1, -1);
        assertThatThrownBy(() -> counted(3).maskedFill(mask, -1)).hasMessageContaining("[2, 3]");
    }

    @Test
    void gradients() {
        check(x -> x.permute(2, 0, 1).view(4, 6), 2, 3, 4);
        check(x -> x.transpose(0, 1).flatten(1, 2), 2, 3, 4);
        check(x -> x.unsqueeze(1).expand(3, 5, -1).square(), 3, 2);
        check(x -> x.squeeze().mul(x.squeeze(0).t().squeeze()), 1, 3);
        check(x -> x.slice(1, -3, -1).add(x.slice(1, 0, 4, 2)), 2, 4);
        check(x -> x.select(1, -1), 2, 3, 2);
        check(x -> x.diagonal(1, 1, 2).square(), 2, 3, 4);
        check(x -> x.split(3, 1)[1].mul(x.chunk(2, 1)[0].sum()), 2, 4);
        check(x -> Tensor.stack(1, x.unbind(1)[2], x.unbind(1)[0], x.unbind(1)[0]), 2, 3);
        check(x -> x.repeat(2, 1, 3), 2, 3);
        check(x -> x.repeatInterleave(3, 0).square(), 2, 3);
        check(x -> x.flip(0, 2).mul(x), 2, 3, 2);
        check(x -> x.roll(2, 1).mul(x), 2, 5);
        check(x -> x.pad(0.5, 1, -1, 2, 0).square(), 2, 3);
        check(x -> x.tril(-1).add(x.triu(1).square()), 3, 3);
        Tensor mask = counted(3).gt(0);
        check(x -> x.maskedFill(mask, 4).square(), 2, 3);
    }
}
