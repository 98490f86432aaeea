package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a reward model on pairs: {@code mean(-log sigmoid(r_c - r_r - margin)) + coef mean((r_c + r_r)^2)}.
 *
 * <p>The first term is the likelihood of the preferences (Bradley and Terry 1952) with the margin of Llama 2 (arXiv 2307.09288,
 * eq. 2), the second keeps the mean reward at 0 (Eisenstein et al. 2023, arXiv 2312.09244).
 *
 * @param centerRewardsCoefficient TRL's {@code center_rewards_coefficient}, null for 0
 */
public record RewardModelLoss(@Nullable Double centerRewardsCoefficient) {
    /**
     * The loss of {@code N} pairs.
     *
     * @param chosen {@code [N]}, rewards with gradient; {@code rejected} likewise
     * @param margin {@code [N]}, or null for 0
     */
    public LossResult compute(Tensor chosen, Tensor rejected, @Nullable Tensor margin) {
        Tensor difference = chosen.sub(rejected);
        Tensor beyond = margin == null ? difference : difference.sub(margin);
        Tensor loss = beyond.logsigmoid().mean().neg();
        if (centerRewardsCoefficient != null) {
            loss = loss.add(chosen.add(rejected).square().mean().mul(centerRewardsCoefficient));
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        Autograd.noGrad(() -> {
            Tensor all = Tensor.cat(0, chosen.detach(), rejected.detach());
            metrics.put("min_reward", all.min().item());
            metrics.put("mean_reward", all.mean().item());
            metrics.put("max_reward", all.max().item());
            metrics.put("accuracy", difference.gt(0).to(chosen.dtype()).mean().item());
            metrics.put("margin", difference.mean().item());
        });
        return new LossResult(loss, metrics);
    }
}
