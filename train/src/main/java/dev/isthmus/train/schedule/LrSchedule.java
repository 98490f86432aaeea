package dev.isthmus.train.schedule;

import dev.isthmus.tensor.IsthmusException;

/**
 * A learning-rate schedule: what the base rate is multiplied by at each optimizer step.
 *
 * <p>Names and formulas are those of Hugging Face's {@code lr_scheduler_type}. A warm-up climbs linearly from 0 at step
 * 0 to 1 at step {@code warmupSteps}; what follows is the subject of each schedule. Steps count from 0 and the
 * multiplier is the one in force <em>during</em> that step, so with a warm-up the first step moves nothing.
 */
@FunctionalInterface
public interface LrSchedule {
    /** The multiplier of the base rate at a step, counted from 0. */
    double multiplier(long step);

    /** {@code constant}: 1 throughout. */
    record Constant() implements LrSchedule {
        @Override
        public double multiplier(long step) {
            return 1;
        }
    }

    /** {@code constant_with_warmup}: 1 after the warm-up. */
    record ConstantWithWarmup(long warmupSteps) implements LrSchedule {
        @Override
        public double multiplier(long step) {
            return step < warmupSteps ? fraction(step, warmupSteps) : 1;
        }
    }

    /** {@code linear}: from 1 down to 0 at {@code totalSteps}. */
    record Linear(long warmupSteps, long totalSteps) implements LrSchedule {
        @Override
        public double multiplier(long step) {
            return step < warmupSteps
                    ? fraction(step, warmupSteps)
                    : Math.max(0, fraction(totalSteps - step, totalSteps - warmupSteps));
        }
    }

    /**
     * {@code cosine}: from 1 down to {@code minRatio} along half a period (Loshchilov and Hutter, arXiv:1608.03983).
     *
     * @param cycles periods until {@code totalSteps}; 0.5 ends at the minimum
     * @param minRatio 0, or the rate at the end as a part of the peak, as PyTorch's {@code eta_min}
     */
    record Cosine(long warmupSteps, long totalSteps, double cycles, double minRatio) implements LrSchedule {
        public Cosine(long warmupSteps, long totalSteps) {
            this(warmupSteps, totalSteps, 0.5, 0);
        }

        @Override
        public double multiplier(long step) {
            return step < warmupSteps
                    ? fraction(step, warmupSteps)
                    : aboveMinimum(
                            minRatio, halfCosine(fraction(step - warmupSteps, totalSteps - warmupSteps) * 2 * cycles));
        }
    }

    /**
     * {@code inverse_sqrt}: falls as the root of the time since the warm-up (Zhai et al., arXiv:2106.04560).
     *
     * @param timescale steps, counted with the warm-up, after which the rate has fallen by the root of 2
     */
    record InverseSqrt(long warmupSteps, long timescale) implements LrSchedule {
        private static final long TIMESCALE_WITHOUT_WARMUP = 10_000;

        /** With the warm-up as the time scale, or 10,000 steps where there is none. */
        public InverseSqrt(long warmupSteps) {
            this(warmupSteps, warmupSteps == 0 ? TIMESCALE_WITHOUT_WARMUP : warmupSteps);
        }

        @Override
        public double multiplier(long step) {
            return step < warmupSteps
                    ? fraction(step, warmupSteps)
                    : 1 / Math.sqrt((double) (step + timescale - warmupSteps) / timescale);
        }
    }

    /**
     * {@code warmup_stable_decay}: up, level, and down at the end (WSD; MiniCPM, arXiv:2404.06395).
     *
     * @param decay the way down
     * @param minRatio where the warm-up starts and the decay ends
     */
    record WarmupStableDecay(long warmupSteps, long stableSteps, long decaySteps, Decay decay, double minRatio)
            implements LrSchedule {
        /** The shape of the decay: Hugging Face's {@code cosine}, {@code linear} and {@code 1-sqrt}. */
        public enum Decay {
            COSINE,
            LINEAR,
            ONE_MINUS_SQRT
        }

        /** The last tenth of the run decays along a cosine to 0. */
        public static WarmupStableDecay of(long warmupSteps, long totalSteps) {
            long decaySteps = Math.min(Math.max(1, totalSteps / 10), Math.max(0, totalSteps - warmupSteps));
            long stableSteps = Math.max(0, totalSteps - warmupSteps - decaySteps);
            return new WarmupStableDecay(warmupSteps, stableSteps, decaySteps, Decay.COSINE, 0);
        }

        @Override
        public double multiplier(long step) {
            if (step < warmupSteps) {
                return aboveMinimum(minRatio, fraction(step, warmupSteps));
            }
            long decayed = step - warmupSteps - stableSteps;
            if (decayed < 0) {
                return 1;
            }
            if (decayed >= decaySteps) {
                return minRatio;
            }
            double progress = fraction(decayed, decaySteps);
            return aboveMinimum(
                    minRatio,
                    switch (decay) {
                        case COSINE -> halfCosine(progress);
                        case LINEAR -> 1 - progress;
                        case ONE_MINUS_SQRT -> 1 - Math.sqrt(progress);
                    });
        }
    }

    /**
     * The schedule that Hugging Face calls {@code type}, with its defaults.
     *
     * @throws IsthmusException if there is none of that name, or the warm-up is negative
     */
    static LrSchedule of(String type, long warmupSteps, long totalSteps) {
        if (warmupSteps < 0) {
            throw new IsthmusException("warmup_steps must be 0 or more, found " + warmupSteps);
        }
        return switch (type) {
            case "constant" -> new Constant();
            case "constant_with_warmup" -> new ConstantWithWarmup(warmupSteps);
            case "linear" -> new Linear(warmupSteps, totalSteps);
            case "cosine" -> new Cosine(warmupSteps, totalSteps);
            case "inverse_sqrt" -> new InverseSqrt(warmupSteps);
            case "warmup_stable_decay" -> WarmupStableDecay.of(warmupSteps, totalSteps);
            default ->
                throw new IsthmusException("lr_scheduler_type '" + type + "' is unknown; there are constant,"
                        + " constant_with_warmup, linear, cosine, inverse_sqrt, warmup_stable_decay");
        };
    }

    private static double fraction(long part, long whole) {
        return (double) part / Math.max(1, whole);
    }

    private static double aboveMinimum(double minRatio, double factor) {
        return Math.max(0, factor * (1 - minRatio) + minRatio);
    }

    private static double halfCosine(double progress) {
        return 0.5 * (1 + Math.cos(Math.PI * progress));
    }
}
