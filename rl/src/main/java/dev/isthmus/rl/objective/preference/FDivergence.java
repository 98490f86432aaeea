package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.tensor.Tensor;

/** How far from the reference is far: {@code f'(t)} of the ratio {@code t = exp(lr)}, up to constants (Wang et al. 2023). */
public enum FDivergence {
    /** {@code log t}: DPO as published. */
    REVERSE_KL {
        @Override
        Tensor score(Tensor logRatio, double alpha) {
            return logRatio;
        }
    },
    /** {@code -1 / t}. */
    FORWARD_KL {
        @Override
        Tensor score(Tensor logRatio, double alpha) {
            return logRatio.neg().exp().neg();
        }
    },
    /** {@code log(t / (1 + t))}. */
    JS_DIVERGENCE {
        @Override
        Tensor score(Tensor logRatio, double alpha) {
            return logRatio.logsigmoid();
        }
    },
    /** {@code t^(alpha - 1) / (alpha - 1)}; at {@code alpha = 1} its limit, {@link #REVERSE_KL}. */
    ALPHA_DIVERGENCE {
        @Override
        Tensor score(Tensor logRatio, double alpha) {
            double power = alpha - 1;
            // 80 is the largest whole number whose exponential is a float32 with room for a sum.
            return Math.abs(power) < 1e-6
                    ? logRatio
                    : logRatio.mul(power).clampMax(80).exp().div(power);
        }
    };

    @Override
    public String toString() {
        return TrlNames.of(this);
    }

    /** {@code f'(exp(logRatio))} without its constant: {@code [N]}. */
    abstract Tensor score(Tensor logRatio, double alpha);
}
