package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Kahneman-Tversky optimization: completions that are good or bad by themselves.
 *
 * <p>{@code w (1 - sg(beta s (lr(y) - z)))} with {@code s = 1} and the desirable weight for a good completion, {@code s = -1} and
 * the undesirable weight for a bad one (Ethayarajh et al. 2024, eq. 7 and 8).
 */
public record KtoLoss(LossType lossType, double beta, double desirableWeight, double undesirableWeight)
        implements LabelledLoss {
    public KtoLoss {
        Require.positive("beta", beta);
        Require.notNegative("desirable_weight", desirableWeight);
        Require.notNegative("undesirable_weight", undesirableWeight);
    }

    /** What a log-ratio is compared with. */
    public enum LossType {
        /** {@code z} is the {@link #kl} of mismatched prompts and completions, {@link Labelled#baseline}. */
        KTO,
        /** {@code z = 0} (D'Oosterlinck et al. 2024, eq. 7, unpaired). */
        APO_ZERO_UNPAIRED;

        @Override
        public String toString() {
            return TrlNames.of(this);
        }
    }

    /** TRL's defaults. */
    public static KtoLoss defaults() {
        return new KtoLoss(LossType.KTO, 0.1, 1, 1);
    }

    /** Whether the loss compares with mismatched prompts and completions. */
    public boolean usesMismatched() {
        return lossType == LossType.KTO;
    }

    /** {@code max(0, mean lr(x, y'))} over the completions {@code y'} of other prompts: {@code (x_1, y_N), (x_2, y_1), ...}. */
    public static double kl(double meanLogRatio) {
        return Math.max(0, meanLogRatio);
    }

    @Override
    public LossResult compute(Labelled batch) {
        Tensor logRatios = batch.completions().logRatios();
        Tensor sign = batch.signs();
        Tensor weights =
                sign.mul((desirableWeight - undesirableWeight) / 2).add((desirableWeight + undesirableWeight) / 2);
        Tensor losses =
                logRatios.sub(batch.baseline()).mul(sign).mul(-beta).sigmoid().mul(weights);
        Map<String, Double> metrics = batch.metrics(beta);
        metrics.put("kl", batch.baseline());
        return new LossResult(losses.mean(), metrics);
    }
}
