package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.rl.objective.preference.CpoLoss;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;

/** The settings of {@link Cpo} beside those of all trainers: TRL's CPOConfig. */
public record CpoConfig(
        @JsonPropertyDescription("How much a difference of log-probs counts.")
        double beta,

        @JsonPropertyDescription("sigmoid, hinge, ipo, simpo, or alphapo: simpo with a cpo_alpha of 0.")
        LossType lossType,

        @JsonPropertyDescription("How much the imitation of the chosen completion counts.")
        double cpoAlpha,

        @JsonPropertyDescription("By how much the chosen completion must lead, for simpo.")
        double simpoGamma,

        @JsonPropertyDescription("Shape of AlphaPO's reward; 0 for the log-prob itself.")
        double alpha,

        @JsonPropertyDescription("Share of pairs that are labelled the wrong way round.")
        double labelSmoothing,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    /** TRL's names. */
    public enum LossType {
        SIGMOID(CpoLoss.LossType.SIGMOID),
        HINGE(CpoLoss.LossType.HINGE),
        IPO(CpoLoss.LossType.IPO),
        SIMPO(CpoLoss.LossType.SIMPO),
        /** {@link #SIMPO} that imitates nothing. */
        ALPHAPO(CpoLoss.LossType.SIMPO);

        private final CpoLoss.LossType loss;

        LossType(CpoLoss.LossType loss) {
            this.loss = loss;
        }

        @Override
        public String toString() {
            return TrlNames.of(this);
        }
    }

    public CpoConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        new CpoLoss(lossType.loss, beta, simpoGamma, alpha, labelSmoothing, cpoAlpha);
    }

    /** The loss of pairs. */
    CpoLoss loss() {
        double imitation = lossType == LossType.ALPHAPO ? 0 : cpoAlpha;
        return new CpoLoss(lossType.loss, beta, simpoGamma, alpha, labelSmoothing, imitation);
    }
}
