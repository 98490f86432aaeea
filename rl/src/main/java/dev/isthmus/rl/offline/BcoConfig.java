package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Bco} beside those of all trainers: TRL's BCOConfig, without what weighs prompts of another origin. */
public record BcoConfig(
        @JsonPropertyDescription("How much a log-ratio against the reference counts.")
        double beta,

        @JsonPropertyDescription("The reference (default: --model as it is at the start).") @Nullable
        String refModel,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public BcoConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        new BcoLoss(beta);
    }
}
