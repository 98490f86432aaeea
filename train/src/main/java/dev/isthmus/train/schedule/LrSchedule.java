package dev.isthmus.train.schedule;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.KeywordArguments;
import dev.isthmus.train.schedule.LrSchedule.WarmupStableDecay.Decay;
import java.util.Locale;
import java.util.Map;

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
        @Override
        public double multiplier(long step) {
            return step < warmupSteps
                    ? fraction(step, warmupSteps)
                    : aboveMinimum(
                            minRatio, halfCosine(fraction(step - warmupSteps, totalSteps - warmupSteps) * 2 * cycles));
        }
    }

    /**
     * {@code cosine_with_restarts}: from 1 down to 0 along half a period, several times (Loshchilov and Hutter,
     * arXiv:1608.03983).
     *
     * @param cycles how often until {@code totalSteps}
     */
    record CosineWithRestarts(long warmupSteps, long totalSteps, double cycles) implements LrSchedule {
        @Override
        public double multiplier(long step) {
            if (step < warmupSteps) {
                return fraction(step, warmupSteps);
            }
            double progress = fraction(step - warmupSteps, totalSteps - warmupSteps);
            return progress >= 1 ? 0 : halfCosine(cycles * progress % 1);
        }
    }

    /**
     * {@code polynomial}: from 1 down to {@code minRatio} as a power of the steps that are left.
     *
     * @param minRatio the rate at the end as a part of the peak
     */
    record Polynomial(long warmupSteps, long totalSteps, double power, double minRatio) implements LrSchedule {
        @Override
        public double multiplier(long step) {
            return step < warmupSteps
                    ? fraction(step, warmupSteps)
                    : aboveMinimum(
                            minRatio,
                            Math.pow(Math.max(0, fraction(totalSteps - step, totalSteps - warmupSteps)), power));
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
            ONE_MINUS_SQRT;

            @Override
            public String toString() {
                return this == ONE_MINUS_SQRT ? "1-sqrt" : name().toLowerCase(Locale.ROOT);
            }
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
     * The schedule that Hugging Face calls {@code type}, with its defaults. The decay of {@code warmup_stable_decay} is the
     * last tenth of the run where {@code num_decay_steps} does not say otherwise.
     *
     * @param kwargs {@code lr_scheduler_kwargs}: {@code num_cycles} of cosines, {@code min_lr_rate} or {@code min_lr},
     *     {@code power} and {@code lr_end}, {@code timescale}; {@code num_stable_steps}, {@code num_decay_steps},
     *     {@code decay_type} and {@code min_lr_ratio}
     * @param learningRate the peak, of which {@code min_lr} and {@code lr_end} are parts
     * @throws IsthmusException if there is none of that name, it has no such constant, or the warm-up is negative
     */
    static LrSchedule of(String type, Map<String, ?> kwargs, long warmupSteps, long totalSteps, double learningRate) {
        if (warmupSteps < 0) {
            throw new IsthmusException("warmup_steps must be 0 or more, found " + warmupSteps);
        }
        KeywordArguments given = new KeywordArguments("lr_scheduler_kwargs", type, kwargs);
        LrSchedule schedule = switch (type) {
            case "constant" -> new Constant();
            case "constant_with_warmup" -> new ConstantWithWarmup(warmupSteps);
            case "linear" -> new Linear(warmupSteps, totalSteps);
            case "cosine" -> new Cosine(warmupSteps, totalSteps, given.number("num_cycles", 0.5), 0);
            case "cosine_with_min_lr" ->
                new Cosine(warmupSteps, totalSteps, given.number("num_cycles", 0.5), minRatio(given, learningRate));
            case "cosine_with_restarts" ->
                new CosineWithRestarts(warmupSteps, totalSteps, given.number("num_cycles", 1));
            case "polynomial" ->
                new Polynomial(
                        warmupSteps, totalSteps, given.number("power", 1), part(given, "lr_end", 1e-7, learningRate));
            case "inverse_sqrt" ->
                given.has("timescale")
                        ? new InverseSqrt(warmupSteps, given.steps("timescale", 1, 1))
                        : new InverseSqrt(warmupSteps);
            case "warmup_stable_decay" -> {
                long after = Math.max(0, totalSteps - warmupSteps);
                long decaySteps = given.steps("num_decay_steps", 0, Math.min(Math.max(1, totalSteps / 10), after));
                long stableSteps = given.steps("num_stable_steps", 0, Math.max(0, after - decaySteps));
                Decay decay = given.choice("decay_type", Decay.class, Decay.COSINE);
                yield new WarmupStableDecay(
                        warmupSteps, stableSteps, decaySteps, decay, part(given, "min_lr_ratio", 0, 1));
            }
            default ->
                throw new IsthmusException("lr_scheduler_type '" + type + "' is unknown; there are constant,"
                        + " constant_with_warmup, linear, cosine, cosine_with_min_lr, cosine_with_restarts,"
                        + " polynomial, inverse_sqrt, warmup_stable_decay");
        };
        given.requireKnown();
        return schedule;
    }

    private static double minRatio(KeywordArguments given, double learningRate) {
        if (given.has("min_lr") == given.has("min_lr_rate")) {
            throw new IsthmusException("lr_scheduler_kwargs: cosine_with_min_lr wants either min_lr or min_lr_rate");
        }
        return given.has("min_lr") ? part(given, "min_lr", 0, learningRate) : part(given, "min_lr_rate", 0, 1);
    }

    /** A constant as a part of {@code whole}. */
    private static double part(KeywordArguments given, String key, double otherwise, double whole) {
        double value = given.number(key, otherwise);
        if (given.has(key) && !(value >= 0 && value <= whole)) {
            throw new IsthmusException(
                    "lr_scheduler_kwargs: " + key + " must be between 0 and " + whole + ", found " + value);
        }
        return whole > 0 ? Math.min(1, value / whole) : 0;
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
