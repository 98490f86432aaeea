package dev.isthmus.tensor;

import java.util.List;

/**
 * How an optimizer changes a parameter, number by number, in {@link KernelCall.OptimizerStep}.
 *
 * <p>Names, defaults and results are those of {@code torch.optim}. In the formulas {@code p} is the parameter, {@code t} the
 * step, counted from 1, and {@code g} the gradient; weight decay either adds {@code weightDecay p} to the gradient (L2), or,
 * decoupled, takes {@code lr weightDecay p} from the parameter (Loshchilov and Hutter 2019).
 */
public sealed interface UpdateRule {
    /** The names of what is kept of every number from step to step, as in PyTorch's checkpoints. */
    List<String> state();

    /** What {@link #state} begins with. */
    default double initialState() {
        return 0;
    }

    /** Whether weight decay acts on the parameter itself, instead of on the gradient. */
    default boolean decoupledWeightDecay() {
        return false;
    }

    /**
     * Gradient descent with momentum (Polyak 1964; Nesterov as in Sutskever et al. 2013): {@code b = momentum b + (1 -
     * dampening) g}, {@code b = g} at the first step; {@code p -= lr b}, or {@code p -= lr (g + momentum b)} with Nesterov.
     */
    record Sgd(double momentum, double dampening, boolean nesterov) implements UpdateRule {
        public Sgd {
            notNegative("momentum", momentum);
            if (nesterov && (momentum == 0 || dampening != 0)) {
                throw new TensorException("nesterov needs a momentum and no dampening, found momentum " + momentum
                        + " and dampening " + dampening);
            }
        }

        @Override
        public List<String> state() {
            return momentum == 0 ? List.of() : List.of("momentum_buffer");
        }
    }

    /**
     * Adam (Kingma and Ba 2015, algorithm 1), with decoupled weight decay AdamW (Loshchilov and Hutter 2019, algorithm 2), and
     * AMSGrad (Reddi et al. 2018, algorithm 2).
     *
     * <p>{@code m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 -
     * beta2^t) + eps)}; AMSGrad divides by the largest {@code v} so far.
     */
    record Adam(double beta1, double beta2, double eps, boolean amsgrad, boolean decoupledWeightDecay)
            implements UpdateRule {
        public Adam {
            betas(beta1, beta2);
            notNegative("eps", eps);
        }

        @Override
        public List<String> state() {
            return amsgrad ? List.of("exp_avg", "exp_avg_sq", "max_exp_avg_sq") : List.of("exp_avg", "exp_avg_sq");
        }
    }

    /**
     * Adam with Nesterov momentum (Dozat 2016): with {@code mu(t) = beta1 (1 - 0.96^(t momentumDecay) / 2)} and the
     * product of all till t, {@code p -= lr ((1 - mu(t)) / (1 - product(t)) g + mu(t + 1) / (1 - product(t) mu(t) mu(t + 1)) m) / (sqrt(v / (1 - beta2^t)) +
     * eps)}.
     *
     * <p>That {@code mu(t)} stands beside the product that has it already is PyTorch 1.13's, after which the reference numbers
     * are; the paper and PyTorch 2 leave it out. The difference is below a hundredth of the first step and soon gone.
     */
    record NAdam(double beta1, double beta2, double eps, double momentumDecay, boolean decoupledWeightDecay)
            implements UpdateRule {
        public NAdam {
            betas(beta1, beta2);
            notNegative("eps", eps);
            notNegative("momentum_decay", momentumDecay);
        }

        private double momentum(long step) {
            return beta1 * (1 - 0.5 * Math.pow(0.96, step * momentumDecay));
        }

        /** Ends early where 1 minus the product is 1. */
        private double momentumProduct(long step) {
            double product = 1;
            for (long t = 1; t <= step && product > 0x1p-60; t++) {
                product *= momentum(t);
            }
            return product;
        }

        /** What the gradient of a step is multiplied by. */
        public double gradientFactor(long step) {
            return (1 - momentum(step)) / (1 - momentumProduct(step));
        }

        /** What the running mean of the gradients is multiplied by. */
        public double meanFactor(long step) {
            double next = momentum(step + 1);
            return next / (1 - momentumProduct(step) * momentum(step) * next);
        }

        @Override
        public List<String> state() {
            return List.of("exp_avg", "exp_avg_sq");
        }
    }

