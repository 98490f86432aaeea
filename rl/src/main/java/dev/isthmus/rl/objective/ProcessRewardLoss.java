package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * The loss of a process reward model, a classifier at the tokens that end the steps of a solution: the mean over steps of {@code -y log p
 * - (1 - y) log(1 - p)} (Uesato et al. 2022, arXiv 2211.14275; Lightman et al. 2023, arXiv 2305.20050).
 *
 * <p>Labels are right or wrong, or the share of completions from the step that come out right (Wang et al. 2024, Math-Shepherd, arXiv
 * 2312.08935). Pairs of better and worse steps (rStar-Math's PPM) are {@link RewardModelLoss} of the steps' values.
 */
public record ProcessRewardLoss() {
    /**
     * The loss of {@code N} steps, and TRL's metric of it.
     *
     * @param logits {@code [N, 2]}, wrong and right, with gradient, as TRL's PRM has them
     * @param labels {@code [N]}, from 0 to 1
     */
    public LossResult compute(Tensor logits, Tensor labels) {
        Tensor right = labels.to(logits.dtype());
        Tensor logProbs = logits.logSoftmax(-1);
        Tensor loss = logProbs.select(-1, 1)
                .mul(right)
                .add(logProbs.select(-1, 0).mul(right.neg().add(1)))
                .mean()
                .neg();
        double accuracy = Autograd.noGrad(() -> logits.select(-1, 1)
                .gt(logits.select(-1, 0))
                .eq(right.gt(0.5))
                .to(DType.FLOAT32)
                .mean()
                .item());
        return new LossResult(loss, Map.of("accuracy", accuracy));
    }
}
