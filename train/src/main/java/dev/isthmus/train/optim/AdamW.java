package dev.isthmus.train.optim;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as {@code torch.optim.AdamW} computes it.
 *
 * <p>Clipping by the global norm is part of the step: the gradients are scaled on their way in, not in a pass of their own.
 */
public final class AdamW {
    private final List<Tensor> parameters;
    private final List<Tensor> expAvg = new ArrayList<>();
    private final List<Tensor> expAvgSq = new ArrayList<>();
    private final Settings settings;
    private final Predicate<Tensor> decays;
    private long steps;

    /** The constants, with PyTorch's names. */
    public record Settings(double beta1, double beta2, double eps, double weightDecay) {
        /** PyTorch's betas and eps. */
        public static Settings withWeightDecay(double weightDecay) {
            return new Settings(0.9, 0.999, 1e-8, weightDecay);
        }
    }

    /**
     * An optimizer whose moments live in the current scope.
     *
     * @param decays which parameters the weight decay applies to
     */
    public AdamW(List<Tensor> parameters, Settings settings, Predicate<Tensor> decays) {
        this.parameters = List.copyOf(parameters);
        this.settings = settings;
        this.decays = decays;
        for (Tensor p : parameters) {
            expAvg.add(Tensor.zeros(p.dtype(), p.shape()));
            expAvgSq.add(Tensor.zeros(p.dtype(), p.shape()));
        }
    }

    /** The Hugging Face rule: matrices decay, norms and biases do not. */
    public static boolean isMatrix(Tensor parameter) {
        return parameter.rank() > 1;
    }

    /** The norm of all gradients together, added in double precision in a fixed order. */
    public double gradNorm() {
        double sum = 0;
        try (Scope scope = Scope.open()) {
            Tensor square = Tensor.empty(DType.FLOAT64, 1);
            for (Tensor p : parameters) {
                Tensor grad = p.grad();
                if (grad != null) {
                    scope.device().run(new KernelCall.SumSquares(grad.count(), grad.buffer(), square.buffer()));
                    sum += square.item();
                }
            }
        }
        return Math.sqrt(sum);
    }

    /** One step along the gradients times {@code scale}; parameters without a gradient stay. Forgets the gradients. */
    public void step(double learningRate, double scale) {
        steps++;
        for (int i = 0; i < parameters.size(); i++) {
            Tensor p = parameters.get(i);
            Tensor grad = p.grad();
            if (grad == null) {
                continue;
            }
            Scope.current().device().run(new KernelCall.AdamW(
                    p.count(),
                    p.buffer(),
                    grad.buffer(),
                    expAvg.get(i).buffer(),
                    expAvgSq.get(i).buffer(),
                    learningRate,
                    settings.beta1,
                    settings.beta2,
                    settings.eps,
                    decays.test(p) ? settings.weightDecay : 0,
                    steps,
                    scale));
            p.zeroGrad();
        }
    }

    /** The number of steps taken. */
    public long steps() {
        return steps;
    }

    /** Goes on from {@code steps} steps; the moments are restored by writing to {@link #moments()}. */
    public void restore(long steps) {
        this.steps = steps;
    }

    /** First the running means of all gradients, then those of their squares, in the order of the parameters. */
    public List<Tensor> moments() {
        List<Tensor> all = new ArrayList<>(expAvg);
        all.addAll(expAvgSq);
        return all;
    }
}
