package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Bco} beside those of all trainers: TRL's BCOConfig. */
public record BcoConfig(
        @JsonPropertyDescription("How much a log-ratio against the reference counts.")
        double beta,

        @JsonPropertyDescription("The reference (default: --model as it is at the start).") @Nullable
        String refModel,

        @JsonPropertyDescription(
                "Weigh bad completions by how much their prompts are like those of good ones, in the mean hidden states of"
                        + " this model, which must have the same vocabulary.")
        @Nullable
        String embeddingModel,

        @JsonPropertyDescription("With --embedding-model: prompts of each kind, at most, by which they are told apart.")
        int promptSampleSize,

        @JsonPropertyDescription("With --embedding-model: the least that a bad completion counts.")
        double minDensityRatio,

        @JsonPropertyDescription("With --embedding-model: the most.")
        double maxDensityRatio,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public BcoConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        BaseConfig.atLeast(1, "prompt_sample_size", promptSampleSize);
        if (!(minDensityRatio >= 0 && minDensityRatio <= maxDensityRatio)) {
            throw new IsthmusException("min_density_ratio must be from 0 to max_density_ratio " + maxDensityRatio
                    + ", found " + minDensityRatio);
        }
        new BcoLoss(beta);
    }
}
