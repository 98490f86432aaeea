package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Tree preference optimization: {@code -sum_{v_i > v_j} lambda_ij log sg(r_i - r_j)}, {@code r = beta lr}, {@code lambda_ij = |2^v_i -
 * 2^v_j| |1/log(1 + rank_i) - 1/log(1 + rank_j)|}, the rank of a completion being its place by {@code r}, from 1 (Liao et al. 2024,
 * after LiPO). The mean over the prompts.
 *
 * <p>The steps that two branches share in meaning count differently: {@link TokenWeights#steps} before this loss. Unsure: the constants
 * of lambda and of the step weights. The code that was published wraps the loss in another {@code -log sg}, which turns its sign; this
 * follows the paper.
 */
public record TpoLoss(double beta) implements ListLoss {
    public TpoLoss {
        Require.positive("beta", beta);
    }

    @Override
    public LossResult compute(Completions lists) {
        Tensor better = ListLoss.better(lists);
        Tensor rewards = lists.logRatios().mul(beta);
        Tensor lambda = Autograd.noGrad(
                () -> ListLoss.differences(lists.scored().mul(Math.log(2)).exp())
                        .abs()
                        .mul(ListLoss.differences(discounts(rewards)).abs())
                        .mul(better));
        Tensor losses = DpoLossType.logistic(ListLoss.differences(rewards)).mul(lambda);
        Tensor loss = losses.sum(new int[] {1, 2}, false).mean();
        return new LossResult(
                loss, Map.of("rewards/mean", rewards.detach().mean().item()));
    }

    /** {@code 1 / log(1 + rank)}, equal rewards in the order of the list: {@code [P, K]}. */
    private static Tensor discounts(Tensor rewards) {
        double[] r = rewards.toDoubles();
        int k = (int) rewards.size(1);
        double[] discounts = new double[r.length];
        for (int i = 0; i < r.length; i++) {
            int list = i / k * k;
            int rank = 1;
            for (int j = list; j < list + k; j++) {
                if (r[j] > r[i] || (r[j] == r[i] && j < i)) {
                    rank++;
                }
            }
            discounts[i] = 1 / Math.log1p(rank);
        }
        return Tensor.of(discounts, rewards.shape()).to(rewards.dtype());
    }
}
