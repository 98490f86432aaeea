package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/**
 * {@code (D - 1/(2 beta))^2} of summed log-probs (Azar et al. 2023, eq. 17): TRL's online trainers, and INPO.
 *
 * <p>{@link DpoLossType#IPO} is the same of averages per token, as in TRL's offline trainer.
 */
public record IpoLoss(double beta) implements PairLoss {
    public IpoLoss {
        Require.positive("beta", beta);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor losses = pairs.margins().sub(1 / (2 * beta)).square();
        return new LossResult(pairs.mean(losses), PairMetrics.ofLogRatios(pairs, beta));
    }

    /**
     * The reference that makes this loss, with {@code beta = eta}, that of INPO: {@code (tau/eta) lp_ref + (1 - tau/eta) lp_t}, so
     * that {@code D = [lp(y+) - lp(y-)] - (tau/eta) [ref(y+) - ref(y-)] - ((eta - tau)/eta) [lp_t(y+) - lp_t(y-)]} (Zhang et al.
     * 2024). The pairs are sampled from {@code pi_t}.
     *
     * @param snapshotLogps {@code [N]}, {@code lp_t}, the log-probs under the policy that the iteration began with
     * @param eta the step size, above {@code tau}
     * @param tau the weight of the KL divergence from the reference
     */
    public static Completions inpo(Completions completions, Tensor snapshotLogps, double eta, double tau) {
        return completions.withReference(Autograd.noGrad(() -> completions
                .reference()
                .mul(tau / eta)
                .add(snapshotLogps.detach().mul(1 - tau / eta))));
    }
}
