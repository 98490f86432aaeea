package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Direct preference optimization: a weighted sum of {@linkplain DpoLossType losses} of the log-ratios of pairs.
 *
 * <p>LD-DPO is {@link TokenWeights#lengthDesensitized} and RISE {@link ErrorInjection} before, WPO {@link PairWeights#wpo} beside this loss.
 *
 * @param lossTypes one or more
 * @param lossWeights one for each loss type
 * @param beta how much a log-ratio counts; the reward that the policy implies is {@code beta lr(y)}
 * @param labelSmoothing the share of pairs that are labelled the wrong way round, where the loss type knows of it
 * @param discopopTau the temperature of {@link DpoLossType#DISCOPOP}
 * @param fAlphaDivergenceCoef the alpha of {@link FDivergence#ALPHA_DIVERGENCE}
 * @param tdpoAlpha what the divergences of {@link DpoLossType#TDPO2} count
 * @param dynamicBeta how beta grows under {@link DpoLossType#MM_DPO}
 */
public record DpoLoss(
        List<DpoLossType> lossTypes,
        List<Double> lossWeights,
        double beta,
        double labelSmoothing,
        double discopopTau,
        FDivergence fDivergenceType,
        double fAlphaDivergenceCoef,
        double tdpoAlpha,
        DynamicBeta dynamicBeta)
        implements PairLoss {
    public DpoLoss {
        lossTypes = List.copyOf(lossTypes);
        lossWeights = List.copyOf(lossWeights);
        if (lossTypes.isEmpty() || lossTypes.size() != lossWeights.size()) {
            throw new IsthmusException("loss_weights must have one number for each loss_type, found "
                    + lossWeights.size() + " for " + lossTypes.size());
        }
        Require.positive("beta", beta);
        Require.positive("discopop_tau", discopopTau);
        Require.notNegative("tdpo_alpha", tdpoAlpha);
        for (DpoLossType type : lossTypes) {
            type.check(labelSmoothing);
        }
    }

    /** One loss with the other defaults of TRL and of TDPO's authors. */
    public static DpoLoss of(DpoLossType type, double beta) {
        return new DpoLoss(
                List.of(type),
                List.of(1.0),
                beta,
                0,
                0.05,
                FDivergence.REVERSE_KL,
                0.5,
                0.5,
                new DynamicBeta(0.5, 0.5));
    }

    /** Whether it reads {@link Pairs#partners}. */
    public boolean usesPartners() {
        return lossTypes.stream().anyMatch(DpoLossType::usesPartners);
    }

    /** Whether it reads {@link Completions#seqKl}. */
    public boolean usesDivergences() {
        return lossTypes.stream().anyMatch(DpoLossType::usesDivergences);
    }

    @Override
    public LossResult compute(Pairs pairs) {
        DpoLossType.Terms terms = new DpoLossType.Terms(
                pairs,
                fDivergenceType.score(pairs.chosen().logRatios(), fAlphaDivergenceCoef),
                fDivergenceType.score(pairs.rejected().logRatios(), fAlphaDivergenceCoef),
                beta,
                labelSmoothing,
                discopopTau,
                tdpoAlpha,
                dynamicBeta);
        Tensor loss = null;
        for (int i = 0; i < lossTypes.size(); i++) {
            DpoLossType type = lossTypes.get(i);
            if (pairs.weights() != null && type.usesPartners()) {
                throw new IsthmusException("loss_type aot sorts the pairs of a batch, so they cannot have weights of"
                        + " their own: leave use_weighting off");
            }
            Tensor part = pairs.mean(type.perPair(terms)).mul(lossWeights.get(i));
            loss = loss == null ? part : loss.add(part);
        }
        Map<String, Double> metrics = PairMetrics.ofLogRatios(pairs, beta);
        if (lossTypes.contains(DpoLossType.MM_DPO)) {
            metrics.put("beta/mean", dynamicBeta.factors(pairs).mean().item() * beta);
        }
        if (usesDivergences()) {
            metrics.put(
                    "kl/chosen", pairs.chosen().divergences().detach().mean().item());
            metrics.put(
                    "kl/rejected",
                    pairs.rejected().divergences().detach().mean().item());
        }
        return new LossResult(Objects.requireNonNull(loss), metrics);
    }
}
