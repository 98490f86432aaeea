package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.preference.KtoLoss;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Kto} beside those of all trainers: TRL's KTOConfig. */
public record KtoConfig(
        @JsonPropertyDescription("How much a log-ratio against the reference counts.")
        double beta,

        @JsonPropertyDescription("kto, or apo_zero_unpaired.")
        KtoLoss.LossType lossType,

        @JsonPropertyDescription("What a good completion counts.")
        double desirableWeight,

        @JsonPropertyDescription("What a bad completion counts.")
        double undesirableWeight,

        @JsonPropertyDescription("Weight of the loss that balances the experts of a model that has some.")
        double routerAuxLossCoef,

        @JsonPropertyDescription("The reference (default: --model as it is at the start).") @Nullable
        String refModel,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public KtoConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        new KtoLoss(lossType, beta, desirableWeight, undesirableWeight);
    }

    /** The loss of labelled completions. */
    KtoLoss loss() {
        return new KtoLoss(lossType, beta, desirableWeight, undesirableWeight);
    }
}
