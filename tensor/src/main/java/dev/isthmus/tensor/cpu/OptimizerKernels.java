package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.UpdateRule.Adadelta;
import dev.isthmus.tensor.UpdateRule.Adagrad;
import dev.isthmus.tensor.UpdateRule.Adam;
import dev.isthmus.tensor.UpdateRule.Adamax;
import dev.isthmus.tensor.UpdateRule.Lion;
import dev.isthmus.tensor.UpdateRule.NAdam;
import dev.isthmus.tensor.UpdateRule.RAdam;
import dev.isthmus.tensor.UpdateRule.RmsProp;
import dev.isthmus.tensor.UpdateRule.Sgd;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Optimizer steps: for each family of rules one loop, which reads and writes every number once. */
final class OptimizerKernels {
    private OptimizerKernels() {}

    /** A rule's loop over whole vectors: {@code n} is a multiple of their length; states that a rule has not are no addresses. */
    private interface Loop {
        void run(int n, long param, long grad, long s0, long s1, long s2);
    }

    static void step(OptimizerStep c) {
        float scale = (float) c.scale();
        boolean decoupled = c.rule().decoupledWeightDecay();
        float l2 = decoupled ? 0 : (float) c.weightDecay();
        float keep = decoupled ? (float) (1 - c.lr() * c.weightDecay()) : 1;
        switch (c.rule()) {
            case Sgd r -> sgd(c, r, scale, l2);
            case Adam r -> adam(c, r, scale, l2, keep);
            case NAdam r -> nadam(c, r, scale, l2, keep);
            case RAdam r -> radam(c, r, scale, l2, keep);
            case Adamax r -> adamax(c, r, scale, l2);
            case RmsProp r -> rmsProp(c, r, scale, l2);
            case Adagrad r -> adagrad(c, r, scale, l2);
            case Adadelta r -> adadelta(c, r, scale, l2);
            case Lion r -> lion(c, r, scale, keep);
        }
    }

    private static void run(OptimizerStep c, Loop loop) {
        long[] arrays = new long[5];
        arrays[0] = c.param().address();
        arrays[1] = c.grad().address();
        for (int i = 0; i < c.state().size(); i++) {
            arrays[2 + i] = c.state().get(i).address();
        }
        int used = 2 + c.state().size();
        Elements.parallel(c.n(), (from, count) -> {
            long o = from * 4;
            int whole = count & -LANES;
            if (whole > 0) {
                loop.run(whole, arrays[0] + o, arrays[1] + o, arrays[2] + o, arrays[3] + o, arrays[4] + o);
            }
            if (whole < count) {
                rest(count - whole, o + whole * 4L, arrays, used, loop);
            }
        });
    }

    /** The last numbers, fewer than a vector holds: on copies, so that a rule needs no second form of its loop. */
    private static void rest(int n, long offset, long[] arrays, int used, Loop loop) {
        long bytes = Simd.BYTES;
        long copy = Scratch.address(Scratch.Use.TAILS, arrays.length * bytes);
        for (int i = 0; i < used; i++) {
            Panels.copy(1, n, arrays[i] + offset, 0, copy + i * bytes, 0);
        }
        loop.run(LANES, copy, copy + bytes, copy + 2 * bytes, copy + 3 * bytes, copy + 4 * bytes);
        for (int i = 0; i < used; i++) {
            if (i != 1) {
                Panels.copy(1, n, copy + i * bytes, 0, arrays[i] + offset, 0);
            }
        }
    }

    /** The gradient as a rule sees it: scaled, and with L2 weight decay. */
    private static FloatVector gradient(long at, FloatVector p, float scale, float l2) {
        return load(at).mul(scale).add(p.mul(l2));
    }

    /** Moves the running average at an address towards {@code x}; returns it. */
    private static FloatVector average(long at, float beta, FloatVector x, float rest) {
        FloatVector mean = load(at).mul(beta).add(x.mul(rest));
        store(mean, at);
        return mean;
    }

    // ---- gradient descent -----------------------------------------------------------------------------------------

