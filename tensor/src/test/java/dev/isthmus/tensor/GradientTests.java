package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Every gradient rule against central differences in float64, on the scalar twin. */
class GradientTests {
    private Scope scope;
    private int drawn;

    @BeforeEach
    void open() {
        scope = Scope.open(Device.scalar());
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private Tensor random(long... shape) {
        return Tensor.randn(DType.FLOAT64, Rng.of(11).split("input", drawn++), 1, shape);
    }

    private Tensor positive(long... shape) {
        return random(shape).square().add(0.3).detach();
    }

    private static void check(Function<Tensor[], Tensor> f, Tensor... inputs) {
        GradCheck.check(f, inputs);
    }

    @ParameterizedTest
    @EnumSource(
            mode = Mode.EXCLUDE,
            names = {"LOG", "LOG1P", "SQRT", "RSQRT", "AFFINE", "POW", "CLAMP", "SOFTPLUS"})
    void unary(UnaryOp op) {
        check(t -> t[0].unary(op), random(3, 5));
    }

    @ParameterizedTest
    @EnumSource(
            mode = Mode.INCLUDE,
            names = {"LOG", "LOG1P", "SQRT", "RSQRT"})
    void unaryOfPositive(UnaryOp op) {
        check(t -> t[0].unary(op), positive(3, 5));
    }

    @Test
    void constants() {
        check(t -> t[0].mul(-2.5).add(0.7), random(4));
        check(t -> t[0].pow(3), random(4));
        check(t -> t[0].pow(-0.5), positive(4));
        check(t -> t[0].clamp(-0.4, 0.6), random(9));
        check(t -> t[0].clampMin(-0.4).add(t[0].clampMax(0.2)), random(9));
        check(t -> t[0].remainder(0.7), random(9));
        check(t -> Functional.softplus(t[0], 1.5, 2), random(20));
        check(t -> Functional.leakyRelu(t[0], 0.1), random(9));
        check(t -> Functional.elu(t[0], 1.3), random(9));
    }

    @Test
    void binaryBroadcast() {
        check(t -> t[0].add(t[1]), random(2, 3, 4), random(3, 1));
        check(t -> t[0].sub(t[1]), random(4), random(2, 3, 4));
        check(t -> t[0].mul(t[1]), random(2, 3, 4), random(3, 1));
        check(t -> t[0].div(t[1]), random(2, 1, 4), positive(3, 1));
        check(t -> t[0].pow(t[1]), positive(2, 3), random(3));
        check(t -> t[0].remainder(t[1]), random(2, 3), positive(3));
        check(t -> t[0].maximum(t[1]), random(2, 3), random(3));
        check(t -> t[0].minimum(t[1]), random(2, 3), random(3));
        Tensor condition = random(2, 3).gt(0);
        check(t -> t[0].where(condition, t[1]), random(2, 3), random(3));
    }

    @Test
    void reductions() {
        check(t -> t[0].sum(), random(2, 3, 4));
        check(t -> t[0].mean(1, true), random(2, 3, 4));
        check(t -> t[0].sum(new int[] {0, 2}, true), random(2, 3, 4));
        check(t -> t[0].mean(new int[] {1, -1}, false), random(2, 3, 4));
        check(t -> t[0].var(1), random(2, 3, 4));
        check(t -> t[0].var(new int[] {0, 2}, 0, false), random(2, 3, 4));
        check(t -> t[0].std(-1, 1, true), random(2, 3, 4));
        check(t -> t[0].prod(), random(5));
        check(t -> t[0].prod(1, false), Tensor.of(new double[] {1, 0, 3, 0, 5, 0, 2, -1, 4}, 3, 3));
        check(t -> t[0].logsumexp(new int[] {0, 2}, false), random(2, 3, 4));
        for (double p : new double[] {1, 2, 3, Double.POSITIVE_INFINITY}) {
            check(t -> t[0].norm(p), random(2, 5));
            check(t -> t[0].norm(p, 1, true), random(2, 5));
        }
        check(t -> t[0].max().add(t[0].min()), random(2, 3));
        check(t -> t[0].amax(new int[] {0, 2}, false), random(2, 3, 4));
        check(t -> t[0].amin(new int[] {1}, true), random(2, 3, 4));
        check(t -> t[0].cumprod(1), random(2, 5, 2));
        check(t -> t[0].cumprod(-1), Tensor.of(new double[] {1, 2, 3, 4, 5, 0, 2, 0, 4, 0, 1, 2, 3, 4, 5, 6}, 4, 4));
        check(t -> t[0].max(1, false), random(2, 3, 4));
        check(t -> t[0].min(-1, true), random(2, 3, 4));
        check(t -> t[0].cumsum(1), random(2, 3, 4));
        check(t -> t[0].softmax(1), random(2, 3, 4));
        check(t -> t[0].logSoftmax(-1), random(2, 5));
    }

    @Test
    void cornersOfReductions() {
        Tensor x = Tensor.of(new double[] {2, 2, 1, 2}, 4).requireGrad();
        x.max().backward();
        assertThat(x.grad().toDoubles()).containsExactly(1 / 3.0, 1 / 3.0, 0, 1 / 3.0);
        x.zeroGrad();
        x.max(0, false).backward();
        assertThat(x.grad().toDoubles()).containsExactly(1, 0, 0, 0);
        Tensor same = Tensor.full(DType.FLOAT64, 3, 4).requireGrad();
        same.std(1).backward();
        assertThat(same.grad().toDoubles()).containsOnly(0);
        Tensor zero = Tensor.zeros(DType.FLOAT64, 3).requireGrad();
        zero.norm(2).backward();
        assertThat(zero.grad().toDoubles()).containsOnly(0);
        double inf = Double.POSITIVE_INFINITY;
        Tensor ends = Tensor.of(new double[] {-inf, -inf, 0, inf}, 2, 2);
        assertThat(ends.logsumexp(1, false).toDoubles()).containsExactly(-inf, inf);
        assertThat(random(1).var(1).item()).isNaN();
        Tensor nan = Tensor.of(new double[] {1, Double.NaN, 7}, 3);
        assertThat(nan.max().item()).isNaN();
        assertThat(nan.argmin().toInts()).containsExactly(1);
        assertThat(Tensor.of(new double[] {2, 7, 7}, 3).argmax().toInts()).containsExactly(1);
        assertThatThrownBy(() -> Tensor.zeros(DType.FLOAT64, 0).max()).hasMessageContaining("no elements");
        assertThatThrownBy(() -> x.sum(new int[] {0, -1}, false)).hasMessageContaining("twice");
    }

    @Test
    void powersAndExtremesAtTheirCorners() {
        Tensor a = Tensor.of(new double[] {0, 0, 2}, 3).requireGrad();
        Tensor b = Tensor.of(new double[] {0, 2, 0}, 3).requireGrad();
        a.pow(b).sum().backward();
        assertThat(a.grad().toDoubles()).containsExactly(0, 0, 0);
        assertThat(b.grad().toDoubles()).containsExactly(0, 0, Math.log(2));
        Tensor c = Tensor.of(new double[] {1, 2}, 2).requireGrad();
        Tensor d = Tensor.of(new double[] {1, 3}, 2).requireGrad();
        c.maximum(d).sum().backward();
        assertThat(c.grad().toDoubles()).containsExactly(0.5, 0);
        assertThat(d.grad().toDoubles()).containsExactly(0.5, 1);
    }

    @Test
    void movement() {
        check(t -> t[0].reshape(4, -1).mul(t[0].reshape(4, 6)), random(2, 3, 4));
        check(t -> t[0].permute(2, 0, 1), random(2, 3, 4));
        check(t -> t[0].transpose(0, 1).reshape(3, 8), random(2, 3, 4));
        check(t -> t[0].narrow(1, 1, 2).add(t[0].narrow(1, 0, 2)), random(2, 3, 4));
        check(t -> t[0].select(1, -1 + 3), random(2, 3, 4));
        check(t -> t[0].expand(5, 3, 4), random(1, 3, 4));
        check(t -> Tensor.cat(1, t[0], t[1], t[0]), random(2, 3), random(2, 2));
        Tensor index = Tensor.of(new int[] {1, 1, 2, 0, 0, 0}, 2, 3);
        check(t -> t[0].gather(1, index), random(2, 3));
    }

    @Test
    void matrixProducts() {
        check(t -> t[0].matmul(t[1]), random(2, 3), random(3, 4));
        check(t -> t[0].matmul(t[1]), random(2, 1, 2, 3), random(3, 3, 4));
        check(t -> t[0].matmul(t[1]), random(3), random(2, 3, 4));
        check(t -> t[0].matmul(t[1]), random(3), random(3));
        check(t -> Functional.linear(t[0], t[1], t[2]), random(2, 3, 5), random(4, 5), random(4));
        check(t -> Functional.linear(t[0], t[1], null), random(3, 5), random(4, 5));
        check(t -> Functional.conv1d(t[0], t[1], t[2]), random(3, 5), random(5, 4), random(4));
    }

    @Test
    void normsAndActivations() {
        check(t -> Functional.rmsNorm(t[0], t[1], 1e-5), random(3, 5), random(5));
        check(t -> Functional.layerNorm(t[0], t[1], t[2], 1e-5), random(3, 5), random(5), random(5));
        check(t -> Functional.layerNorm(t[0], null, null, 1e-5), random(3, 5));
        check(t -> Functional.swiGlu(t[0]), random(3, 6));
        check(t -> Functional.rmsNorm(t[0].add(t[0].square()), t[1], 1e-5).add(t[0]), random(3, 5), random(5));
    }

    @Test
    void attentionWithinSequences() {
        Ragged ragged = new Ragged(new int[] {0, 3, 4, 8});
        for (boolean causal : new boolean[] {true, false}) {
            Heads heads = new Heads(4, 2, 2, 0.7, causal);
            check(t -> Functional.attention(t[0], ragged, heads), random(8, 16));
        }
        Heads local = new Heads(4, 2, 2, 0.7, true, 2, 0.9);
        check(t -> Functional.attention(t[0], ragged, local), random(8, 16));
    }

    @Test
    void rotary() {
        Tensor angles = random(6, 2);
        Tensor cos = angles.unary(UnaryOp.COS);
        Tensor sin = angles.unary(UnaryOp.SIN);
        Tensor position = Tensor.of(new int[] {0, 1, 2, 5}, 4);
        for (boolean interleaved : new boolean[] {true, false}) {
            check(
                    t -> Functional.rotaryInPlace(t[0].mul(1.5), 2, 4, cos, sin, position, interleaved)
                            .square(),
                    random(4, 10));
        }
    }

    @Test
    void losses() {
        Tensor target = Tensor.of(new int[] {3, -100, 0, 4}, 4);
        check(t -> Functional.tokenLoss(t[0], target, 0.8, true).loss(), random(4, 5));
        check(t -> Functional.tokenLoss(t[0], target, 0.8, true).entropy(), random(4, 5));
        Tensor ids = Tensor.of(new int[] {1, 1, 0, 4}, 4);
        check(t -> Functional.embedding(t[0], ids), random(5, 3));
    }

    @Test
    void aTensorUsedManyTimesCollectsAllGradients() {
        check(t -> t[0].mul(t[0]).sum().add(t[0].exp().mul(t[0]).mean().mul(t[0].sum())), random(2, 3));
    }

    @Test
    void aWrongRuleIsCaught() {
        Function<Tensor[], Tensor> wrong = t -> {
            Tensor y = t[0].detach().square();
            return Autograd.record("wrong", y, dy -> t[0].addGrad(dy.mul(t[0])), t[0]);
        };
        assertThatThrownBy(() -> GradCheck.check(wrong, random(3))).hasMessageContaining("central differences");
    }

    @Test
    void gradientsAccumulateUntilForgotten() {
        Tensor x = random(3).requireGrad();
        x.square().sum().backward();
        x.square().sum().backward();
        double[] twice = x.grad().toDoubles();
        assertThat(twice).isEqualTo(Arrays.stream(x.toDoubles()).map(v -> 4 * v).toArray());
        x.zeroGrad();
        assertThat(x.grad()).isNull();
        x.square().sum().backward();
        assertThat(x.grad().toDoubles()[0]).isEqualTo(2 * x.toDoubles()[0]);
    }

    @Test
    void aSecondBackwardOfOneGraphIsAnError() {
        Tensor loss = random(3).requireGrad().square().sum();
        loss.backward();
        assertThatThrownBy(loss::backward).isInstanceOf(TensorException.class).hasMessageContaining("already used");
    }

    @Test
    void aTensorOfAClosedScopeIsAnError() {
        Tensor x;
        try (Scope inner = Scope.open(Device.scalar())) {
            x = random(3);
        }
        assertThatThrownBy(() -> x.add(x)).isInstanceOf(ScopeException.class).hasMessageContaining("scope closed");
    }

    @Test
    void shapesThatDoNotFitAreNamed() {
        assertThatThrownBy(() -> random(2, 3).add(random(4)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("[2, 3]")
                .hasMessageContaining("[4]");
        assertThatThrownBy(() -> random(2, 3).matmul(random(4, 2))).hasMessageContaining("inner sizes 3 and 4");
    }
}
