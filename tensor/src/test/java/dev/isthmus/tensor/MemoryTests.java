package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Lifetimes and limits: flat memory, peaks, what happens where memory ends or is gone. */
class MemoryTests {
    @Test
    void tenThousandStepsInFlatMemory() {
        try (Scope run = Scope.open()) {
            Tensor w1 = Tensor.randn(DType.FLOAT32, Rng.of(1), 0.1, 64, 32).requireGrad();
            Tensor w2 = Tensor.randn(DType.FLOAT32, Rng.of(2), 0.1, 32, 64).requireGrad();
            Tensor x = Tensor.randn(DType.FLOAT32, Rng.of(3), 1, 16, 32);
            long bytes = 0;
            long peak = 0;
            long held = 0;
            double loss = 0;
            for (int i = 0; i < 10_000; i++) {
                try (Scope step = Scope.open()) {
                    Tensor y = Functional.linear(Functional.linear(x, w1, null).tanh(), w2, null);
                    Tensor error = y.sub(x).square().mean();
                    error.backward();
                    Autograd.noGrad(() -> {
                        w1.sub_(w1.grad().mul(0.1));
                        w2.sub_(w2.grad().mul(0.1));
                    });
                    w1.zeroGrad();
                    w2.zeroGrad();
                    loss = error.item();
                }
                if (i == 1000) {
                    bytes = run.bytes();
                    peak = run.peakBytes();
                    held = MemoryBlocks.held();
                }
            }
            assertThat(loss).as("it learns").isLessThan(0.5);
            assertThat(run.bytes()).isEqualTo(bytes);
            assertThat(run.peakBytes()).isEqualTo(peak);
            assertThat(MemoryBlocks.held())
                    .as("blocks of the process")
                    .isEqualTo(held)
                    .isPositive();
        }
    }

    @Test
    void thePeakCountsInnerScopesOnce() {
        try (Scope outer = Scope.open()) {
            Tensor.empty(DType.FLOAT32, 1 << 10);
            assertThat(outer.bytes()).isEqualTo(4096);
            for (int i = 0; i < 3; i++) {
                try (Scope inner = Scope.open()) {
                    Tensor.empty(DType.FLOAT32, 2 << 10);
                    try (Scope innermost = Scope.open()) {
                        Tensor.empty(DType.FLOAT32, 3 << 10);
                    }
                    assertThat(inner.bytes()).isEqualTo(8192);
                    assertThat(inner.peakBytes()).isEqualTo(5 * 4096);
                }
            }
            assertThat(outer.bytes()).isEqualTo(4096);
            assertThat(outer.peakBytes()).isEqualTo(6 * 4096);
        }
    }

    @Test
    void whatIsAskedInVainIsTold() {
        try (Scope outer = Scope.open()) {
            Tensor.empty(DType.FLOAT32, 1 << 20);
            try (Scope inner = Scope.open()) {
                Tensor.empty(DType.FLOAT32, 1 << 19);
                assertThatThrownBy(() -> Tensor.empty(DType.FLOAT32, 1L << 30, 1L << 30))
                        .isInstanceOf(OutOfMemoryException.class)
                        .hasMessageContaining(
                                "1152921504606846976 elements of FLOAT32 are 4,398,046,511,104.0 MiB more")
                        .hasMessageContaining("this scope holds 2.0 MiB, the scopes around it 4.0 MiB")
                        .hasMessageContaining("smaller batch")
                        .hasMessageContaining("Autograd.checkpoint")
                        .hasMessageContaining("-XX:MaxDirectMemorySize");
                assertThat(Tensor.zeros(DType.FLOAT32, 3).toFloats())
                        .as("life goes on")
                        .containsExactly(0, 0, 0);
            }
        }
    }

