package dev.isthmus.train.optim;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.TensorException;
import dev.isthmus.tensor.UpdateRule.Sgd;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * Momentum, orthogonalized (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"): a matrix moves along
 * the nearest matrix whose singular values are all about 1.
 *
 * <p>{@code B = momentum B + G; O = NewtonSchulz(G + momentum B); W -= lr (adjustment O + weightDecay W)}. It is meant for the
 * matrices of hidden layers. Embeddings, the head, norms and biases belong to another optimizer.
 */
public final class Muon implements Optimizer {
    /** The quintic iteration's coefficients: steep at 0, so that five steps bring singular values between 0.7 and 1.2. */
    private static final double A = 3.4445;

    private static final double B = -4.7750;
    private static final double C = 2.0315;

    private final Settings settings;
    private final Sgd momentum;
    private final Optimizer others;
    private final Map<Parameter, Slot> slots = new LinkedHashMap<>();

    /** How the size of a matrix changes its learning rate, {@code adjust_lr_fn}. */
    public enum AdjustLr {
        /** {@code sqrt(max(1, rows / cols))}, as Jordan et al. */
        ORIGINAL {
            @Override
            double of(long rows, long cols) {
                return Math.sqrt(Math.max(1, (double) rows / cols));
            }
        },
        /** {@code 0.2 sqrt(max(rows, cols))}: moves weights as far as AdamW does, so that one rate suits both (Liu et al. 2025). */
        MATCH_RMS_ADAMW {
            @Override
            double of(long rows, long cols) {
                return 0.2 * Math.sqrt(Math.max(rows, cols));
            }
        };

        abstract double of(long rows, long cols);
    }

    /** The constants, with the names of {@code torch.optim.Muon}. */
    public record Settings(double momentum, boolean nesterov, int nsSteps, double eps, AdjustLr adjustLr) {}

    private record Slot(double weightDecay, StepCount steps, Tensor momentumBuffer) {}

    /**
     * An optimizer whose state lives in the current scope.
     *
     * @param matrices moved by Muon, each orthogonalized by itself even where several are rows of one tensor
     * @param weightDecay of each tensor that is trained
     * @param others moves the other parameters
     */
    public Muon(List<Parameter> matrices, Settings settings, ToDoubleFunction<Tensor> weightDecay, Optimizer others) {
        this.settings = settings;
        this.momentum = new Sgd(settings.momentum, 0, settings.nesterov);
        this.others = others;
        for (Parameter p : matrices) {
            Tensor value = p.value();
            if (value.rank() != 2) {
                throw new TensorException("Muon moves matrices; " + p.name() + " is " + value.layout());
            }
            Tensor buffer = Tensor.zeros(value.dtype(), value.shape());
            slots.put(p, new Slot(weightDecay.applyAsDouble(p.tensor()), new StepCount(), buffer));
        }
    }

    @Override
    public void step(double learningRate, double scale) {
        slots.forEach((p, slot) -> {
            Tensor grad = p.grad();
            if (grad != null) {
                step(p.value(), grad, slot, learningRate, scale);
            }
        });
        slots.keySet().forEach(p -> p.tensor().zeroGrad());
        others.step(learningRate, scale);
    }

    private void step(Tensor matrix, Tensor grad, Slot slot, double learningRate, double scale) {
        try (Scope scope = Scope.open()) {
            long n = matrix.count();
            long step = slot.steps.next();
            // The direction is where gradient descent with this momentum would take a zero.
            Tensor direction = Tensor.zeros(matrix.dtype(), matrix.shape());
            scope.device()
                    .run(new OptimizerStep(
                            momentum,
                            n,
                            direction.buffer(),
                            grad.buffer(),
                            List.of(slot.momentumBuffer.buffer()),
                            -1,
                            0,
                            step,
                            scale));
            Tensor orthogonal = newtonSchulz(direction);
            double adjustment = settings.adjustLr.of(matrix.size(0), matrix.size(1));
            scope.device()
                    .run(new OptimizerStep(
                            new Sgd(0, 0, false),
                            n,
                            matrix.mutableBuffer(),
                            orthogonal.buffer(),
                            List.of(),
                            learningRate,
                            slot.weightDecay,
                            step,
                            adjustment));
        }
    }

    /** {@code X = A X + (B S + C S^2) X, S = X X^T}, from {@code X = direction / |direction|}, on the side that is smaller. */
    private Tensor newtonSchulz(Tensor direction) {
        boolean tall = direction.size(0) > direction.size(1);
        Tensor x = tall ? direction.transpose(0, 1).contiguous() : direction;
        double norm = Math.sqrt(direction.square().sum().item());
        x = x.mul(1 / Math.max(norm, settings.eps));
        for (int i = 0; i < settings.nsSteps; i++) {
            Tensor s = x.matmul(x.transpose(0, 1));
            Tensor polynomial = s.mul(B).add(s.matmul(s).mul(C));
            x = x.mul(A).add(polynomial.matmul(x));
        }
        return tall ? x.transpose(0, 1).contiguous() : x;
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> named = new LinkedHashMap<>();
        slots.forEach((p, slot) -> {
            named.put(p.name() + ".step", slot.steps.tensor());
            named.put(p.name() + ".momentum_buffer", slot.momentumBuffer);
        });
        named.putAll(others.state());
        return named;
    }
}
