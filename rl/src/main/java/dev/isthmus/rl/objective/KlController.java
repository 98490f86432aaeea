package dev.isthmus.rl.objective;

/** The weight of the KL penalty, from step to step; the state is the record, so a stopped run goes on with it. */
public sealed interface KlController {
    /** The weight in the coming step: TRL's {@code kl_coef}. */
    double value();

    /**
     * The controller after a step.
     *
     * @param kl the mean over sequences of the step's KL divergence from the reference, in nats a sequence
     * @param sequences how many sequences the step had
     */
    KlController after(double kl, int sequences);

    /** Always the same weight. */
    record Fixed(double value) implements KlController {
        public Fixed {
            Require.notNegative("kl_coef", value);
        }

        @Override
        public KlController after(double kl, int sequences) {
            return this;
        }
    }

    /**
     * {@code value (1 + clip(kl / target - 1, -0.2, 0.2) sequences / horizon)}: a proportional controller in the logarithm of
     * the weight (Ziegler et al. 2019, arXiv 1909.08593, section 2.2). A divergence that is no number changes nothing.
     */
    record Adaptive(double value, double target, double horizon) implements KlController {
        public Adaptive {
            Require.notNegative("init_kl_coef", value);
            Require.positive("target", target);
            Require.positive("horizon", horizon);
        }

        @Override
        public Adaptive after(double kl, int sequences) {
            if (Double.isNaN(kl)) {
                return this;
            }
            double error = Math.clamp(kl / target - 1, -0.2, 0.2);
            return new Adaptive(value * (1 + error * sequences / horizon), target, horizon);
        }
    }
}
