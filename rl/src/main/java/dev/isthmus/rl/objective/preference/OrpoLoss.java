package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.Map;

/**
 * Odds-ratio preference optimization, without a reference: {@code nll - beta log sg(odds(y+) - odds(y-))} with the log-odds {@code
 * odds(y) = m - log(1 - exp(m))} of the average log-prob {@code m = lp(y) / |y|} (Hong et al. 2024, eq. 4, 6 and 7).
 *
 * <p>In TRL the negative log-likelihood is that of the chosen completions and their prompts: {@link Pairs#nll}.
 */
public record OrpoLoss(double beta) implements PairLoss {
    public OrpoLoss {
        Require.positive("beta", beta);
    }

    /** TRL's defaults. */
    public static OrpoLoss defaults() {
        return new OrpoLoss(0.1);
    }

    @Override
    public boolean usesReference() {
        return false;
    }

    @Override
    public LossResult compute(Pairs pairs) {
        Tensor chosen = pairs.chosen().averageLogps();
        Tensor rejected = pairs.rejected().averageLogps();
        Tensor logOdds = logOdds(chosen).sub(logOdds(rejected));
        Tensor ratio = logOdds.logsigmoid();
        Tensor nll = pairs.chosenNll();
        Tensor loss = nll.sub(pairs.mean(ratio).mul(beta));
        Map<String, Double> metrics =
                Autograd.noGrad(() -> PairMetrics.of(chosen.mul(beta), rejected.mul(beta), chosen, rejected));
        metrics.put("nll_loss", nll.detach().item());
        metrics.put("log_odds_ratio", ratio.detach().mean().item());
        metrics.put("log_odds_chosen", logOdds.detach().mean().item());
        return new LossResult(loss, metrics);
    }

    /** {@code m - log(1 - exp(m))}, through {@code expm1} where {@code m} is near 0. */
    private static Tensor logOdds(Tensor m) {
        return m.sub(m.expm1().neg().log());
    }
}