    @Test
    void sizesBeyondALimitAreTold() {
        assertThatThrownBy(() -> Tensor.empty(DType.FLOAT32, 1L << 32, 1L << 32))
                .isInstanceOf(TensorException.class)
                .hasMessage("a shape of [4294967296, 4294967296] has 2^63 elements or more");
        assertThatThrownBy(() -> Tensor.empty(DType.FLOAT32, 1L << 62)).isInstanceOf(OutOfMemoryException.class);
        Tensor wide = Tensor.zeros(DType.FLOAT32, 1).expand(1L << 31);
        assertThatThrownBy(wide::toFloats).isInstanceOf(TensorException.class);
    }

    /** What can be done with a tensor, of which every one must notice that its memory is gone. */
    private static final List<Consumer<Tensor>> USES = List.of(
            t -> t.add(t),
            t -> t.mul(2),
            t -> t.exp(),
            t -> t.sum(),
            t -> t.max(0, false),
            t -> t.cumsum(0),
            t -> t.softmax(0),
            t -> t.matmul(t),
            t -> t.narrow(0, 0, 1),
            t -> t.permute(1, 0),
            t -> t.transpose(0, 1),
            t -> t.select(0, 0),
            t -> t.expand(3, 2, 2),
            t -> t.reshape(4),
            t -> t.to(DType.FLOAT32),
            t -> t.detach(),
            t -> t.keep(),
            t -> t.toDoubles(),
            t -> t.toInts(),
            t -> t.segment(),
            t -> t.buffer(),
            t -> t.mutableBuffer(),
            t -> t.fill(1),
            t -> t.add_(1),
            t -> t.zero_(),
            t -> t.copyFrom(Tensor.zeros(DType.FLOAT64, 2, 2)),
            t -> Tensor.zeros(DType.FLOAT64, 2, 2).copyFrom(t),
            t -> Tensor.zeros(DType.FLOAT64, 2, 2).mul_(t),
            t -> Tensor.zeros(DType.FLOAT64, 2, 2).add(t),
            t -> Tensor.zeros(DType.FLOAT64, 2, 2).where(Tensor.full(DType.BOOL, 1, 2, 2), t),
            t -> Tensor.cat(0, t, t),
            t -> Functional.linear(Tensor.zeros(DType.FLOAT64, 2, 2), t, null),
            t -> Functional.rmsNorm(t, Tensor.zeros(DType.FLOAT64, 2), 1e-5),
            t -> Functional.layerNorm(Tensor.zeros(DType.FLOAT64, 2), t.select(0, 0), null, 1e-5),
            t -> Functional.swiGlu(t),
            t -> PackedWeight.of(t, true),
            t -> t.backward(Tensor.zeros(DType.FLOAT64, 2, 2)),
            t -> Tensor.zeros(DType.FLOAT64, 2, 2).requireGrad().mul(1).backward(t));

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void everyUseAfterTheScopeClosedIsTold(boolean requiresGrad) {
        for (int i = 0; i < USES.size(); i++) {
            Consumer<Tensor> use = USES.get(i);
            try (Scope around = Scope.open(Device.scalar())) {
                Tensor t;
                try (Scope inner = Scope.open()) {
                    t = Tensor.zeros(DType.FLOAT64, 2, 2);
                    if (requiresGrad) {
                        t.requireGrad();
                    }
                }
                assertThatThrownBy(() -> use.accept(t))
                        .as("use " + i)
                        .isInstanceOf(ScopeException.class)
                        .hasMessageContaining(
                                "used after its scope closed; make it outside of the scope, or keep() it");
            }
        }
    }

    @Test
    void aRuleWhoseTensorsAreGoneTells() {
        try (Scope around = Scope.open(Device.scalar())) {
            Tensor x = Tensor.zeros(DType.FLOAT64, 2).requireGrad();
            Tensor loss;
            try (Scope inner = Scope.open()) {
                loss = x.exp().sum().keep();
                Tensor saved = x.exp();
                loss = Autograd.record("late", loss, dy -> x.addGrad(saved.mul(dy)), x);
            }
            assertThatThrownBy(loss::backward)
                    .isInstanceOf(ScopeException.class)
                    .hasMessageContaining("used after its scope closed");
        }
    }
}
