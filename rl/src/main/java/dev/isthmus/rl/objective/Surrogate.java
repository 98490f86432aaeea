package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What a token costs in a policy-gradient loss, before costs are averaged.
 *
 * <p>{@code A} is the advantage, {@code rho = pi(y) / pi_old(y)} the ratio to the policy that sampled, of the token or of its
 * sequence ({@link ImportanceSamplingLevel}).
 */
@FunctionalInterface
public interface Surrogate {
    /**
     * The tokens of a micro-batch.
     *
     * @param logps {@code [B, T]}, with gradient
     * @param logRatio {@code [B, T]}, {@code log pi - log pi_old} of each token, with gradient; 0 where the mask is 0
     * @param ratio {@code [B, T]}, or {@code [B, 1]} if it is one for each sequence, with gradient
     * @param advantages {@code [B, 1]} or {@code [B, T]}
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    record Tokens(Tensor logps, Tensor logRatio, Tensor ratio, Tensor advantages, Tensor mask) {}

    /** The cost of each token, {@code [B, T]}, or {@code [B, 1]} if it is one for each sequence. */
    Tensor cost(Tokens tokens);

    /** TRL's metrics of this surrogate; computed without gradient. */
    default Map<String, Double> metrics(Tokens tokens) {
        return Map.of();
    }

    /** {@code -A log pi(y)}: REINFORCE (Williams 1992). */
    record Reinforce() implements Surrogate {
        @Override
        public Tensor cost(Tokens tokens) {
            return tokens.advantages.mul(tokens.logps).neg();
        }
    }

    /**
     * {@code -min(min(rho, delta) A, clip(rho, 1 - epsilon, 1 + epsilon_high) A)} (PPO, Schulman et al. 2017, eq. 7; the upper
     * bound of its own is DAPO's, arXiv 2503.14476, eq. 10; delta is INTELLECT-2's, arXiv 2505.07291).
     *
     * @param delta the bound of the ratio that is not clipped, or null for none
     */
    record Clipped(
            double epsilon, double epsilonHigh, @Nullable Double delta) implements Surrogate {
        public Clipped {
            Require.notNegative("epsilon", epsilon);
            Require.notNegative("epsilon_high", epsilonHigh);
            Require.notNegative("delta", delta == null ? 0 : delta);
        }

        @Override
        public Tensor cost(Tokens tokens) {
            Tensor clipped = tokens.ratio.clamp(1 - epsilon, 1 + epsilonHigh);
            Tensor free = delta == null ? tokens.ratio : tokens.ratio.clampMax(delta);
            return free.mul(tokens.advantages)
                    .minimum(clipped.mul(tokens.advantages))
                    .neg();
        }

        /** The shares of ratios whose gradient the clipping cut off: those beyond the bound on the side where A makes it binding. */
        @Override
        public Map<String, Double> metrics(Tokens tokens) {
            Tensor mask = tokens.mask;
            Tensor low = tokens.ratio
                    .lt(1 - epsilon)
                    .logicalAnd(tokens.advantages.lt(0))
                    .to(mask.dtype());
            Tensor high = tokens.ratio
                    .gt(1 + epsilonHigh)
                    .logicalAnd(tokens.advantages.gt(0))
                    .to(mask.dtype());
            double lowMean = Masked.mean(low, mask).item();
            double highMean = Masked.mean(high, mask).item();
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("clip_ratio/low_mean", lowMean);
            metrics.put("clip_ratio/high_mean", highMean);
            metrics.put("clip_ratio/region_mean", lowMean + highMean);
            double[] lows = Masked.meanOfSequences(low, mask).toDoubles();
            double[] highs = Masked.meanOfSequences(high, mask).toDoubles();
            double[] lengths = mask.sum(1, false).toDoubles();
            int[] filled = IntStream.range(0, lengths.length)
                    .filter(i -> lengths[i] > 0)
                    .toArray();
            metrics.put(
                    "clip_ratio/low_min",
                    Arrays.stream(filled).mapToDouble(i -> lows[i]).min().orElse(0));
            metrics.put(
                    "clip_ratio/high_max",
                    Arrays.stream(filled).mapToDouble(i -> highs[i]).max().orElse(0));
            return metrics;
        }
    }

