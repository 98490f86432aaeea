package dev.isthmus.rl.online;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.rl.objective.preference.CopgLoss;
import dev.isthmus.rl.objective.preference.DpoLoss;
import dev.isthmus.rl.objective.preference.DpoLossType;
import dev.isthmus.rl.objective.preference.IpoLoss;
import dev.isthmus.rl.objective.preference.NashMdLoss;
import dev.isthmus.rl.objective.preference.P3oLoss;
import dev.isthmus.rl.objective.preference.PairTargets;
import dev.isthmus.rl.objective.preference.Pairs;
import dev.isthmus.rl.objective.preference.RewardRegressionLoss;
import dev.isthmus.rl.objective.preference.SoftDpoLoss;
import dev.isthmus.rl.objective.preference.SppoLoss;
import java.util.Locale;

/**
 * What can be minimized where the policy writes two completions of each prompt; {@code sigmoid} and {@code ipo} are TRL's.
 *
 * <p>{@code beta} holds the policy to the reference, {@code eta} to the policy {@code pi_t} that wrote the completions.
 */
public enum OnlineLossType {
    /** {@link DpoLossType#SIGMOID}: online DPO (Guo et al. 2024, arXiv 2402.04792). */
    SIGMOID {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return DpoLoss.of(DpoLossType.SIGMOID, beta).compute(batch.pairs(batch.all()));
        }
    },
    /** {@link IpoLoss}: online IPO (Calandriello et al. 2024). */
    IPO {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new IpoLoss(beta).compute(batch.pairs(batch.all()));
        }
    },
    /** {@link IpoLoss#inpo}, {@code beta} being its {@code tau}: a step towards the regularised Nash policy. */
    INPO {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new IpoLoss(eta).compute(batch.pairs(IpoLoss.inpo(batch.all(), batch.oldLogps(), eta, beta)));
        }
    },
    /** {@link PairTargets#dno}, where a score is how often a completion beats the other. */
    DNO {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            Pairs pairs =
                    batch.pairs(batch.all().withReference(batch.oldLogps()).withScores(batch.winRates()));
            return new SoftDpoLoss(eta).compute(pairs.withTargets(PairTargets.dno(pairs.chosen(), pairs.rejected())));
        }
    },
    /** {@link SppoLoss}, whose {@code eta} is {@code 1 / eta}. */
    SPPO {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new SppoLoss(1 / eta)
                    .compute(batch.all().withReference(batch.oldLogps()).withScores(batch.winRates()));
        }
    },
    /** The policy gradient of self-play: the reward of a completion is how often it beats the other; SPO where {@code beta} is 0. */
    SPO {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new NashMdLoss(beta).compute(batch.all().withScores(batch.winRates()));
        }
    },
    /** {@link RewardRegressionLoss} against {@code pi_t}: REBEL. */
    REBEL {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new RewardRegressionLoss(eta).compute(batch.pairs(batch.all().withReference(batch.oldLogps())));
        }
    },
    /** {@link CopgLoss}. */
    COPG {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            return new CopgLoss(beta).compute(batch.pairs(batch.all()));
        }
    },
    /** {@link P3oLoss} with PPO's range of ratios; rewards are scores less {@code beta} times the log-ratio to the reference. */
    P3O {
        @Override
        LossResult loss(ComparedBatch batch, double beta, double eta) {
            Completions all = batch.all();
            Completions rewarded = all.withReference(batch.oldLogps())
                    .withScores(all.scored()
                            .sub(batch.oldLogps().sub(all.reference()).mul(beta)));
            return new P3oLoss(0.2, P3oLoss.Clipping.SEPARATE).compute(batch.pairs(rewarded));
        }
    };

    /** The loss, a mean over prompts or completions. */
    abstract LossResult loss(ComparedBatch batch, double beta, double eta);

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
