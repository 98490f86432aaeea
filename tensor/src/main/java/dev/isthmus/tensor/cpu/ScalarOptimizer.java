package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.KernelCall.SumSquares;
import dev.isthmus.tensor.UpdateRule;
import dev.isthmus.tensor.UpdateRule.Adadelta;
import dev.isthmus.tensor.UpdateRule.Adagrad;
import dev.isthmus.tensor.UpdateRule.Adam;
import dev.isthmus.tensor.UpdateRule.Adamax;
import dev.isthmus.tensor.UpdateRule.Lion;
import dev.isthmus.tensor.UpdateRule.NAdam;
import dev.isthmus.tensor.UpdateRule.RAdam;
import dev.isthmus.tensor.UpdateRule.RmsProp;
import dev.isthmus.tensor.UpdateRule.Sgd;

/** Optimizer steps, scalar: the formulas of {@link UpdateRule}. */
final class ScalarOptimizer {
    private ScalarOptimizer() {}

    /** What a rule takes from a number, but for the learning rate. */
    private interface Change {
        double of(long i, double g);
    }

    static void step(OptimizerStep c) {
        Change change = switch (c.rule()) {
            case Sgd r -> sgd(c, r);
            case Adam r -> adam(c, r);
            case NAdam r -> nadam(c, r);
            case RAdam r -> radam(c, r);
            case Adamax r -> adamax(c, r);
            case RmsProp r -> rmsProp(c, r);
            case Adagrad r -> adagrad(c, r);
            case Adadelta r -> adadelta(c, r);
            case Lion r -> lion(c, r);
        };
        boolean decoupled = c.rule().decoupledWeightDecay();
        for (long i = 0; i < c.n(); i++) {
            double p = get(c.param(), i);
            double g = get(c.grad(), i) * c.scale();
            if (decoupled) {
                p *= 1 - c.lr() * c.weightDecay();
            } else {
                g += c.weightDecay() * p;
            }
            set(c.param(), i, p - c.lr() * change.of(i, g));
        }
    }

    private static Change sgd(OptimizerStep c, Sgd r) {
        if (r.momentum() == 0) {
            return (_, g) -> g;
        }
        Buffer buffer = c.state().getFirst();
        return (i, g) -> {
            double b = c.step() == 1 ? g : r.momentum() * get(buffer, i) + (1 - r.dampening()) * g;
            set(buffer, i, b);
            return r.nesterov() ? g + r.momentum() * b : b;
        };
    }

    private static Change adam(OptimizerStep c, Adam r) {
        double correction1 = 1 - Math.pow(r.beta1(), c.step());
        double correction2 = Math.sqrt(1 - Math.pow(r.beta2(), c.step()));
        return (i, g) -> {
            double m = average(c.state().get(0), i, r.beta1(), g);
            double v = average(c.state().get(1), i, r.beta2(), g * g);
            if (r.amsgrad()) {
                v = Math.max(v, get(c.state().get(2), i));
                set(c.state().get(2), i, v);
            }
            return m / correction1 / (Math.sqrt(v) / correction2 + r.eps());
        };
    }

    private static Change nadam(OptimizerStep c, NAdam r) {
        double ofG = r.gradientFactor(c.step());
        double ofM = r.meanFactor(c.step());
        double correction2 = 1 - Math.pow(r.beta2(), c.step());
        return (i, g) -> {
            double m = average(c.state().get(0), i, r.beta1(), g);
            double v = average(c.state().get(1), i, r.beta2(), g * g);
            return (ofG * g + ofM * m) / (Math.sqrt(v / correction2) + r.eps());
        };
    }

    private static Change radam(OptimizerStep c, RAdam r) {
        double correction1 = 1 - Math.pow(r.beta1(), c.step());
        double correction2 = Math.sqrt(1 - Math.pow(r.beta2(), c.step()));
        double rectification = r.rectification(c.step());
        return (i, g) -> {
            double m = average(c.state().get(0), i, r.beta1(), g) / correction1;
            double v = average(c.state().get(1), i, r.beta2(), g * g);
            return rectification == 0 ? m : rectification * m * correction2 / (Math.sqrt(v) + r.eps());
        };
    }

    private static Change adamax(OptimizerStep c, Adamax r) {
        Buffer norm = c.state().get(1);
        double correction1 = 1 - Math.pow(r.beta1(), c.step());
        return (i, g) -> {
            double m = average(c.state().getFirst(), i, r.beta1(), g);
            double u = Math.max(r.beta2() * get(norm, i), Math.abs(g) + r.eps());
            set(norm, i, u);
            return m / correction1 / u;
        };
    }

    private static Change rmsProp(OptimizerStep c, RmsProp r) {
        return (i, g) -> {
            double v = average(c.state().getFirst(), i, r.alpha(), g * g);
            if (r.centered()) {
                double mean = average(c.state().get(1), i, r.alpha(), g);
                v = Math.max(0, v - mean * mean); // rounding can take it below
            }
            double d = g / (Math.sqrt(v) + r.eps());
            if (r.momentum() == 0) {
                return d;
            }
            Buffer buffer = c.state().getLast();
            double b = r.momentum() * get(buffer, i) + d;
            set(buffer, i, b);
            return b;
        };
    }

    private static Change adagrad(OptimizerStep c, Adagrad r) {
        Buffer sum = c.state().getFirst();
        double rate = 1 / (1 + (c.step() - 1) * r.lrDecay());
        return (i, g) -> {
            double s = get(sum, i) + g * g;
            set(sum, i, s);
            return rate * g / (Math.sqrt(s) + r.eps());
        };
    }

    private static Change adadelta(OptimizerStep c, Adadelta r) {
        Buffer deltas = c.state().get(1);
        return (i, g) -> {
            double v = average(c.state().getFirst(), i, r.rho(), g * g);
            double d = Math.sqrt(get(deltas, i) + r.eps()) / Math.sqrt(v + r.eps()) * g;
            average(deltas, i, r.rho(), d * d);
            return d;
        };
    }

    private static Change lion(OptimizerStep c, Lion r) {
        Buffer mean = c.state().getFirst();
        return (i, g) -> {
            double direction = Math.signum(r.beta1() * get(mean, i) + (1 - r.beta1()) * g);
            average(mean, i, r.beta2(), g);
            return direction;
        };
    }

    /** Moves the running average {@code b[i]} towards {@code x}; returns it. */
    private static double average(Buffer b, long i, double beta, double x) {
        double mean = beta * get(b, i) + (1 - beta) * x;
        set(b, i, mean);
        return mean;
    }

    static void sumSquares(SumSquares c) {
        double sum = 0;
        for (long i = 0; i < c.n(); i++) {
            double x = get(c.x(), i);
            sum += x * x;
        }
        set(c.out(), 0, sum);
    }
}