    /** {@code -sg(min(rho, epsilon_high)) A log pi(y)}, sg without gradient (CISPO: MiniMax-M1, arXiv 2506.13585). */
    record Cispo(double epsilonHigh) implements Surrogate {
        public Cispo {
            Require.notNegative("epsilon_high", epsilonHigh);
        }

        @Override
        public Tensor cost(Tokens tokens) {
            return tokens.ratio
                    .detach()
                    .clampMax(epsilonHigh)
                    .mul(tokens.advantages)
                    .mul(tokens.logps)
                    .neg();
        }

        @Override
        public Map<String, Double> metrics(Tokens tokens) {
            Tensor clipped = tokens.ratio.gt(epsilonHigh).logicalAnd(tokens.advantages.gt(0));
            return Map.of(
                    "cispo_clip_ratio",
                    Masked.mean(clipped.to(tokens.mask.dtype()), tokens.mask).item());
        }
    }

    /**
     * {@code -(4 / tau) sigmoid(tau (rho - 1)) A}, tau by the sign of A: clipping made smooth (SAPO, arXiv 2511.20347).
     */
    record Sapo(double temperatureNeg, double temperaturePos) implements Surrogate {
        public Sapo {
            Require.positive("sapo_temperature_neg", temperatureNeg);
            Require.positive("sapo_temperature_pos", temperaturePos);
        }

        /** TRL's defaults. */
        public static Sapo defaults() {
            return new Sapo(1.05, 1);
        }

        @Override
        public Tensor cost(Tokens tokens) {
            Tensor temperature = Tensor.fullLike(tokens.advantages, temperaturePos)
                    .where(tokens.advantages.gt(0), Tensor.fullLike(tokens.advantages, temperatureNeg));
            Tensor gate = tokens.ratio
                    .sub(1)
                    .mul(temperature)
                    .sigmoid()
                    .mul(temperature.reciprocal().mul(4));
            return gate.mul(tokens.advantages).neg();
        }
    }

    /**
     * {@code -sg(phi(w)) A log pi(y)} with the sequence's ratio {@code w = prod_t rho_t} and {@code phi(w) = w^k exp(lambda (1 -
     * w))}, k and lambda by the sign of A (VESPO, arXiv 2602.10693). As in TRL, log ratios of tokens are limited to 20 and w to
     * {@code [1e-8, e^20]}.
     */
    record Vespo(double kPos, double lambdaPos, double kNeg, double lambdaNeg) implements Surrogate {
        private static final double LARGEST = 20;
        private static final double SMALLEST = StrictMath.log(1e-8);

        /** TRL's defaults. */
        public static Vespo defaults() {
            return new Vespo(2, 3, 3, 2);
        }

        @Override
        public Tensor cost(Tokens tokens) {
            return phi(tokens).mul(tokens.advantages).mul(tokens.logps).neg();
        }

        private Tensor phi(Tokens tokens) {
            return Autograd.noGrad(() -> {
                Tensor logW = tokens.logRatio
                        .clamp(-LARGEST, LARGEST)
                        .mul(tokens.mask)
                        .sum(1, true)
                        .clamp(SMALLEST, LARGEST);
                Tensor gain = tokens.advantages.ge(0);
                Tensor oneMinusW = logW.exp().neg().add(1);
                Tensor pos = logW.mul(kPos).add(oneMinusW.mul(lambdaPos));
                Tensor neg = logW.mul(kNeg).add(oneMinusW.mul(lambdaNeg));
                return pos.where(gain, neg).exp();
            });
        }

        @Override
        public Map<String, Double> metrics(Tokens tokens) {
            return Map.of(
                    "vespo/phi_seq_mean", Masked.mean(phi(tokens), tokens.mask).item());
        }
    }
}
