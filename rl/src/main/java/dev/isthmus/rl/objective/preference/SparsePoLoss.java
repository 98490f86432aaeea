package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Preference optimization through sparse token masks: {@linkplain DpoLossType#TDPO1 TDPO} of the sums of {@code m_u(t) lr_t} and {@code m_d(t)
 * KL_t}, plus {@code l1} times the mean of the masks (Christopoulou et al. 2024, SparsePO).
 *
 * <p>The masks are {@link #mask} of a learned head, or any given ones. Unsure: the paper's sign and normalisation of masks; here the
 * sums are not divided, and no branch is detached.
 */
public record SparsePoLoss(double beta, double l1) {
    public SparsePoLoss {
        Require.positive("beta", beta);
        Require.notNegative("l1", l1);
    }

    /**
     * One side of the pairs.
     *
     * @param tokenKl {@code [N, T]}, the divergence from reference to policy
     * @param rewardMask {@code [N, T]}, {@code m_u}
     * @param klMask {@code [N, T]}, {@code m_d}
     */
    public record Side(TokenLogps tokens, Tensor tokenKl, Tensor rewardMask, Tensor klMask) {
        Completions completions() {
            return tokens.sum(rewardMask).withSeqKl(tokens.total(tokenKl.mul(klMask)));
        }

        Tensor masks() {
            return tokens.total(rewardMask.add(klMask)).sum();
        }
    }

    /** {@code relu(h . w + b)}: {@code [N, T]}, of hidden states {@code [N, T, C]}, {@code w [C]} and {@code b} a number. */
    public static Tensor mask(Tensor hidden, Tensor weight, Tensor bias) {
        return hidden.mul(weight).sum(-1, false).add(bias).relu();
    }

    /** The loss. */
    public LossResult compute(Side chosen, Side rejected) {
        LossResult tdpo =
                DpoLoss.of(DpoLossType.TDPO1, beta).compute(Pairs.of(chosen.completions(), rejected.completions()));
        Tensor tokens = chosen.tokens.lengths().add(rejected.tokens.lengths()).sum();
        Tensor density = chosen.masks().add(rejected.masks()).div(tokens.mul(2).clampMin(1));
        Map<String, Double> metrics = new LinkedHashMap<>(tdpo.metrics());
        metrics.put("mask_mean", density.detach().item());
        return new LossResult(tdpo.loss().add(density.mul(l1)), metrics);
    }
}
