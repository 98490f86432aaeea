package dev.isthmus.train.optim;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Map;

/**
 * Moves parameters along their gradients.
 *
 * <p>Clipping by the global norm is part of the step: gradients are scaled on their way in, not in a pass of their own.
 */
public interface Optimizer {
    /**
     * One step along the gradients times {@code scale}; parameters without a gradient stay. Forgets the gradients.
     *
     * @param scale such as {@code min(1, max_grad_norm / norm)}
     */
    void step(double learningRate, double scale);

    /**
     * All that the next steps depend on but for the parameters, under PyTorch's names behind those of the parameters, such as
     * {@code lm_head.weight.exp_avg}. Writing to these tensors restores an optimizer.
     */
    Map<String, Tensor> state();

    /** The norm of all gradients together, added in double precision in a fixed order. */
    static double gradNorm(List<Tensor> parameters) {
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
}
