package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;

/**
 * The losses of pairs against a reference: TRL's, under its names, and conservative, token-level and margin-weighted DPO.
 *
 * <p>With the scores {@code s} that the {@link FDivergence} makes of the log-ratios, {@code d = s(y+) - s(y-)}; under reverse KL
 * {@code s = lr} and {@code d = D}. {@code e} is the label smoothing.
 */
public enum DpoLossType {
    /** {@code -log sg(beta d)} (Rafailov et al. 2023, eq. 7). */
    SIGMOID {
        @Override
        Tensor perPair(Terms t) {
            return logistic(t.delta().mul(t.beta));
        }
    },
    /** {@code max(0, 1 - beta d)} (Zhao et al. 2023, with the margin of Liu et al. 2023). */
    HINGE {
        @Override
        Tensor perPair(Terms t) {
            return t.delta().mul(-t.beta).add(1).relu();
        }
    },
    /** {@code (s(y+)/|y+| - s(y-)/|y-| - 1/(2 beta))^2} (Azar et al. 2023, eq. 17, per token as its authors ran it). */
    IPO {
        @Override
        Tensor perPair(Terms t) {
            return t.deltaPerToken().sub(1 / (2 * t.beta)).square();
        }
    },
    /** {@code KL(p || q)}, {@code p = (sg(beta d), sg(-beta d))}, {@code q = (1 - e, e)} (Ji et al. 2024, eq. 16); {@code e > 0}. */
    EXO_PAIR {
        @Override
        Tensor perPair(Terms t) {
            Tensor logit = t.delta().mul(t.beta);
            Tensor logLoss = logit.neg().logsigmoid();
            Tensor logWin = logit.logsigmoid();
            double e = t.labelSmoothing;
            return logWin.exp()
                    .mul(logWin.sub(Math.log1p(-e)))
                    .add(logLoss.exp().mul(logLoss.sub(Math.log(e))));
        }

        @Override
        void check(double labelSmoothing) {
            require(labelSmoothing > 0 && labelSmoothing < 1, labelSmoothing, "above 0 and below 1, such as 0.001");
        }
    },
    /** {@code -log sg(r+) - log sg(-r+) / 2 - log sg(-r-) / 2}, {@code r = beta s} (Chen et al. 2024, NCA for pairs). */
    NCA_PAIR {
        @Override
        Tensor perPair(Terms t) {
            Tensor chosen = t.chosenScores.mul(t.beta);
            Tensor rejected = t.rejectedScores.mul(t.beta);
            return logistic(chosen)
                    .add(logistic(chosen.neg()).add(logistic(rejected.neg())).mul(0.5));
        }
    },
    /** {@code [-(1 - e) log sg(beta d) + e log sg(-beta d)] / (1 - 2 e)} (Chowdhury et al. 2024); {@code e < 1/2}. */
    ROBUST {
        @Override
        Tensor perPair(Terms t) {
            Tensor logit = t.delta().mul(t.beta);
            double e = t.labelSmoothing;
            return logistic(logit).mul(1 - e).sub(logistic(logit.neg()).mul(e)).div(1 - 2 * e);
        }

        @Override
        void check(double labelSmoothing) {
            require(labelSmoothing >= 0 && labelSmoothing < 0.5, labelSmoothing, "0 or more and below 0.5");
        }
    },
    /** {@code -log sg(beta s(y+)) - log sg(-beta s(y-))} (Jung et al. 2024, for pairs and without their shift). */
    BCO_PAIR {
        @Override
        Tensor perPair(Terms t) {
            return logistic(t.chosenScores.mul(t.beta)).add(logistic(t.rejectedScores.mul(-t.beta)));
        }
    },
    /** {@code (s(y+) - 1/(2 beta))^2 + (s(y-) + 1/(2 beta))^2} (Wu et al. 2024, eq. 4.7, with probabilities 1 and 0). */
    SPPO_HARD {
        @Override
        Tensor perPair(Terms t) {
            double target = 0.5 / t.beta;
            return t.chosenScores
                    .sub(target)
                    .square()
                    .add(t.rejectedScores.add(target).square());
        }
    },
    /**
     * The smoothed logistic loss of {@code beta (sort(lp(y+) - lp(y-)) - sort(lp_ref(y+) - lp_ref(y-)))}: the margins of the
     * batch compared as distributions (Melnyk et al. 2024, paired).
     */
    AOT {
        @Override
        Tensor perPair(Terms t) {
            Tensor margins = t.pairs.chosen().logps().sub(t.pairs.rejected().logps());
            return smoothed(margins.sub(t.pairs.batchPartners().refMargins()).mul(t.beta), t.labelSmoothing);
        }
    },
    /** The smoothed logistic loss of {@code beta (sort(lr(y+)) - sort(lr(y-)))} (Melnyk et al. 2024, unpaired). */
    AOT_UNPAIRED {
        @Override
        Tensor perPair(Terms t) {
            Partners partners = t.pairs.batchPartners();
            Tensor chosen = t.pairs.chosen().logRatios().sub(partners.rejected());
            Tensor rejected = partners.chosen().sub(t.pairs.rejected().logRatios());
            // The sum over the batch is the same on both sides: one gives the value, both their gradient.
            Tensor other = smoothed(rejected.mul(t.beta), t.labelSmoothing);
            return smoothed(chosen.mul(t.beta), t.labelSmoothing).add(other.sub(other.detach()));
        }
    },
    /** {@code 1 - sg(beta lr(y+)) + sg(beta lr(y-))} (D'Oosterlinck et al. 2024, eq. 7). */
    APO_ZERO {
        @Override
        Tensor perPair(Terms t) {
            return t.pairs
                    .chosen()
                    .logRatios()
                    .mul(-t.beta)
                    .sigmoid()
                    .add(t.pairs.rejected().logRatios().mul(t.beta).sigmoid());
        }
    },
    /** {@code sg(beta lr(y+)) + 1 - sg(beta d)} (D'Oosterlinck et al. 2024, eq. 8). */
    APO_DOWN {
        @Override
        Tensor perPair(Terms t) {
            return t.pairs
                    .chosen()
                    .logRatios()
                    .mul(t.beta)
                    .sigmoid()
                    .add(t.delta().mul(-t.beta).sigmoid());
        }
    },
    /** {@code -(1 - m) log sg(l) + m exp(-l)}, {@code l = beta d}, {@code m = sg(l / tau)} (Lu et al. 2024, eq. 5). */
    DISCOPOP {
        @Override
        Tensor perPair(Terms t) {
            Tensor logit = t.delta().mul(t.beta);
            Tensor scaled = logit.div(t.discopopTau);
            return logistic(logit)
                    .mul(scaled.neg().sigmoid())
                    .add(logit.neg().exp().mul(scaled.sigmoid()));
        }
    },
    /** The mean negative log-prob of the tokens of the chosen completions. */
    SFT {
        @Override
        Tensor perPair(Terms t) {
            return t.pairs.chosenNll();
        }
    },
    /** {@code -log sg(beta (s(y+)/|y+| - s(y-)/|y-|))}: length-normalised DPO. */
    SIGMOID_NORM {
        @Override
        Tensor perPair(Terms t) {
            return logistic(t.deltaPerToken().mul(t.beta));
        }
    },
    /** {@code -(1 - e) log sg(beta d) - e log sg(-beta d)} (Mitchell 2023, conservative DPO); older TRL's smoothed sigmoid. */
    CDPO {
        @Override
        Tensor perPair(Terms t) {
            return smoothed(t.delta().mul(t.beta), t.labelSmoothing);
        }
    },
    /**
     * {@code -log sg(beta d - beta [KL(y-) - KL(y+)])}, {@code KL(y)} the sum over the tokens of the divergence from reference to
     * policy (Zeng et al. 2024, the first version).
     */
    TDPO1 {
        @Override
        Tensor perPair(Terms t) {
            Tensor divergence =
                    t.pairs.rejected().divergences().sub(t.pairs.chosen().divergences());
            return logistic(t.delta().sub(divergence).mul(t.beta));
        }
    },
    /** {@code -log sg(beta d - alpha beta [KL(y-) - KL(y+)])}, {@code KL(y+)} held constant (Zeng et al. 2024, the second version). */
    TDPO2 {
        @Override
        Tensor perPair(Terms t) {
            Tensor divergence = t.pairs
                    .rejected()
                    .divergences()
                    .sub(t.pairs.chosen().divergences().detach());
            return logistic(t.delta().sub(divergence.mul(t.tdpoAlpha)).mul(t.beta));
        }
    },
    /** {@code -log sg(beta(m) d)}, {@code beta(m)} growing with the margin of the scores: {@link DynamicBeta}. */
    MM_DPO {
        @Override
        Tensor perPair(Terms t) {
            return logistic(t.delta().mul(t.dynamicBeta.factors(t.pairs)).mul(t.beta));
        }
    };

