package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Contrastive preference optimization, without a reference: a loss of {@code d = r(y+) - r(y-)} plus {@code cpo_alpha} times the
 * mean negative log-prob of the chosen tokens (Xu et al. 2024).
 *
 * <p>{@code r = lp} for sigmoid and hinge, {@code r = lp / |y|} for ipo and simpo; with {@code alpha != 0} its transformed {@code
 * (1 - exp(-alpha r)) / alpha} (AlphaPO, Gupta et al. 2025). SimPO alone is {@code SIMPO} with a {@code cpo_alpha} of 0.
 *
 * @param simpoGamma the margin that the chosen completion must lead by
 * @param alpha the shape of AlphaPO's reward, 0 for the log-prob itself
 */
public record CpoLoss(
        LossType lossType, double beta, double simpoGamma, double alpha, double labelSmoothing, double cpoAlpha)
        implements PairLoss {
    public CpoLoss {
        Require.positive("beta", beta);
        Require.notNegative("cpo_alpha", cpoAlpha);
        if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
            throw new IsthmusException("label_smoothing must be 0 or more and below 1, found " + labelSmoothing);
        }
    }

    /** The loss of the difference {@code d}; {@code e} is the label smoothing. */
    public enum LossType {
        /** {@code -(1 - e) log sg(beta d) - e log sg(-beta d)}. */
        SIGMOID {
            @Override
            Tensor perPair(Tensor d, CpoLoss o) {
                return DpoLossType.smoothed(d.mul(o.beta), o.labelSmoothing);
            }
        },
        /** {@code max(0, 1 - beta d)}. */
        HINGE {
            @Override
            Tensor perPair(Tensor d, CpoLoss o) {
                return d.mul(-o.beta).add(1).relu();
            }
        },
        /** {@code (d - 1/(2 beta))^2}. */
        IPO {
            @Override
            Tensor perPair(Tensor d, CpoLoss o) {
                return d.sub(1 / (2 * o.beta)).square();
            }
        },
        /** The sigmoid loss of {@code beta d - gamma} (Meng et al. 2024). */
        SIMPO {
            @Override
            Tensor perPair(Tensor d, CpoLoss o) {
                return DpoLossType.smoothed(d.mul(o.beta).sub(o.simpoGamma), o.labelSmoothing);
            }
        };

        abstract Tensor perPair(Tensor d, CpoLoss o);

        boolean averages() {
            return this == IPO || this == SIMPO;
        }
    }

    /** TRL's defaults. */
    public static CpoLoss defaults() {
        return new CpoLoss(LossType.SIGMOID, 0.1, 0.5, 0, 0, 1);
    }

    @Override
    public boolean usesReference() {
        return false;
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor chosenLogps = logps(pairs.chosen());
        Tensor rejectedLogps = logps(pairs.rejected());
        Tensor chosen = reward(chosenLogps);
        Tensor rejected = reward(rejectedLogps);
        Tensor loss = pairs.mean(lossType.perPair(chosen.sub(rejected), this));
        Map<String, Double> metrics =
                Autograd.noGrad(() -> PairMetrics.of(chosen.mul(beta), rejected.mul(beta), chosenLogps, rejectedLogps));
        double nllLoss = 0;
        if (cpoAlpha != 0) {
            Tensor nll = pairs.chosenNll();
            loss = loss.add(nll.mul(cpoAlpha));
            nllLoss = nll.detach().item();
        }
        metrics.put("nll_loss", nllLoss);
        return new LossResult(loss, metrics);
    }

    private Tensor logps(Completions completions) {
        return lossType.averages() ? completions.averageLogps() : completions.logps();
    }

    private Tensor reward(Tensor logps) {
        return alpha == 0 ? logps : logps.mul(-alpha).expm1().div(-alpha);
    }
}
