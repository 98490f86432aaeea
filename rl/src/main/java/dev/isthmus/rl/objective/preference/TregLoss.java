package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A loss of pairs, with the reward of every token pulled toward one that contrastive prompts give: {@code L + lambda mean_t (beta
 * lr_t - r_t)^2}, {@code r_t = sg(log pi(y_t|x, good) - log pi(y_t|x, bad)) - 1/2} (in the spirit of Zhou et al. 2024, T-REG).
 *
 * <p>Unsure: the paper's exact regulariser and its weighting of sequences. Here it is the squared distance, every token of both sides
 * counting the same.
 */
public record TregLoss(PairLoss pairLoss, double beta, double lambda) {
    public TregLoss {
        Require.positive("beta", beta);
        Require.notNegative("lambda", lambda);
    }

    /**
     * {@code r_t}: {@code [N, T]}, between -1/2 and 1/2, without gradient.
     *
     * @param goodLogps {@code [N, T]}, the log-probs of the tokens under a prompt that asks for a good answer
     * @param badLogps {@code [N, T]}, under one that asks for a bad answer
     */
    public static Tensor tokenRewards(Tensor goodLogps, Tensor badLogps) {
        return Autograd.noGrad(() -> goodLogps.sub(badLogps).sigmoid().sub(0.5));
    }

    /** The loss; the rewards are {@code [N, T]}. */
    public LossResult compute(TokenLogps chosen, Tensor chosenRewards, TokenLogps rejected, Tensor rejectedRewards) {
        LossResult pairs = pairLoss.compute(Pairs.of(chosen.sum(), rejected.sum()));
        Tensor tokens = chosen.lengths().sum().add(rejected.lengths().sum());
        Tensor distance = distance(chosen, chosenRewards)
                .add(distance(rejected, rejectedRewards))
                .div(tokens.clampMin(1));
        Map<String, Double> metrics = new LinkedHashMap<>(pairs.metrics());
        metrics.put("loss/token_reward", distance.detach().item());
        return new LossResult(pairs.loss().add(distance.mul(lambda)), metrics);
    }

    private Tensor distance(TokenLogps tokens, Tensor rewards) {
        Tensor ref = Completions.given(tokens.refLogps(), "the log-probs of a reference model");
        return tokens.total(tokens.logps().sub(ref).mul(beta).sub(rewards).square())
                .sum();
    }
}
