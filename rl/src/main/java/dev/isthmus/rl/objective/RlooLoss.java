package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * RLOO's loss: a completion is one action (Ahmadian et al. 2024, arXiv 2402.14740, section 3), with TRL's clipping.
 *
 * <p>The mean over sequences of {@code -min(rho A, clip(rho, 1 - epsilon, 1 + epsilon_high) A)} with {@code rho = exp(sum_t (log
 * pi - log pi_old))}. The KL penalty is in the rewards that A comes from.
 */
public record RlooLoss(Surrogate.Clipped clipped) {
    /** TRL's defaults. */
    public static RlooLoss defaults() {
        return new RlooLoss(new Surrogate.Clipped(0.2, 0.2, null));
    }

    /**
     * The loss of a micro-batch, and TRL's metrics of it.
     *
     * @param logps {@code [B, T]}, of the policy, with gradient
     * @param oldSums {@code [B]}, the sums over the tokens of the log-probabilities of the policy that sampled
     * @param advantages {@code [B]}
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    public LossResult compute(Tensor logps, Tensor oldSums, Tensor advantages, Tensor mask) {
        Tensor sums = logps.mul(mask).sum(1, true);
        Tensor logRatio = sums.sub(oldSums.unsqueeze(1));
        var sequences = new Surrogate.Tokens(
                sums, logRatio, logRatio.exp(), advantages.unsqueeze(1), Tensor.onesLike(sums.detach()));
        Map<String, Double> metrics = Autograd.noGrad(() -> clipped.metrics(sequences));
        return new LossResult(clipped.cost(sequences).mean(), metrics);
    }
}
