package dev.isthmus.rl.objective.supervised;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The mean over all tokens of the negative log-prob of completions, each with its weight, and of the divergence from the reference:
 * {@code [-sum_i w_i lp(y_i) + beta sum_i KL(y_i)] / sum_i |y_i|}.
 *
 * <p>With {@link SampleWeights} this is RWR or AWR, with a {@link dev.isthmus.rl.reward.Selector} before it filtered fine-tuning, and with {@link
 * RewardTokens} in the prompts Quark (Lu et al. 2022, arXiv 2205.13636, section 2), whose divergence {@code KL(y) = sum_t
 * KL(pi_ref(.|y_<t); pi(.|y_<t))} is exact at every token; the reference reads no reward token.
 *
 * @param beta the weight of the divergence; at 0 {@link Completions#seqKl} is not read
 */
public record ImitationLoss(double beta) {
    public ImitationLoss {
        Require.notNegative("beta", beta);
    }

    /**
     * The loss of a batch, and the metrics {@code nll_loss}, without weights, and {@code kl} where it is in the loss, both a token.
     *
     * @param weights {@code [N]}, without gradient, or null for 1
     * @throws dev.isthmus.tensor.IsthmusException if beta is not 0 and the batch has no divergences
     */
    public LossResult compute(Completions completions, @Nullable Tensor weights) {
        Tensor tokens = completions.lengths().sum().clampMin(1);
        Tensor nll = completions.logps().neg();
        Tensor loss = (weights == null ? nll : nll.mul(weights)).sum().div(tokens);
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("nll_loss", nll.detach().sum().div(tokens).item());
        if (beta != 0) {
            Tensor kl = completions.divergences().sum().div(tokens);
            metrics.put("kl", kl.detach().item());
            loss = loss.add(kl.mul(beta));
        }
        return new LossResult(loss, metrics);
    }
}
