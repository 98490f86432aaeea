package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Reduction;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Learns token rewards from outcomes: the cross-entropy of {@code sigmoid(beta sum_t [log pi_phi - log pi_ref])} with the outcome (Yuan
 * et al. 2024, implicit PRM; Cui et al. 2025, PRIME, arXiv 2502.01456). The rewards are {@code TokenRewards.implicit(..., beta, ...)}.
 */
public record ImplicitRewardLoss(double beta) {
    public ImplicitRewardLoss {
        Require.positive("beta", beta);
    }

    /**
     * The loss of {@code B} completions.
     *
     * @param logps {@code [B, T]}, of the reward model, with gradient
     * @param refLogps {@code [B, T]}
     * @param outcomes {@code [B]}, from 0 to 1
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    public LossResult compute(Tensor logps, Tensor refLogps, Tensor outcomes, Tensor mask) {
        Tensor rewards = logps.sub(refLogps).mul(mask).sum(1, false).mul(beta);
        Tensor loss = Functional.binaryCrossEntropyWithLogits(rewards, outcomes, null, Reduction.MEAN, null);
        double accuracy = Autograd.noGrad(() ->
                rewards.gt(0).eq(outcomes.gt(0.5)).to(rewards.dtype()).mean().item());
        return new LossResult(loss, Map.of("accuracy", accuracy));
    }
}
