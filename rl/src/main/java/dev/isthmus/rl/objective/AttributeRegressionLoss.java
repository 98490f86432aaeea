package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The loss of a reward model with a score for each of {@code K} attributes: the mean over completions of {@code sum_k (r_k - a_k)^2}
 * (Wang et al. 2024, HelpSteer2; Wang et al. 2024, Directional Preference Alignment). An attribute that nobody rated is NaN and costs
 * nothing.
 */
public record AttributeRegressionLoss() {
    /**
     * The loss of {@code N} completions.
     *
     * @param rewards {@code [N, K]}, with gradient
     * @param ratings {@code [N, K]}
     */
    public LossResult compute(Tensor rewards, Tensor ratings) {
        Tensor unrated = ratings.isnan();
        Tensor errors = rewards.sub(ratings.maskedFill(unrated, 0)).square().maskedFill(unrated, 0);
        Map<String, Double> metrics = new LinkedHashMap<>();
        Autograd.noGrad(() -> {
            double rated =
                    Math.max(1, unrated.logicalNot().to(rewards.dtype()).sum().item());
            metrics.put("mse", errors.sum().item() / rated);
            metrics.put("mean_reward", rewards.mean().item());
        });
        return new LossResult(errors.sum(1, false).mean(), metrics);
    }
}
