package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.tensor.Autograd;
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
        /** {@code z = max(0, mean lr(x, y'))} of {@linkplain Labelled#mismatched mismatched} pairs, without gradient. */
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

    @Override
    public boolean usesMismatched() {
        return lossType == LossType.KTO;
    }

    @Override
    public LossResult compute(Labelled batch) {
        double kl = usesMismatched() ? mismatchedKl(batch) : 0;
        Tensor logRatios = batch.completions().logRatios();
        Tensor sign = batch.signs();
        Tensor weights =
                sign.mul((desirableWeight - undesirableWeight) / 2).add((desirableWeight + undesirableWeight) / 2);
        Tensor losses = logRatios.sub(kl).mul(sign).mul(-beta).sigmoid().mul(weights);
        Map<String, Double> metrics = batch.metrics(beta);
        metrics.put("kl", kl);
        return new LossResult(losses.mean(), metrics);
    }

    private static double mismatchedKl(Labelled batch) {
        return Autograd.noGrad(() ->
                Math.max(0, batch.mismatchedCompletions().logRatios().mean().item()));
    }
}
