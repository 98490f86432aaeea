package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Changes in place: values, gradients, views, and what is refused. */
class InPlaceTests {
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
        return Tensor.randn(DType.FLOAT64, Rng.of(5).split("input", drawn++), 1, shape);
    }

    private static Tensor numbers(double... values) {
        return Tensor.of(values, values.length);
    }

    // ---- values ---------------------------------------------------------------------------------------------------

    @Test
    void eachWritesOverItsTensor() {
        Tensor x = numbers(1, 2, 6);
        Storage memory = x.storage();
        assertThat(x.add_(numbers(1, 0, 2)).toDoubles()).containsExactly(2, 2, 8);
        assertThat(x.sub_(numbers(1)).toDoubles()).containsExactly(1, 1, 7);
        assertThat(x.mul_(numbers(2, 3, 4)).toDoubles()).containsExactly(2, 3, 28);
        assertThat(x.div_(numbers(2, 3, 7)).toDoubles()).containsExactly(1, 1, 4);
        assertThat(x.add_(1).sub_(3).mul_(4).div_(2).toDoubles()).containsExactly(-2, -2, 4);
        assertThat(x.clamp_(-1, 3).toDoubles()).containsExactly(-1, -1, 3);
        assertThat(x.fill_(7).toDoubles()).containsExactly(7, 7, 7);
        assertThat(x.copy_(Tensor.of(new int[] {1, 2, 3}, 3)).toDoubles()).containsExactly(1, 2, 3);
        assertThat(x.zero_().toDoubles()).containsExactly(0, 0, 0);
        assertThat(x.storage()).isSameAs(memory);
    }

    @Test
    void aViewWritesThroughToWhatItViews() {
        Tensor x = Tensor.of(new double[] {1, 2, 3, 4, 5, 6}, 2, 3);
        x.narrow(1, 1, 2).mul_(10);
        assertThat(x.toDoubles()).containsExactly(1, 20, 30, 4, 50, 60);
        x.transpose(0, 1).select(0, 0).fill_(-1);
        assertThat(x.toDoubles()).containsExactly(-1, 20, 30, -1, 50, 60);
        x.transpose(0, 1).clamp_(0, 40);
        assertThat(x.toDoubles()).containsExactly(0, 20, 30, 0, 40, 40);
    }

    @Test
    void operandsInTheSameMemoryAreReadFirst() {
        Tensor x = numbers(1, 2, 3, 4);
        x.narrow(0, 1, 3).add_(x.narrow(0, 0, 3));
        assertThat(x.toDoubles()).containsExactly(1, 3, 5, 7);
        assertThat(x.add_(x).toDoubles()).containsExactly(2, 6, 10, 14);
        x.narrow(0, 1, 3).copy_(x.narrow(0, 0, 3));
        assertThat(x.toDoubles()).containsExactly(2, 2, 6, 10);
    }

    @Test
    void integersStayIntegers() {
        Tensor x = Tensor.of(new int[] {1, 2, 3}, 3);
        assertThat(x.add_(2).mul_(Tensor.of(new int[] {2, 2, 3}, 3)).toInts()).containsExactly(6, 8, 15);
        assertThatThrownBy(() -> x.mul_(0.5))
                .hasMessage("mul_: a tensor of INT32 cannot hold the result with 0.5; convert it first with to()");
        assertThatThrownBy(() -> x.add_(numbers(1, 2, 3))).hasMessageContaining("add_: a tensor of INT32 cannot hold");
        assertThatThrownBy(() -> x.div_(2)).hasMessageContaining("div_: a tensor of INT32 cannot hold");
    }

    @Test
    void halvesComputeInFloat32() {
        for (DType half : new DType[] {DType.BFLOAT16, DType.FLOAT16}) {
            Tensor w = numbers(1.5, -2, 3).to(half).requireGrad();
            Tensor x = w.mul(1).add_(numbers(0.5, 1, 1).to(half)).mul_(2).clamp_(-1, 6);
            assertThat(x.dtype()).isEqualTo(half);
            assertThat(x.toDoubles()).containsExactly(4, -1, 6);
            x.backward(Tensor.full(half, 1, 3));
            assertThat(w.grad().toDoubles()).containsExactly(2, 0, 0);
        }
    }

    // ---- gradients ------------------------------------------------------------------------------------------------

    @Test
    void gradientsOfResultsChangedInPlace() {
        GradCheck.check(t -> t[0].mul(2).add_(t[1]).square(), random(2, 3), random(3));
        GradCheck.check(t -> t[0].mul(2).sub_(t[1]).square(), random(2, 3), random(2, 1));
        GradCheck.check(t -> t[0].mul(2).mul_(t[1]).square(), random(2, 3), random(3));
        GradCheck.check(t -> t[0].mul(2).div_(t[1].square().add(0.5)).square(), random(2, 3), random(3));
        GradCheck.check(t -> t[0].mul(2).add_(3).mul_(2).sub_(1).div_(4).square(), random(5));
        GradCheck.check(t -> t[0].mul(2).clamp_(-0.5, 0.7).square(), random(9));
        GradCheck.check(t -> t[0].mul(2).copy_(t[1]).square(), random(2, 3), random(3));
        GradCheck.check(t -> t[0].mul(2).zero_().add(t[0]).square(), random(4));
        GradCheck.check(t -> t[0].mul(2).fill_(3).mul(t[0]), random(4));
    }

    @Test
    void aTensorOfItself() {
        GradCheck.check(
                t -> {
                    Tensor y = t[0].mul(2);
                    return y.mul_(y);
                },
                random(4));
        GradCheck.check(
                t -> {
                    Tensor y = t[0].mul(2);
                    y.narrow(0, 1, 3).add_(y.narrow(0, 0, 3)).mul_(y.select(0, 0));
                    return y.square();
                },
                random(4));
    }

    @Test
    void whatUsedItBeforeMeansWhatItWas() {
        GradCheck.check(
                t -> {
                    Tensor y = t[0].mul(2);
                    Tensor before = y.add(t[1]); // its gradient does not need the value of y
                    y.mul_(t[1]);
                    return before.add(y).square();
                },
                random(4),
                random(4));
    }

    @Test
    void gradientsThroughAViewThatIsChanged() {
        GradCheck.check(
                t -> {
                    Tensor y = t[0].mul(2);
                    y.narrow(1, 1, 2).mul_(t[1]);
                    return y.square();
                },
                random(2, 3),
                random(2));
        // numbers put one after another into a buffer that has no gradient at first
        GradCheck.check(
                t -> {
                    Tensor out = Tensor.zeros(DType.FLOAT64, 3, 2);
                    for (int i = 0; i < 3; i++) {
                        out.select(0, i).copy_(t[0].mul(i + 1));
                    }
                    return out.square();
                },
                random(2));
    }

    @Test
    void allViewsFollow() {
        GradCheck.check(
                t -> {
                    Tensor y = t[0].mul(2);
                    Tensor row = y.select(0, 1);
                    Tensor column = y.transpose(0, 1).narrow(0, 0, 2);
                    Tensor repeated = y.narrow(0, 0, 1).expand(4, 3);
                    Tensor before = row.add(1);
                    row.mul_(t[1]);
                    Tensor between = column.add(0);
                    y.add_(t[1]);
                    return Tensor.cat(
                            0,
                            before,
                            row.square(),
                            column.reshape(4).square(),
                            between.reshape(4),
                            repeated.square().reshape(12),
                            y.square().reshape(6));
                },
                random(2, 3),
                random(3));
    }

    @Test
    void hooksKeepTheTensorTheyWereMadeFor() {
        Tensor x = numbers(1, 2).requireGrad();
        Tensor y = x.mul(3).retainGrad();
        List<double[]> seen = new ArrayList<>();
        y.registerHook(g -> {
            seen.add(g.toDoubles());
            return g;
        });
        y.mul_(10);
        y.sum().backward();
        assertThat(seen.getFirst()).as("of the value before").containsExactly(10, 10);
        assertThat(y.grad().toDoubles()).as("of the value now").containsExactly(1, 1);
    }

    // ---- what is refused ------------------------------------------------------------------------------------------

    @Test
    void aParameterIsChangedWithinNoGradOnly() {
        Tensor x = numbers(1, 2).requireGrad();
        assertThatThrownBy(() -> x.add_(1))
                .isInstanceOf(TensorException.class)
                .hasMessage(
                        "add_: a parameter would be changed in place while operations are recorded; do it within Autograd.noGrad");
        assertThatThrownBy(() -> x.narrow(0, 0, 1).zero_()).hasMessageContaining("zero_: a view of a parameter");
        assertThatThrownBy(() -> x.copy_(x.mul(2))).hasMessageContaining("copy_: a parameter");
        assertThat(x.toDoubles()).containsExactly(1, 2);
        Autograd.noGrad(() -> x.sub_(numbers(0.5, 1)));
        assertThat(x.toDoubles()).containsExactly(0.5, 1);
        assertThat(x.isLeaf()).isTrue();
        assertThat(x.requiresGrad()).isTrue();
    }

    @Test
    void repeatedElementsAreNotChanged() {
        assertThatThrownBy(() -> numbers(1).expand(3).add_(1))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining(
                        "add_: in a tensor of shape [3] the elements along dimension 0 are one in memory");
    }

    @Test
    void theShapeStays() {
        assertThatThrownBy(() -> numbers(1, 2).add_(random(3, 2)))
                .isInstanceOf(TensorException.class)
                .hasMessage("add_: shape [3, 2] does not broadcast to the shape [2] of the tensor that is changed");
        assertThatThrownBy(() -> numbers(1).copy_(numbers(1, 2)))
                .hasMessageContaining("copy_: shape [2] does not broadcast");
    }

    @Test
    void aSavedTensorThatWasChangedIsNoticed() {
        Tensor x = numbers(1, 2).requireGrad();
        Tensor y = x.mul(2);
        Tensor loss = y.square().sum();
        y.add_(1);
        assertThatThrownBy(loss::backward)
                .isInstanceOf(TensorException.class)
                .hasMessage(
                        "backward of 'SQUARE': the tensor of shape [2] whose value its gradient needs was changed in place by"
                                + " 'add_' after it was used; change a copy instead, or change it after backward");
    }

    @Test
    void itIsNoticedThroughViewsCopiesAndKernelsToo() {
        Tensor x = numbers(1, 2).requireGrad();
        Tensor other = numbers(3, 4);
        List<Runnable> changes = List.of(
                () -> other.narrow(0, 0, 1).zero_(),
                () -> other.detach().copyFrom(numbers(5, 6)),
                () -> other.fill(1),
                () -> other.mutableBuffer());
        for (Runnable change : changes) {
            Tensor loss = x.mul(other).sum();
            change.run();
            assertThatThrownBy(loss::backward)
                    .hasMessageContaining("backward of 'mul'")
                    .hasMessageContaining("changed in place");
            x.mul(other).sum().backward();
        }
        Tensor weights = numbers(1, 2).requireGrad();
        Tensor loss = weights.square().sum();
        Autograd.noGrad(() -> weights.sub_(1));
        assertThatThrownBy(loss::backward).hasMessageContaining("changed in place by 'sub_'");
    }

    @Test
    void changesThatNoRuleNeedsAreFine() {
        Tensor x = numbers(1, 2).requireGrad();
        Tensor y = x.mul(2);
        Tensor loss = y.add(5).sum(); // needs no values
        y.add_(1);
        loss.backward();
        assertThat(x.grad().toDoubles()).containsExactly(2, 2);
        // a gradient may be changed between two passes
        Tensor square = x.square().sum();
        Autograd.noGrad(() -> x.grad().mul_(10));
        square.backward();
        assertThat(x.grad().toDoubles()).containsExactly(22, 24);
    }

    @Test
    void twinsAgree() {
        for (long n : new long[] {1, 7, 13, 207, 702}) {
            Tensor[] results = new Tensor[2];
            for (int i = 0; i < 2; i++) {
                try (Scope inner = Scope.open(i == 0 ? Device.scalar() : Device.cpu())) {
                    Tensor x = Tensor.randn(DType.FLOAT32, Rng.of(3), 1, 3, n);
                    Tensor b = Tensor.randn(DType.FLOAT32, Rng.of(4), 1, 3, 1);
                    x.add_(b)
                            .mul_(b)
                            .sub_(0.5)
                            .transpose(0, 1)
                            .div_(Tensor.randn(DType.FLOAT32, Rng.of(6), 1, 3)
                                    .square()
                                    .add(1));
                    x.narrow(1, 0, (n + 1) / 2).clamp_(-0.7, 0.2);
                    x.narrow(0, 1, 2).copy_(x.narrow(0, 0, 2));
                    results[i] = x.keep();
                }
            }
            assertThat(results[1].toFloats())
                    .containsExactly(results[0].toFloats(), org.assertj.core.api.Assertions.within(1e-6f));
        }
    }

    // ---- gradients in place of results ----------------------------------------------------------------------------

    private static Tensor loss(Tensor logits, boolean inplace) {
        return Functional.tokenLoss(logits, Tensor.of(new int[] {1, -1, 4}, 3), 0.7, false, inplace)
                .loss()
                .sum();
    }

    @Test
    void theGradientOfLogitsMayTakeTheirPlace() {
        Tensor w = random(2, 5).requireGrad();
        Tensor x = random(3, 2);
        loss(x.matmul(w), false).backward();
        double[] expected = w.grad().toDoubles();
        w.zeroGrad();
        Tensor logits = x.matmul(w);
        loss(logits, true).backward();
        assertThat(w.grad().toDoubles()).containsExactly(expected);
        assertThatThrownBy(logits::toDoubles)
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("[3, 5]")
                .hasMessageContaining("cross_entropy");
    }

    @Test
    void itDoesNotWhereSomebodyNeedsThem() {
        Tensor w = random(2, 5).requireGrad();
        Tensor x = random(3, 2);
        Tensor logits = x.matmul(w);
        double[] values = logits.toDoubles();
        Tensor retained = loss(logits, true);
        retained.backward(retained.one(), true);
        assertThat(logits.toDoubles()).containsExactly(values);
        double[] once = w.grad().toDoubles();
        retained.backward();
        assertThat(w.grad().toDoubles())
                .containsExactly(Arrays.stream(once).map(g -> 2 * g).toArray());

        Tensor parameter = random(5, 3).requireGrad();
        double[] untouched = parameter.toDoubles();
        loss(parameter.reshape(3, 5), true).backward();
        Tensor leaf = random(3, 5).requireGrad();
        loss(leaf, true).backward();
        assertThat(leaf.toDoubles()).hasSize(15);
        assertThat(parameter.toDoubles()).containsExactly(untouched);
    }

    @Test
    void aRuleThatNeedsThemSaysSo() {
        Tensor w = random(3, 5).requireGrad();
        Tensor logits = w.softmax(-1);
        assertThatThrownBy(() -> loss(logits, true).backward())
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("cross_entropy");
    }
}