    private static void sgd(OptimizerStep c, Sgd r, float scale, float l2) {
        float lr = (float) c.lr();
        if (r.momentum() == 0) {
            run(c, (n, param, grad, _, _, _) -> sgd(n, param, grad, scale, l2, lr));
            return;
        }
        boolean first = c.step() == 1;
        float old = first ? 0 : (float) r.momentum();
        float rest = first ? 1 : (float) (1 - r.dampening());
        float gStep = r.nesterov() ? lr : 0;
        float bStep = r.nesterov() ? (float) (c.lr() * r.momentum()) : lr;
        run(c, (n, param, grad, buffer, _, _) -> momentum(n, param, grad, buffer, scale, l2, old, rest, gStep, bStep));
    }

    private static void sgd(int n, long param, long grad, float scale, float l2, float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            store(p.sub(gradient(grad + o, p, scale, l2).mul(lr)), param + o);
        }
    }

    private static void momentum(
            int n,
            long param,
            long grad,
            long buffer,
            float scale,
            float l2,
            float old,
            float rest,
            float gStep,
            float bStep) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector b = average(buffer + o, old, g, rest);
            store(p.sub(g.mul(gStep).add(b.mul(bStep))), param + o);
        }
    }

    private static void lion(OptimizerStep c, Lion r, float scale, float keep) {
        float beta1 = (float) r.beta1();
        float rest1 = (float) (1 - r.beta1());
        float beta2 = (float) r.beta2();
        float rest2 = (float) (1 - r.beta2());
        float lr = (float) c.lr();
        run(c, (n, param, grad, m, _, _) -> lion(n, param, grad, m, scale, keep, beta1, rest1, beta2, rest2, lr));
    }

    private static void lion(
            int n,
            long param,
            long grad,
            long mAt,
            float scale,
            float keep,
            float beta1,
            float rest1,
            float beta2,
            float rest2,
            float lr) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector up = FloatVector.broadcast(F, lr);
        FloatVector down = FloatVector.broadcast(F, -lr);
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector g = load(grad + o).mul(scale);
            FloatVector direction = load(mAt + o).mul(beta1).add(g.mul(rest1));
            FloatVector change = zero.blend(down, direction.compare(VectorOperators.GT, zero))
                    .blend(up, direction.compare(VectorOperators.LT, zero));
            average(mAt + o, beta2, g, rest2);
            store(load(param + o).mul(keep).add(change), param + o);
        }
    }

    // ---- Adam and its kin -----------------------------------------------------------------------------------------

    private static void adam(OptimizerStep c, Adam r, float scale, float l2, float keep) {
        // lr / (1 - beta1^t) m / (sqrt(v) / root + eps), with root multiplied into both sides of the fraction
        double root = Math.sqrt(1 - Math.pow(r.beta2(), c.step()));
        float mStep = (float) (-c.lr() / (1 - Math.pow(r.beta1(), c.step())) * root);
        float eps = (float) (r.eps() * root);
        if (!r.amsgrad()) {
            adam(c, r.beta1(), r.beta2(), scale, l2, keep, 0, mStep, 1, eps);
            return;
        }
        float beta1 = (float) r.beta1();
        float rest1 = (float) (1 - r.beta1());
        float beta2 = (float) r.beta2();
        float rest2 = (float) (1 - r.beta2());
        run(
                c,
                (n, param, grad, m, v, max) ->
                        amsgrad(n, param, grad, m, v, max, scale, l2, keep, beta1, rest1, beta2, rest2, mStep, eps));
    }

    private static void nadam(OptimizerStep c, NAdam r, float scale, float l2, float keep) {
        double root = Math.sqrt(1 - Math.pow(r.beta2(), c.step()));
        float gStep = (float) (-c.lr() * r.gradientFactor(c.step()) * root);
        float mStep = (float) (-c.lr() * r.meanFactor(c.step()) * root);
        adam(c, r.beta1(), r.beta2(), scale, l2, keep, gStep, mStep, 1, (float) (r.eps() * root));
    }

    private static void radam(OptimizerStep c, RAdam r, float scale, float l2, float keep) {
        double mStep = -c.lr() / (1 - Math.pow(r.beta1(), c.step()));
        double rectification = r.rectification(c.step());
        if (rectification == 0) {
            adam(c, r.beta1(), r.beta2(), scale, l2, keep, 0, (float) mStep, 0, 1);
        } else {
            double root = Math.sqrt(1 - Math.pow(r.beta2(), c.step()));
            float step = (float) (mStep * rectification * root);
            adam(c, r.beta1(), r.beta2(), scale, l2, keep, 0, step, 1, (float) r.eps());
        }
    }

    /** {@code p += (gStep g + mStep m) / (vScale sqrt(v) + eps)}. */
    private static void adam(
            OptimizerStep c,
            double b1,
            double b2,
            float scale,
            float l2,
            float keep,
            float gStep,
            float mStep,
            float vScale,
            float eps) {
        float beta1 = (float) b1;
        float rest1 = (float) (1 - b1);
        float beta2 = (float) b2;
        float rest2 = (float) (1 - b2);
        run(
                c,
                (n, param, grad, m, v, _) -> adam(
                        n, param, grad, m, v, scale, l2, keep, beta1, rest1, beta2, rest2, gStep, mStep, vScale, eps));
    }

    private static void adam(
            int n,
            long param,
            long grad,
            long mAt,
            long vAt,
            float scale,
            float l2,
            float keep,
            float beta1,
            float rest1,
            float beta2,
            float rest2,
            float gStep,
            float mStep,
            float vScale,
            float eps) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector m = average(mAt + o, beta1, g, rest1);
            FloatVector v = average(vAt + o, beta2, g.mul(g), rest2);
            FloatVector direction = g.mul(gStep).add(m.mul(mStep));
            store(p.mul(keep).add(direction.div(v.sqrt().mul(vScale).add(eps))), param + o);
        }
    }

    private static void amsgrad(
            int n,
            long param,
            long grad,
            long mAt,
            long vAt,
            long maxAt,
            float scale,
            float l2,
            float keep,
            float beta1,
            float rest1,
            float beta2,
            float rest2,
            float mStep,
            float eps) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector m = average(mAt + o, beta1, g, rest1);
            FloatVector v = larger(load(maxAt + o), average(vAt + o, beta2, g.mul(g), rest2));
            store(v, maxAt + o);
            store(p.mul(keep).add(m.mul(mStep).div(v.sqrt().add(eps))), param + o);
        }
    }

    private static FloatVector larger(FloatVector a, FloatVector b) {
        return a.blend(b, b.compare(VectorOperators.GT, a));
    }

    private static void adamax(OptimizerStep c, Adamax r, float scale, float l2) {
        float beta1 = (float) r.beta1();
        float rest1 = (float) (1 - r.beta1());
        float beta2 = (float) r.beta2();
        float eps = (float) r.eps();
        float mStep = (float) (c.lr() / (1 - Math.pow(r.beta1(), c.step())));
        run(c, (n, param, grad, m, u, _) -> adamax(n, param, grad, m, u, scale, l2, beta1, rest1, beta2, eps, mStep));
    }

    private static void adamax(
            int n,
            long param,
            long grad,
            long mAt,
            long uAt,
            float scale,
            float l2,
            float beta1,
            float rest1,
            float beta2,
            float eps,
            float mStep) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector m = average(mAt + o, beta1, g, rest1);
            FloatVector u = larger(load(uAt + o).mul(beta2), g.abs().add(eps));
            store(u, uAt + o);
            store(p.sub(m.mul(mStep).div(u)), param + o);
        }
    }

    // ---- divided by a root of squares -----------------------------------------------------------------------------

    private static void rmsProp(OptimizerStep c, RmsProp r, float scale, float l2) {
        float alpha = (float) r.alpha();
        float rest = (float) (1 - r.alpha());
        float eps = (float) r.eps();
        float momentum = (float) r.momentum();
        float lr = (float) c.lr();
        if (r.centered() && r.momentum() != 0) {
            run(
                    c,
                    (n, param, grad, v, mean, buffer) -> centeredMomentum(
                            n, param, grad, v, mean, buffer, scale, l2, alpha, rest, eps, momentum, lr));
        } else if (r.centered()) {
            run(c, (n, param, grad, v, mean, _) -> centered(n, param, grad, v, mean, scale, l2, alpha, rest, eps, lr));
        } else if (r.momentum() != 0) {
            run(
                    c,
                    (n, param, grad, v, buffer, _) ->
                            rmsPropMomentum(n, param, grad, v, buffer, scale, l2, alpha, rest, eps, momentum, lr));
        } else {
            run(c, (n, param, grad, v, _, _) -> rmsProp(n, param, grad, v, scale, l2, alpha, rest, eps, lr));
        }
    }

    private static void rmsProp(
            int n,
            long param,
            long grad,
            long vAt,
            float scale,
            float l2,
            float alpha,
            float rest,
            float eps,
            float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector v = average(vAt + o, alpha, g.mul(g), rest);
            store(p.sub(g.div(v.sqrt().add(eps)).mul(lr)), param + o);
        }
    }

    private static void rmsPropMomentum(
            int n,
            long param,
            long grad,
            long vAt,
            long buffer,
            float scale,
            float l2,
            float alpha,
            float rest,
            float eps,
            float momentum,
            float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector v = average(vAt + o, alpha, g.mul(g), rest);
            FloatVector b = load(buffer + o).mul(momentum).add(g.div(v.sqrt().add(eps)));
            store(b, buffer + o);
            store(p.sub(b.mul(lr)), param + o);
        }
    }

    private static void centered(
            int n,
            long param,
            long grad,
            long vAt,
            long meanAt,
            float scale,
            float l2,
            float alpha,
            float rest,
            float eps,
            float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector v = variance(vAt + o, meanAt + o, g, alpha, rest);
            store(p.sub(g.div(v.sqrt().add(eps)).mul(lr)), param + o);
        }
    }

    private static void centeredMomentum(
            int n,
            long param,
            long grad,
            long vAt,
            long meanAt,
            long buffer,
            float scale,
            float l2,
            float alpha,
            float rest,
            float eps,
            float momentum,
            float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector v = variance(vAt + o, meanAt + o, g, alpha, rest);
            FloatVector b = load(buffer + o).mul(momentum).add(g.div(v.sqrt().add(eps)));
            store(b, buffer + o);
            store(p.sub(b.mul(lr)), param + o);
        }
    }

    /** The running average of squares without the square of the running average; rounding can take it below 0. */
    private static FloatVector variance(long vAt, long meanAt, FloatVector g, float alpha, float rest) {
        FloatVector v = average(vAt, alpha, g.mul(g), rest);
        FloatVector mean = average(meanAt, alpha, g, rest);
        return larger(v.sub(mean.mul(mean)), FloatVector.zero(F));
    }

    private static void adagrad(OptimizerStep c, Adagrad r, float scale, float l2) {
        float lr = (float) (c.lr() / (1 + (c.step() - 1) * r.lrDecay()));
        float eps = (float) r.eps();
        run(c, (n, param, grad, sum, _, _) -> adagrad(n, param, grad, sum, scale, l2, eps, lr));
    }

    private static void adagrad(int n, long param, long grad, long sum, float scale, float l2, float eps, float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector s = load(sum + o).add(g.mul(g));
            store(s, sum + o);
            store(p.sub(g.mul(lr).div(s.sqrt().add(eps))), param + o);
        }
    }

    private static void adadelta(OptimizerStep c, Adadelta r, float scale, float l2) {
        float rho = (float) r.rho();
        float rest = (float) (1 - r.rho());
        float eps = (float) r.eps();
        float lr = (float) c.lr();
        run(c, (n, param, grad, v, delta, _) -> adadelta(n, param, grad, v, delta, scale, l2, rho, rest, eps, lr));
    }

    private static void adadelta(
            int n,
            long param,
            long grad,
            long vAt,
            long delta,
            float scale,
            float l2,
            float rho,
            float rest,
            float eps,
            float lr) {
        for (int i = 0; i < n; i += LANES) {
            long o = i * 4L;
            FloatVector p = load(param + o);
            FloatVector g = gradient(grad + o, p, scale, l2);
            FloatVector v = average(vAt + o, rho, g.mul(g), rest);
            FloatVector d = load(delta + o).add(eps).div(v.add(eps)).sqrt().mul(g);
            average(delta + o, rho, d.mul(d), rest);
            store(p.sub(d.mul(lr)), param + o);
        }
    }
}