    @Override
    public String toString() {
        return TrlNames.of(this);
    }

    /** What the formulas speak of. */
    record Terms(
            Pairs pairs,
            Tensor chosenScores,
            Tensor rejectedScores,
            double beta,
            double labelSmoothing,
            double discopopTau,
            double tdpoAlpha,
            DynamicBeta dynamicBeta) {
        Tensor delta() {
            return chosenScores.sub(rejectedScores);
        }

        Tensor deltaPerToken() {
            return pairs.chosen().perToken(chosenScores).sub(pairs.rejected().perToken(rejectedScores));
        }
    }

    /** The losses {@code [N]}, or one number for the batch. */
    abstract Tensor perPair(Terms t);

    /**
     * Refuses a label smoothing that the formula has no meaning for.
     *
     * @throws IsthmusException saying which it has
     */
    void check(double labelSmoothing) {
        require(labelSmoothing >= 0 && labelSmoothing < 1, labelSmoothing, "0 or more and below 1");
    }

    /** Whether {@code label_smoothing} means something to it. */
    public boolean usesLabelSmoothing() {
        return this == EXO_PAIR || this == ROBUST || this == CDPO || usesPartners();
    }

    /** Whether what a pair costs depends on the others of its batch: {@link Partners}. */
    public boolean usesPartners() {
        return this == AOT || this == AOT_UNPAIRED;
    }

    /** Whether it reads {@link Completions#seqKl}. */
    public boolean usesDivergences() {
        return this == TDPO1 || this == TDPO2;
    }

    void require(boolean holds, double labelSmoothing, String range) {
        if (!holds) {
            throw new IsthmusException("label_smoothing of loss_type " + TrlNames.of(this) + " must be " + range
                    + ", found " + labelSmoothing);
        }
    }

    /** {@code -log sg(logit)}. */
    static Tensor logistic(Tensor logit) {
        return logit.logsigmoid().neg();
    }

    /** {@code -(1 - e) log sg(logit) - e log sg(-logit)}. */
    static Tensor smoothed(Tensor logit, double e) {
        return logistic(logit).mul(1 - e).add(logistic(logit.neg()).mul(e));
    }
}
