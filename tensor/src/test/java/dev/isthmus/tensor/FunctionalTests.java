package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.KernelCall.UnaryOp;
import java.util.Arrays;
import java.util.function.Function;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The gradients of losses, norms and attention against central differences, and what their arguments must be. */
class FunctionalTests {
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
        return Tensor.randn(DType.FLOAT64, Rng.of(23).split("input", drawn++), 1, shape);
    }

    private Tensor positive(long... shape) {
        return random(shape).square().add(0.3).detach();
    }

    private static Tensor ints(int... values) {
        return Tensor.of(values, values.length);
    }

    private static void check(Function<Tensor[], Tensor> f, Tensor... inputs) {
        GradCheck.check(f, inputs);
    }

    @ParameterizedTest
    @EnumSource
    void lossesOfClasses(Reduction reduction) {
        Tensor target = ints(3, -100, 0, 2);
        Tensor weight = positive(5);
        for (double smoothing : new double[] {0, 0.15}) {
            check(t -> Functional.crossEntropy(t[0], target, weight, -100, reduction, smoothing), random(4, 5));
            check(t -> Functional.crossEntropy(t[0], ints(1, 0, 3, 3), null, 3, reduction, smoothing), random(4, 5));
        }
        check(t -> Functional.nllLoss(t[0], target, weight, -100, reduction), random(4, 5));
        check(t -> Functional.crossEntropy(t[0], target.reshape(2, 2), weight, -100, reduction, 0.1), random(2, 5, 2));
    }

    @Test
    void dropout() {
        check(t -> Functional.dropout(t[0], 0.4, Rng.of(3)).square(), random(5, 7));
        Tensor ones = Tensor.full(DType.FLOAT64, 1, 100, 100);
        double[] y = Functional.dropout(ones, 0.25, Rng.of(3)).toDoubles();
        Rng drawn = Rng.of(3);
        for (double value : y) {
            assertThat(value).isEqualTo(drawn.nextFloat() < 0.25 ? 0 : 1 / 0.75);
        }
        assertThat(Arrays.stream(y).filter(value -> value == 0).count()).isBetween(2350L, 2650L);
        assertThat(Functional.dropout(ones, 0, Rng.of(3))).isSameAs(ones);
        assertThatThrownBy(() -> Functional.dropout(ones, 1, Rng.of(3)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("p must be at least 0 and below 1, found 1.0");
        assertThatThrownBy(() -> Functional.dropout(ints(1), 0.5, Rng.of(3))).isInstanceOf(TensorException.class);
    }

    @Test
    void lossesOfTokens() {
        Tensor ids = ints(1, 4, -100, 2, 0, 0).reshape(2, 3);
        check(t -> Functional.causalLmLoss(t[0], ids), random(2, 3, 5));
        Tensor words = ints(1, 4, 3, 2, 0, 0).reshape(2, 3);
        check(t -> Functional.selectiveLogSoftmax(t[0], words), random(2, 3, 5));
        check(t -> Functional.entropyFromLogits(t[0]), random(2, 3, 5));
    }

    @ParameterizedTest
    @EnumSource
    void lossesOfNumbers(Reduction reduction) {
        check(t -> Functional.mseLoss(t[0], t[1], reduction), random(3, 4), random(3, 4));
        check(t -> Functional.huberLoss(t[0], t[1], reduction, 0.7), random(3, 4), random(3, 4));
        check(t -> Functional.smoothL1Loss(t[0], t[1], reduction, 0.4), random(3, 4), random(3, 4));
        check(t -> Functional.smoothL1Loss(t[0], t[1], reduction, 0), random(3, 4), random(3, 4));
        check(t -> Functional.klDiv(t[0], t[1], reduction, true), random(3, 4), random(3, 4));
        check(t -> Functional.klDiv(t[0], t[1], reduction, false), random(3, 4), positive(3, 4));
        check(
                t -> Functional.binaryCrossEntropyWithLogits(t[0], t[1], t[2], reduction, t[3]),
                random(3, 4),
                positive(3, 4),
                positive(4),
                positive(3, 1));
    }

    @Test
    void norms() {
        check(
                t -> Functional.layerNorm(t[0], new long[] {3, 4}, t[1], t[2], 1e-5),
                random(2, 3, 4),
                random(3, 4),
                random(3, 4));
        check(t -> Functional.layerNorm(t[0], null, t[1], 1e-5), random(2, 4), random(4));
        check(t -> Functional.rmsNorm(t[0], null, 1e-5), random(2, 4));
        check(
                t -> Functional.rmsNorm(t[0], t[1].reshape(2, 2).transpose(0, 1).reshape(4), 1e-5),
                random(2, 4),
                random(4));
    }

    @Test
    void attentionInOneCall() {
        for (boolean causal : new boolean[] {true, false}) {
            check(
                    t -> Functional.scaledDotProductAttention(t[0], t[1], t[2], causal),
                    random(2, 2, 3, 2),
                    random(2, 2, 3, 2),
                    random(2, 2, 3, 2));
            check(
                    t -> Functional.scaledDotProductAttention(
                            t[0].transpose(1, 2), t[1].transpose(1, 2), t[2], null, causal, 0.6, true),
                    random(2, 3, 4, 2),
                    random(2, 3, 2, 2),
                    random(2, 2, 3, 2));
        }
    }

    @Test
    void attentionWithMasks() {
        Tensor keys = ints(0, 0, 1, 1, 1, 1).reshape(2, 1, 1, 3).to(DType.BOOL);
        for (boolean causal : new boolean[] {true, false}) {
            check(
                    t -> Functional.scaledDotProductAttention(t[0], t[1], t[2], keys, causal, null, true),
                    random(2, 4, 3, 2),
                    random(2, 2, 3, 2),
                    random(2, 2, 3, 2));
            check(
                    t -> Functional.scaledDotProductAttention(t[0], t[1], t[2], t[3], causal, 0.6, false),
                    random(2, 2, 2, 2),
                    random(2, 2, 4, 2),
                    random(2, 2, 4, 3),
                    random(2, 1, 2, 4));
        }
    }

    @Test
    void whatIsMaskedCannotBeSeen() {
        Tensor q = random(1, 2, 3, 4);
        Tensor k = random(1, 2, 3, 4);
        Tensor v = random(1, 2, 3, 4);
        Tensor mask = ints(1, 1, 0).reshape(1, 1, 1, 3).to(DType.BOOL);
        double[] masked = Functional.scaledDotProductAttention(q, k, v, mask, false, null, false)
                .toDoubles();
        double[] without = Functional.scaledDotProductAttention(q, k.narrow(2, 0, 2), v.narrow(2, 0, 2), false)
                .toDoubles();
        assertThat(masked).containsExactly(without, within(1e-12));
        Tensor nothing = Tensor.zeros(DType.BOOL, 3, 3);
        Tensor none = Functional.scaledDotProductAttention(q, k, v, nothing, false, null, false);
        assertThat(none.toDoubles()).containsOnly(0);
    }

    @Test
    void aCacheGivesTheRowsOfTheWhole() {
        Tensor q = random(2, 2, 5, 4);
        Tensor k = random(2, 2, 5, 4);
        Tensor v = random(2, 2, 5, 4);
        Tensor whole = Functional.scaledDotProductAttention(q, k, v, true);
        Tensor last = Functional.scaledDotProductAttention(q.narrow(2, 3, 2), k, v, true);
        assertThat(last.toDoubles()).containsExactly(whole.narrow(2, 3, 2).toDoubles(), within(1e-12));
    }

    @Test
    void headsSideBySideAreNotCopied() {
        Tensor tokens = random(2, 3, 4, 5);
        Tensor heads = tokens.transpose(1, 2);
        assertThat(heads.transpose(1, 2).contiguous().storage()).isSameAs(tokens.storage());
        Tensor out = Functional.scaledDotProductAttention(heads, heads, heads, true);
        assertThat(out.transpose(1, 2).layout().isContiguous()).isTrue();
    }

    @Test
    void rotary() {
        Tensor angles = random(6, 2);
        Tensor cos = angles.unary(UnaryOp.COS);
        Tensor sin = angles.unary(UnaryOp.SIN);
        for (boolean interleaved : new boolean[] {true, false}) {
            check(t -> Functional.rotary(t[0], cos, sin, ints(0, 5, 2), interleaved), random(2, 2, 3, 4));
            check(
                    t -> Functional.rotary(
                            t[0].transpose(1, 2),
                            cos,
                            sin,
                            ints(0, 5, 2, 1, 1, 4).reshape(2, 1, 3),
                            interleaved),
                    random(2, 3, 2, 5));
        }
        Tensor x = random(3, 4);
        double[] before = x.toDoubles();
        Functional.rotary(x, cos, sin, ints(1, 2, 3), false);
        assertThat(x.toDoubles()).isEqualTo(before);
    }

    @Test
    void gatedLayerKeepsItsShape() {
        check(t -> Functional.swiGlu(t[0]), random(2, 3, 6));
        assertThat(Functional.swiGlu(random(2, 3, 6)).shape()).containsExactly(2, 3, 3);
    }

    @Test
    void aMeanOfNothingIsNotANumber() {
        Tensor logits = random(2, 3).requireGrad();
        Tensor loss = Functional.crossEntropy(logits, ints(-100, -100));
        assertThat(loss.item()).isNaN();
        loss.backward();
        assertThat(logits.grad().toDoubles()).containsOnly(0);
    }

    @Test
    void aWordWithoutProbabilityHasNoEntropy() {
        Tensor logits =
                Tensor.of(new double[] {1, Double.NEGATIVE_INFINITY, 1}, 3).requireGrad();
        Tensor entropy = Functional.entropyFromLogits(logits);
        assertThat(entropy.item()).isCloseTo(Math.log(2), within(1e-12));
        entropy.backward();
        assertThat(logits.grad().toDoubles()).containsExactly(new double[3], within(1e-12));
    }

    @Test
    void argumentsThatDoNotFitAreNamed() {
        assertThatThrownBy(() -> Functional.crossEntropy(random(2, 3), ints(1, 3)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("target 3")
                .hasMessageContaining("3 classes");
        assertThatThrownBy(() -> Functional.crossEntropy(random(2, 3), ints(1))).hasMessageContaining("[2, 3]");
        assertThatThrownBy(() -> Functional.crossEntropy(random(2, 3), ints(1, 1), random(4), -100, Reduction.MEAN, 0))
                .hasMessageContaining("class weights");
        assertThatThrownBy(() -> Functional.mseLoss(random(2, 3), random(3), Reduction.MEAN))
                .hasMessageContaining("[3]");
        assertThatThrownBy(() -> Functional.scaledDotProductAttention(
                        random(1, 4, 2, 2), random(1, 2, 2, 2), random(1, 2, 2, 2), true))
                .hasMessageContaining("enableGqa");
        assertThatThrownBy(() -> Functional.scaledDotProductAttention(
                        random(1, 2, 2, 2),
                        random(1, 2, 2, 2),
                        random(1, 2, 2, 2),
                        random(3, 2, 2, 2),
                        true,
                        null,
                        false))
                .hasMessageContaining("mask");
        assertThatThrownBy(() -> Functional.rotary(random(2, 4), random(3, 2), random(3, 2), ints(0, 3), false))
                .hasMessageContaining("position 3");
        assertThatThrownBy(() -> Functional.layerNorm(random(2, 3), new long[] {2}, null, null, 1e-5))
                .hasMessageContaining("normalized shape [2]");
        assertThatThrownBy(() -> Functional.rmsNorm(random(2, 3), Tensor.of(new float[3], 3), 1e-5))
                .hasMessageContaining("FLOAT32");
    }

    private static Offset<Double> within(double offset) {
        return Offset.offset(offset);
    }
}
