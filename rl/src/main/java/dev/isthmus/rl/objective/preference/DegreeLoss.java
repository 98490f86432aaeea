package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A loss of pairs, and telling from a damaged completion how much of its content was removed: {@code L + gamma CE(degree)} (Li et al.
 * 2024, self-supervised preference optimization).
 *
 * <p>Unsure: the paper's head. The caller gives the logits of any head over the hidden states of damaged completions.
 */
public record DegreeLoss(PairLoss pairLoss, double gamma) {
    public DegreeLoss {
        Require.notNegative("gamma", gamma);
    }

    /**
     * The loss.
     *
     * @param degreeLogits {@code [M, degrees]}, with gradient
     * @param degrees {@code [M]}, the degree of removal of each, from 0
     */
    public LossResult compute(Pairs pairs, Tensor degreeLogits, Tensor degrees) {
        LossResult preference = pairLoss.compute(pairs);
        Tensor classification = Functional.crossEntropy(degreeLogits, degrees);
        Map<String, Double> metrics = new LinkedHashMap<>(preference.metrics());
        metrics.put("loss/degree", classification.detach().item());
        return new LossResult(preference.loss().add(classification.mul(gamma)), metrics);
    }
}
