package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Teaches a reward model to like stated confidence where the answer is good and to dislike it where it is bad: {@code -log sigmoid(R(y+,
 * high) - R(y+, low)) - log sigmoid(R(y-, low) - R(y-, high))} (Leng et al. 2024, PPO-M).
 */
public record CalibratedRewardLoss() {
    /** The loss of pairs, each answer once with high and once with low confidence; all {@code [N]}, with gradient. */
    public LossResult compute(Tensor chosenHigh, Tensor chosenLow, Tensor rejectedHigh, Tensor rejectedLow) {
        Tensor good = chosenHigh.sub(chosenLow);
        Tensor bad = rejectedLow.sub(rejectedHigh);
        Tensor loss = good.logsigmoid().add(bad.logsigmoid()).mean().neg();
        double accuracy =
                Autograd.noGrad(() -> good.gt(0).to(good.dtype()).mean().item()
                                + bad.gt(0).to(bad.dtype()).mean().item())
                        / 2;
        return new LossResult(loss, Map.of("accuracy", accuracy));
    }
}
