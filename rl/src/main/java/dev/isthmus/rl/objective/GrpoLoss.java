package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The clipped policy-gradient loss of GRPO and its variants, with TRL's names and defaults.
 *
 * <p>With the ratio {@code rho_t = exp(logp_t - old_t)} and the advantage {@code A} of the sequence, a token costs {@code
 * -min(rho_t A, clip(rho_t, 1 - epsilon, 1 + epsilon_high) A) + beta k3_t}, where {@code k3 = exp(ref - logp) - (ref - logp) - 1}
 * estimates the KL divergence from the reference (Shao et al. 2024, eq. 3 and 4). How the tokens are averaged is the {@link
 * LossType}.
 *
 * @param beta the weight of the KL term; at 0 no reference model is needed
 * @param epsilonHigh the upper clipping bound (DAPO, Yu et al. 2025, eq. 10)
 * @param delta a second upper bound for the unclipped ratio, or null
 */
public record GrpoLoss(
        LossType lossType,
        double beta,
        double epsilon,
        double epsilonHigh,
        @Nullable Double delta,
        ImportanceSamplingLevel importanceSamplingLevel) {
    public GrpoLoss {
        notNegative("beta", beta);
        notNegative("epsilon", epsilon);
        notNegative("epsilon_high", epsilonHigh);
        notNegative("delta", delta == null ? 0 : delta);
    }

    private static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }

    /** How the losses of tokens are averaged. */
    public enum LossType {
        /** The mean over sequences of the mean over their tokens (Shao et al. 2024). */
        GRPO,
        /** The mean over the tokens of the micro-batch. */
        BNPO,
        /** The sum divided by sequences times {@code max_completion_length} (Liu et al. 2025). */
        DR_GRPO,
        /** The mean over the tokens of the whole step (Yu et al. 2025). */
        DAPO;

        /**
         * The loss type of TRL's name.
         *
         * @throws IsthmusException listing the names if there is none
         */
        public static LossType named(String name) {
            return Arrays.stream(values())
                    .filter(t -> t.name().toLowerCase(Locale.ROOT).equals(name))
                    .findFirst()
                    .orElseThrow(() -> new IsthmusException("loss_type '" + name + "' is unknown; there are "
                            + Arrays.stream(values())
                                    .map(t -> t.name().toLowerCase(Locale.ROOT))
                                    .collect(Collectors.joining(", "))));
        }
    }

    /** What a ratio compares. */
    public enum ImportanceSamplingLevel {
        TOKEN,
        /** The geometric mean over the tokens of a sequence (GSPO, Zheng et al. 2025, eq. 7). */
        SEQUENCE
    }

    /** TRL's defaults: token-level DAPO loss, clipping at 0.2, no KL term. */
    public static GrpoLoss defaults() {
        return new GrpoLoss(LossType.DAPO, 0, 0.2, 0.2, null, ImportanceSamplingLevel.TOKEN);
    }

    /**
     * Completions of a micro-batch, padded to the longest: {@code B} sequences of up to {@code T} tokens.
     *
     * @param logps {@code [B, T]}, of the policy, with gradient
     * @param oldLogps {@code [B, T]}, of the policy that sampled, or null where that is the policy itself
     * @param refLogps {@code [B, T]}, of the reference, or null if beta is 0
     * @param advantages {@code [B]}
     * @param mask {@code [B, T]}, 1 for the tokens that count
     * @param numItemsInBatch the tokens that count in the whole step
     * @param maxCompletionLength the limit of generation
     * @param gradientAccumulationSteps the micro-batches of a step
     */
    public record Inputs(
            Tensor logps,
            @Nullable Tensor oldLogps,
            @Nullable Tensor refLogps,
            Tensor advantages,
            Tensor mask,
            double numItemsInBatch,
            int maxCompletionLength,
            int gradientAccumulationSteps) {}

    /** The loss, a number with gradient, and TRL's metrics of it. */
    public record Result(Tensor loss, Map<String, Double> metrics) {}

    /** The loss of a micro-batch. */
    public Result compute(Inputs in) {
        Tensor mask = in.mask;
        Tensor old = in.oldLogps == null ? in.logps.detach() : in.oldLogps;
        // Padding may hold anything: it is taken out before the exponential, not after.
        Tensor logRatio = in.logps.sub(old).mul(mask);
        if (importanceSamplingLevel == ImportanceSamplingLevel.SEQUENCE) {
            logRatio = perSequence(logRatio, mask).reshape(-1, 1);
        }
        Tensor ratio = logRatio.exp();
        Tensor clipped = ratio.clamp(1 - epsilon, 1 + epsilonHigh);
        Tensor advantage = in.advantages.reshape(-1, 1);
        Tensor free = delta == null ? ratio : ratio.clamp(Double.NEGATIVE_INFINITY, delta);
        Tensor perToken = free.mul(advantage).minimum(clipped.mul(advantage)).neg();
        Map<String, Double> metrics = new LinkedHashMap<>();
        if (in.refLogps != null && beta != 0) {
            Tensor difference = in.refLogps.sub(in.logps).mul(mask);
            Tensor kl = difference.exp().sub(difference).sub(1);
            metrics.put("kl", mean(kl, mask));
            perToken = perToken.add(kl.mul(beta));
        }
        Tensor loss = average(perToken.mul(mask), in);
        clipMetrics(ratio.detach(), advantage, mask, metrics);
        return new Result(loss, metrics);
    }

    private Tensor average(Tensor costs, Inputs in) {
        return switch (lossType) {
            case GRPO -> perSequence(costs, in.mask).mean().div(in.gradientAccumulationSteps);
            case BNPO -> costs.sum().div(Math.max(1, in.mask.sum().item())).div(in.gradientAccumulationSteps);
            case DR_GRPO ->
                costs.sum()
                        .div((double) in.mask.size(0) * in.maxCompletionLength)
                        .div(in.gradientAccumulationSteps);
            case DAPO -> costs.sum().div(in.numItemsInBatch);
        };
    }

    /** The mean over the tokens of each sequence that count: {@code [B]}. */
    private static Tensor perSequence(Tensor masked, Tensor mask) {
        return masked.sum(1, false).div(mask.sum(1, false).clamp(1, Double.POSITIVE_INFINITY));
    }

    /** The shares of tokens whose gradient the clipping cut off, on the side where the advantage makes it binding. */
    private void clipMetrics(Tensor ratio, Tensor advantage, Tensor mask, Map<String, Double> metrics) {
        Autograd.noGrad(() -> {
            Tensor negative = advantage.neg().gt(0);
            Tensor positive = advantage.gt(0);
            Tensor low = ratio.neg().gt(-(1 - epsilon)).mul(negative).mul(mask);
            Tensor high = ratio.gt(1 + epsilonHigh).mul(positive).mul(mask);
            double lowMean = mean(low, mask);
            double highMean = mean(high, mask);
            metrics.put("clip_ratio/low_mean", lowMean);
            metrics.put("clip_ratio/high_mean", highMean);
            metrics.put("clip_ratio/region_mean", lowMean + highMean);
            double[] lows = perSequence(low, mask).toDoubles();
            double[] highs = perSequence(high, mask).toDoubles();
            metrics.put("clip_ratio/low_min", Arrays.stream(lows).min().orElse(0));
            metrics.put("clip_ratio/high_max", Arrays.stream(highs).max().orElse(0));
        });
    }

    private static double mean(Tensor values, Tensor mask) {
        return Autograd.noGrad(() ->
                values.detach().mul(mask).sum().item() / Math.max(1, mask.sum().item()));
    }
}
