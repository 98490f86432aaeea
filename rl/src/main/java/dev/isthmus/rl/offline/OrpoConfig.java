package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.preference.OrpoLoss;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;

/** The settings of {@link Orpo} beside those of all trainers: TRL's ORPOConfig. */
public record OrpoConfig(
        @JsonPropertyDescription("How much the odds count beside the imitation of the chosen completion.")
        double beta,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public OrpoConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        new OrpoLoss(beta);
    }
}
