package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Tensor;

/**
 * Estimates the KL divergence of the policy from the reference by one token {@code y} that the policy sampled (Schulman 2020,
 * "Approximating KL divergence"). Below, {@code d = log pi(y) - log pi_ref(y)}.
 */
public enum KlEstimator {
    /** {@code d}: unbiased, may be negative. */
    K1 {
        @Override
        public Tensor estimate(Tensor logps, Tensor refLogps) {
            return logps.sub(refLogps);
        }

        @Override
        public double estimate(double logp, double refLogp) {
            return logp - refLogp;
        }
    },
    /** {@code d^2 / 2}: biased, of low variance; its gradient is that of the KL divergence. */
    K2 {
        @Override
        public Tensor estimate(Tensor logps, Tensor refLogps) {
            return logps.sub(refLogps).square().mul(0.5);
        }

        @Override
        public double estimate(double logp, double refLogp) {
            return 0.5 * (logp - refLogp) * (logp - refLogp);
        }
    },
    /** {@code exp(-d) - 1 + d}: unbiased, never negative; that of GRPO (Shao et al. 2024, eq. 4). */
    K3 {
        @Override
        public Tensor estimate(Tensor logps, Tensor refLogps) {
            Tensor difference = refLogps.sub(logps);
            return difference.exp().sub(difference).sub(1);
        }

        @Override
        public double estimate(double logp, double refLogp) {
            return StrictMath.expm1(refLogp - logp) - (refLogp - logp);
        }
    };

    /** The estimate for each token: of two tensors of one shape, that shape; with gradient. */
    public abstract Tensor estimate(Tensor logps, Tensor refLogps);

    /** The estimate for one token. */
    public abstract double estimate(double logp, double refLogp);
}
