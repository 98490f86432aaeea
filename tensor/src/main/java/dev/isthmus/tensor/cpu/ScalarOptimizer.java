package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.KernelCall.AdamW;
import dev.isthmus.tensor.KernelCall.SumSquares;

/** Optimizer steps, scalar. */
final class ScalarOptimizer {
    private ScalarOptimizer() {}

    static void adamW(AdamW c) {
        double stepSize = c.lr() / (1 - Math.pow(c.beta1(), c.step()));
        double root = Math.sqrt(1 - Math.pow(c.beta2(), c.step()));
        for (long i = 0; i < c.n(); i++) {
            double g = get(c.grad(), i) * c.scale();
            double m = c.beta1() * get(c.m(), i) + (1 - c.beta1()) * g;
            double v = c.beta2() * get(c.v(), i) + (1 - c.beta2()) * g * g;
            double p = get(c.param(), i) * (1 - c.lr() * c.weightDecay());
            set(c.m(), i, m);
            set(c.v(), i, v);
            set(c.param(), i, p - stepSize * m / (Math.sqrt(v) / root + c.eps()));
        }
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
