package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/** TRL's metrics of pairs. */
final class PairMetrics {
    private PairMetrics() {}

    /**
     * Means over the pairs.
     *
     * @param chosenRewards {@code [N]}, what the policy implies as a reward
     * @param chosenLogps {@code [N]}, summed or averaged, as the objective compares them
     */
    static Map<String, Double> of(
            Tensor chosenRewards, Tensor rejectedRewards, Tensor chosenLogps, Tensor rejectedLogps) {
        return Autograd.noGrad(() -> {
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("rewards/chosen", chosenRewards.mean().item());
            metrics.put("rewards/rejected", rejectedRewards.mean().item());
            metrics.put(
                    "rewards/accuracies",
                    chosenRewards
                            .gt(rejectedRewards)
                            .to(chosenRewards.dtype())
                            .mean()
                            .item());
            metrics.put(
                    "rewards/margins", chosenRewards.sub(rejectedRewards).mean().item());
            metrics.put("logps/chosen", chosenLogps.mean().item());
            metrics.put("logps/rejected", rejectedLogps.mean().item());
            return metrics;
        });
    }

    /** Those of rewards {@code beta lr(y)} and of summed log-probs. */
    static Map<String, Double> ofLogRatios(Pairs pairs, double beta) {
        return Autograd.noGrad(() -> of(
                pairs.chosen().logRatios().mul(beta),
                pairs.rejected().logRatios().mul(beta),
                pairs.chosen().logps(),
                pairs.rejected().logps()));
    }
}
