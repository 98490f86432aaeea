package dev.isthmus.tensor;

import java.util.Locale;
import java.util.function.Function;

/**
 * Compares gradients with central differences in float64.
 *
 * <p>For each element of each input, {@code (f(x + h) - f(x - h)) / 2h} must equal what {@link Tensor#backward()} finds. The
 * output is weighted with fixed random numbers, so that a rule that only gets the sum right is caught.
 */
public final class GradCheck {
    private static final double STEP = 1e-5;

    private GradCheck() {}

    /**
     * Checks the gradient of {@code f} at {@code inputs}, to a relative and absolute tolerance of 1e-6.
     *
     * @param inputs float64 tensors; they become parameters and keep their values
     * @throws TensorException if a gradient is wrong; the message names the input, the element and both numbers
     */
    public static void check(Function<Tensor[], Tensor> f, Tensor... inputs) {
        check(f, 1e-6, inputs);
    }

    /** Checks to a tolerance of {@code tolerance * max(1, |expected|)}. */
    public static void check(Function<Tensor[], Tensor> f, double tolerance, Tensor... inputs) {
        for (Tensor input : inputs) {
            if (input.dtype() != DType.FLOAT64) {
                throw new TensorException("GradCheck: expected FLOAT64 inputs, found " + input.dtype());
            }
            input.requireGrad().zeroGrad();
        }
        Tensor y = f.apply(inputs);
        Tensor weights = Tensor.randn(DType.FLOAT64, Rng.of(7).split("grad-check"), 1, y.shape());
        y.backward(weights);
        for (int i = 0; i < inputs.length; i++) {
            Tensor grad = inputs[i].grad();
            double[] analytic = grad == null ? new double[(int) inputs[i].count()] : grad.toDoubles();
            double[] x = inputs[i].toDoubles();
            for (int e = 0; e < x.length; e++) {
                double numeric =
                        (at(f, inputs, i, x, e, STEP, weights) - at(f, inputs, i, x, e, -STEP, weights)) / (2 * STEP);
                if (!(Math.abs(numeric - analytic[e]) <= tolerance * Math.max(1, Math.abs(numeric)))) {
                    throw new TensorException(String.format(
                            Locale.ROOT,
                            "gradient of input %d at element %d: backward gives %.9g, central differences %.9g",
                            i,
                            e,
                            analytic[e],
                            numeric));
                }
            }
        }
    }

    private static double at(
            Function<Tensor[], Tensor> f, Tensor[] inputs, int i, double[] x, int e, double step, Tensor weights) {
        double[] moved = x.clone();
        moved[e] += step;
        inputs[i].copyFrom(Tensor.of(moved, inputs[i].shape()));
        double value = Autograd.noGrad(() -> f.apply(inputs).mul(weights).sum().item());
        inputs[i].copyFrom(Tensor.of(x, inputs[i].shape()));
        return value;
    }
}