    /**
     * Adam whose step sizes are corrected for the variance of few gradients (Liu et al. 2020, algorithm 2): {@code p -= lr
     * r(t) m / (1 - beta1^t) sqrt(1 - beta2^t) / (sqrt(v) + eps)} with the {@link #rectification} r, and {@code p -= lr m / (1
     * - beta1^t)} where there is none.
     */
    record RAdam(double beta1, double beta2, double eps, boolean decoupledWeightDecay) implements UpdateRule {
        public RAdam {
            betas(beta1, beta2);
            notNegative("eps", eps);
        }

        /** {@code r(t)}, or 0 in the first steps, where the variance cannot be told. */
        public double rectification(long step) {
            double power = Math.pow(beta2, step);
            double limit = 2 / (1 - beta2) - 1;
            double length = limit - 2 * step * power / (1 - power);
            return length > 5
                    ? Math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
                    : 0;
        }

        @Override
        public List<String> state() {
            return List.of("exp_avg", "exp_avg_sq");
        }
    }

    /**
     * Adam with the infinity norm (Kingma and Ba 2015, algorithm 2): {@code m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| +
     * eps); p -= lr / (1 - beta1^t) m / u}.
     */
    record Adamax(double beta1, double beta2, double eps) implements UpdateRule {
        public Adamax {
            betas(beta1, beta2);
            notNegative("eps", eps);
        }

        @Override
        public List<String> state() {
            return List.of("exp_avg", "exp_inf");
        }
    }

    /**
     * RMSprop (Hinton 2012, lecture 6e; centered as in Graves 2013, eq. 38-45): {@code v = alpha v + (1 - alpha) g^2; d = g /
     * (sqrt(v) + eps)}; centered, {@code a = alpha a + (1 - alpha) g} and the root is of {@code v - a^2}; {@code b = momentum b
     * + d; p -= lr b}.
     */
    record RmsProp(double alpha, double eps, double momentum, boolean centered) implements UpdateRule {
        public RmsProp {
            notNegative("alpha", alpha);
            notNegative("eps", eps);
            notNegative("momentum", momentum);
        }

        @Override
        public List<String> state() {
            if (momentum == 0) {
                return centered ? List.of("square_avg", "grad_avg") : List.of("square_avg");
            }
            return centered
                    ? List.of("square_avg", "grad_avg", "momentum_buffer")
                    : List.of("square_avg", "momentum_buffer");
        }
    }

    /**
     * Adagrad (Duchi et al. 2011): {@code s += g^2; p -= lr / (1 + (t - 1) lrDecay) g / (sqrt(s) + eps)}, {@code s} from
     * {@code initialAccumulatorValue}.
     */
    record Adagrad(double lrDecay, double initialAccumulatorValue, double eps) implements UpdateRule {
        public Adagrad {
            notNegative("lr_decay", lrDecay);
            notNegative("initial_accumulator_value", initialAccumulatorValue);
            notNegative("eps", eps);
        }

        @Override
        public List<String> state() {
            return List.of("sum");
        }

        @Override
        public double initialState() {
            return initialAccumulatorValue;
        }
    }

    /**
     * Adadelta (Zeiler 2012, algorithm 1): {@code v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u +
     * (1 - rho) d^2; p -= lr d}.
     */
    record Adadelta(double rho, double eps) implements UpdateRule {
        public Adadelta {
            notNegative("rho", rho);
            notNegative("eps", eps);
        }

        @Override
        public List<String> state() {
            return List.of("square_avg", "acc_delta");
        }
    }

    /**
     * Lion (Chen et al. 2023, algorithm 2), whose weight decay is decoupled: {@code p -= lr sign(beta1 m + (1 - beta1) g)}, then
     * {@code m = beta2 m + (1 - beta2) g}.
     */
    record Lion(double beta1, double beta2) implements UpdateRule {
        public Lion {
            betas(beta1, beta2);
        }

        @Override
        public List<String> state() {
            return List.of("exp_avg");
        }

        @Override
        public boolean decoupledWeightDecay() {
            return true;
        }
    }

    private static void betas(double beta1, double beta2) {
        if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1)) {
            throw new TensorException("beta1 and beta2 must be in [0, 1), found " + beta1 + ", " + beta2);
        }
    }

    private static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new TensorException(name + " must be 0 or more, found " + value);
        }
    }
}
