package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@link Autograd#checkpoint}: the same bits in less memory. */
class CheckpointTests {
    private static final int LAYERS = 6;
    private static final int WIDTH = 32;

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private record Run(List<float[]> values, long bytes, long peak) {}

    /** A residual network whose layers read their input several times, and one weight that all share. */
    private static Tensor layer(Tensor h, Tensor weight, Tensor shared) {
        Tensor up = Functional.linear(h, weight, null);
        Tensor act = up.silu().mul(up).add(h.mul(shared));
        return h.add(Functional.linear(act.tanh(), weight, shared)).add(h);
    }

    private static Run run(boolean checkpoint, int rows) {
        List<float[]> values = new ArrayList<>();
        List<Tensor> parameters = new ArrayList<>();
        for (int i = 0; i < LAYERS; i++) {
            parameters.add(Tensor.randn(DType.FLOAT32, Rng.of(1).split("weight", i), 0.1, WIDTH, WIDTH)
                    .requireGrad());
        }
        Tensor shared = Tensor.randn(DType.FLOAT32, Rng.of(2), 1, WIDTH).requireGrad();
        Tensor x = Tensor.randn(DType.FLOAT32, Rng.of(3), 1, rows, WIDTH).requireGrad();
        parameters.add(shared);
        parameters.add(x);
        long bytes;
        long peak;
        try (Scope step = Scope.open()) {
            Tensor h = x.mul(1.5);
            for (int i = 0; i < LAYERS; i++) {
                Tensor weight = parameters.get(i);
                h = checkpoint ? Autograd.checkpoint(t -> layer(t[0], weight, shared), h) : layer(h, weight, shared);
            }
            Tensor loss = h.square().mean();
            values.add(loss.toFloats());
            bytes = step.bytes();
            loss.backward();
            peak = step.peakBytes();
        }
        parameters.forEach(p -> values.add(p.grad().toFloats()));
        return new Run(values, bytes, peak);
    }

    @Test
    void theGradientsAreThoseOfThePlainComputation() {
        Run plain = run(false, 13);
        Run checkpointed = run(true, 13);
        assertThat(checkpointed.values).hasSameSizeAs(plain.values);
        for (int i = 0; i < plain.values.size(); i++) {
            assertThat(checkpointed.values.get(i)).isEqualTo(plain.values.get(i));
        }
    }

    @Test
    void memoryIsWhatTheLayersPassOn() {
        int rows = 512;
        long tensor = 4L * rows * WIDTH;
        Run plain = run(false, rows);
        Run checkpointed = run(true, rows);
        assertThat(checkpointed.bytes).as("after forward").isLessThan(plain.bytes / 4);
        assertThat(checkpointed.peak).as("at most, one layer computed again").isLessThan(plain.peak * 6 / 10);
        assertThat(plain.peak).as("a layer computes 9 tensors").isGreaterThan(LAYERS * 9 * tensor);
    }

    @Test
    void checkpointsNest() {
        Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 5);
        Tensor w = Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 5);
        GradCheck.check(
                t -> Autograd.checkpoint(
                        a -> Autograd.checkpoint(b -> b[0].exp().mul(t[1]), a[0].tanh())
                                .mul(a[0]),
                        t[0].mul(2)),
                x,
                w);
    }

    @Test
    void aTensorFromOutsideGetsItsGradient() {
        // What the function captures counts as what it is given.
        Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 5);
        GradCheck.check(
                t -> {
                    Tensor outside = t[0].exp();
                    Tensor ids = Tensor.zeros(DType.FLOAT64, 5);
                    return Autograd.checkpoint(a -> a[0].add(outside.square()), ids);
                },
                x);
        GradCheck.check(t -> Autograd.checkpoint(a -> a[0], t[0].mul(3)).square(), x);
    }

    @Test
    void theFunctionRunsAgainInBackwardOnly() {
        AtomicInteger runs = new AtomicInteger();
        Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 5).requireGrad();
        Tensor loss = Autograd.checkpoint(
                        t -> {
                            runs.incrementAndGet();
                            return t[0].exp();
                        },
                        x)
                .sum();
        assertThat(runs).hasValue(1);
        loss.backward(Tensor.of(new double[] {1}), true);
        assertThat(runs).hasValue(2);
        loss.backward();
        assertThat(runs).hasValue(3);
        assertThat(x.grad().toDoubles()[0]).isEqualTo(2 * Math.exp(x.toDoubles()[0]));
        assertThat(Autograd.isGradEnabled()).isTrue();

        Tensor constant = Autograd.checkpoint(t -> t[0].exp(), x.detach());
        assertThat(constant.requiresGrad()).isFalse();
        assertThat(Autograd.noGrad(() -> Autograd.checkpoint(t -> t[0].exp(), x))
                        .requiresGrad())
                .isFalse();
    }

    @Test
    void whatWouldGiveOtherGradientsIsRefused() {
        Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 5).requireGrad();
        assertThatThrownBy(() -> Autograd.checkpoint(t -> t[0].add_(1).mul(x), Tensor.zeros(DType.FLOAT64, 5)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("checkpoint: the function changed its input 0 in place, by 'add_'");
        AtomicInteger runs = new AtomicInteger();
        Tensor loss = Autograd.checkpoint(t -> t[0].narrow(0, 0, 2 + runs.getAndIncrement()), x.exp())
                .sum();
        assertThatThrownBy(loss::backward)
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("gave a tensor of shape [2] and, in backward, one of shape [3]");
        Tensor input = x.exp();
        Tensor changed = Autograd.checkpoint(t -> t[0].square(), input).sum();
        input.add_(1);
        assertThatThrownBy(changed::backward)
                .hasMessageContaining("backward of 'checkpoint'")
                .hasMessageContaining("changed in place by 'add_'");
    }
}
