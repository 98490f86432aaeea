package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What autograd does around the rules: leaves, hooks, retained graphs, several roots. */
class AutogradTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open(Device.scalar());
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor parameter(double... values) {
        return Tensor.of(values, values.length).requireGrad();
    }

    private static double[] grad(Tensor t) {
        Tensor grad = t.grad();
        return grad == null ? null : grad.toDoubles();
    }

    @Test
    void leavesAreWhatIsNotAResult() {
        Tensor x = parameter(1, 2);
        Tensor y = x.mul(2);
        assertThat(x.isLeaf()).isTrue();
        assertThat(y.isLeaf()).isFalse();
        assertThat(y.detach().isLeaf()).isTrue();
        assertThat(y.detach().requiresGrad()).isFalse();
        assertThat(y.detach().storage()).as("shares memory").isSameAs(y.storage());
        assertThat(Autograd.noGrad(() -> x.mul(2)).isLeaf()).isTrue();
    }

    @Test
    void noGradEndsEvenByAnException() {
        Tensor x = parameter(1);
        assertThatThrownBy(() -> Autograd.noGrad(() -> {
                    assertThat(Autograd.isGradEnabled()).isFalse();
                    throw new IllegalStateException("out");
                }))
                .hasMessage("out");
        assertThat(Autograd.isGradEnabled()).isTrue();
        assertThat(x.mul(2).requiresGrad()).isTrue();
    }

    @Test
    void theFirstGradientOverwritesAndTheNextAdds() {
        Tensor x = parameter(3, 4);
        x.square().sum().backward();
        Tensor first = x.grad();
        x.zeroGrad();
        first.fill(Double.NaN); // nobody clears the memory, so what lies there must not matter
        x.square().sum().backward();
        assertThat(x.grad()).as("memory is used again").isSameAs(first);
        assertThat(grad(x)).containsExactly(6, 8);
        x.square().sum().backward();
        assertThat(grad(x)).containsExactly(12, 16);
    }

    @Test
    void aLeafIsItsOwnGradient() {
        Tensor x = Tensor.of(new double[] {5}, 1).requireGrad();
        x.backward();
        assertThat(grad(x)).containsExactly(1);
    }

    // ---- hooks on tensors -----------------------------------------------------------------------------------------

    @Test
    void aHookSeesTheWholeGradientOfAResult() {
        Tensor x = parameter(1, 2);
        Tensor y = x.mul(3);
        List<double[]> seen = new ArrayList<>();
        y.registerHook(g -> {
            assertThat(Autograd.isGradEnabled()).isFalse();
            seen.add(g.toDoubles());
            return g;
        });
        y.square().add(y).sum().backward();
        assertThat(seen).hasSize(1);
        assertThat(seen.getFirst()).containsExactly(7, 13);
        assertThat(grad(x)).containsExactly(21, 39);
    }

    @Test
    void whatAHookReturnsGoesOn() {
        Tensor x = parameter(1, 2);
        Tensor y = x.mul(3);
        y.registerHook(g -> g.mul(10));
        y.registerHook(g -> g.add(1));
        y.registerHook(g -> Tensor.of(new double[] {33, 0, 33, 0}, 2, 2)
                .select(1, 0)
                .mul(1 / 33.0)
                .mul(g));
        y.registerHook(g -> g.reshape(2, 1).expand(2, 3).select(1, 1)); // not contiguous
        y.sum().backward();
        assertThat(grad(x)).as("in the order of registration").containsExactly(33, 33);
    }

    @Test
    void aHookOfAParameterSeesWhatOnePassAdds() {
        Tensor x = parameter(1, 2);
        List<double[]> seen = new ArrayList<>();
        RemovableHandle handle = x.registerHook(g -> {
            seen.add(g.toDoubles());
            return g.mul(-1);
        });
        x.square().add(x).sum().backward();
        x.mul(5).sum().backward();
        assertThat(seen).hasSize(2);
        assertThat(seen.get(0)).containsExactly(3, 5);
        assertThat(seen.get(1)).containsExactly(5, 5);
        assertThat(grad(x)).containsExactly(-8, -10);

        handle.remove();
        handle.remove();
        x.sum().backward();
        assertThat(seen).hasSize(2);
        assertThat(grad(x)).containsExactly(-7, -9);
    }

    @Test
    void whatAHookSawStaysAsItWas() {
        Tensor x = parameter(1, 2);
        List<Tensor> seen = new ArrayList<>();
        Tensor h = x;
        for (int i = 0; i < 4; i++) {
            h = h.mul(2).add(x);
            h.registerHook(g -> {
                seen.add(g);
                return g;
            });
        }
        h.sum().backward();
        assertThat(seen.stream().map(g -> g.toDoubles()[1]).toList()).containsExactly(1.0, 2.0, 4.0, 8.0);
    }

    @Test
    void aHookThatReturnsSomethingElseIsTold() {
        Tensor y = parameter(1, 2).mul(3);
        y.registerHook(g -> g.sum());
        assertThatThrownBy(() -> y.sum().backward())
                .isInstanceOf(TensorException.class)
                .hasMessageContaining(
                        "registerHook: a hook returned FLOAT64 shape [] for a gradient of FLOAT64 shape [2]");
        assertThatThrownBy(() -> Tensor.zeros(DType.FLOAT32, 2).registerHook(g -> g))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("registerHook: no gradient flows");
    }

    @Test
    void retainGradKeepsTheGradientOfAResult() {
        Tensor x = parameter(1, 2);
        Tensor y = x.mul(3).retainGrad();
        Tensor other = x.mul(3);
        Tensor loss = y.square().add(other).sum();
        loss.backward(Tensor.of(new double[] {1}), true);
        assertThat(grad(y)).containsExactly(6, 12);
        assertThat(other.grad()).isNull();
        loss.backward();
        assertThat(grad(y)).as("added up").containsExactly(12, 24);
        assertThat(grad(x)).as("not counted twice").containsExactly(42, 78);
        y.zeroGrad();
        assertThat(y.grad()).isNull();
    }

    // ---- graphs and roots -----------------------------------------------------------------------------------------

    @Test
    void aGraphCanBeUsedAgainIfAskedFor() {
        Tensor x = parameter(1, 2);
        Tensor y = x.square().mul(x);
        Tensor seed = Tensor.of(new double[] {1, 10}, 2);
        y.backward(seed, true);
        assertThat(grad(x)).containsExactly(3, 120);
        y.backward(seed);
        assertThat(grad(x)).containsExactly(6, 240);
        assertThatThrownBy(() -> y.backward(seed))
                .isInstanceOf(TensorException.class)
                .hasMessage(
                        "backward: the graph of 'mul' was already used, and what it kept is gone; compute the loss again, or"
                                + " give retainGraph = true to the first backward");
    }

    @Test
    void severalRootsShareOnePass() {
        Tensor x = parameter(1, 2);
        Tensor shared = x.square();
        List<double[]> seen = new ArrayList<>();
        shared.registerHook(g -> {
            seen.add(g.toDoubles());
            return g;
        });
        Tensor a = shared.mul(2);
        Tensor b = shared.mul(3);
        Tensor ones = Tensor.full(DType.FLOAT64, 1, 2);
        Autograd.backward(List.of(a, shared, b), List.of(ones, ones, ones), false);
        assertThat(seen).as("one pass").hasSize(1);
        assertThat(grad(x)).containsExactly(12, 24);
    }

    @Test
    void rootsThatDoNotFitAreNamed() {
        Tensor x = parameter(1, 2);
        assertThatThrownBy(() -> x.mul(2).backward())
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("shape [2] is not one number");
        assertThatThrownBy(() -> x.mul(2).backward(Tensor.zeros(DType.FLOAT64, 3)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("a gradient of FLOAT64 shape [3] for a tensor of FLOAT64 shape [2]");
        assertThatThrownBy(() -> x.mul(2).backward(Tensor.zeros(DType.FLOAT32, 2)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("FLOAT32");
        assertThatThrownBy(() -> Autograd.noGrad(() -> x.sum()).backward())
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("requires a gradient");
        assertThatThrownBy(() -> Autograd.backward(List.of(x.sum()), List.of(), false))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("1 tensors and 0 gradients");
    }

    // ---- grad -----------------------------------------------------------------------------------------------------

    @Test
    void gradLeavesGradientsOfLeavesAlone() {
        Tensor x = parameter(1, 2);
        Tensor w = parameter(5, 6);
        x.sum().backward();
        Tensor y = x.mul(w);
        Tensor loss = y.square().sum();
        List<Tensor> found = Autograd.grad(loss, Tensor.of(new double[] {1}), true, x, y);
        assertThat(found.get(0).toDoubles()).containsExactly(50, 144);
        assertThat(found.get(1).toDoubles()).containsExactly(10, 24);
        assertThat(grad(x)).containsExactly(1, 1);
        assertThat(w.grad()).isNull();
        assertThat(Autograd.grad(loss, w).getFirst().toDoubles()).containsExactly(10, 48);
        assertThat(w.grad()).isNull();
    }

    @Test
    void gradNamesAnInputThatIsNotUsed() {
        Tensor x = parameter(1, 2);
        assertThatThrownBy(() -> Autograd.grad(x.sum(), parameter(1, 2, 3)))
                .isInstanceOf(TensorException.class)
                .hasMessage("grad: the output does not depend on the input of shape [3]");
        assertThatThrownBy(() -> Autograd.grad(x.sum())).hasMessage("grad: no inputs given");
    }

    // ---- scopes ---------------------------------------------------------------------------------------------------

    @Test
    void gradientsLiveAsLongAsWhatTheyBelongTo() {
        Tensor x = parameter(1, 2);
        Tensor y = x.mul(3).retainGrad();
        Tensor loss = y.square().sum();
        try (Scope inner = Scope.open()) {
            loss.backward();
        }
        assertThat(grad(y)).containsExactly(6, 12);
        assertThat(grad(x)).containsExactly(18, 36);
    }
}
