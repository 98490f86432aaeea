package dev.isthmus.train.supervised;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.Packing;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Sft} beside those of all trainers: TRL's SFTConfig. */
public record SftConfig(
        @JsonPropertyDescription("nll, or dft: each token weighted by its probability.")
        LossType lossType,

        @JsonPropertyDescription("Weight of the loss that balances the experts of a model that has some.")
        double routerAuxLossCoef,

        @JsonPropertyDescription("Tokens that the model reads of an example, or of a packed row, at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer example is kept: keep_start or keep_end.")
        Truncation truncationMode,

        @JsonPropertyDescription("Put several examples into one row of --max-length tokens.")
        boolean packing,

        @JsonPropertyDescription("bfd: best fit; bfd_split: and split what is too long; wrapped: cut anywhere.")
        Packing packingStrategy,

        @JsonPropertyDescription("Whether held-out examples are packed too (default: as --packing).") @Nullable
        Boolean evalPacking,

        @JsonPropertyDescription("false: learn prompts as well as completions.") @Nullable
        Boolean completionOnlyLoss,

        @JsonPropertyDescription("Learn only what the chat template marks as the assistant's.")
        boolean assistantOnlyLoss,

        @JsonPropertyDescription("The field of rows that hold a text.")
        String datasetTextField) {
    public SftConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        if (packing && truncationMode == Truncation.KEEP_END && packingStrategy != Packing.BFD) {
            throw new IsthmusException("packing_strategy " + packingStrategy
                    + " loses no tokens, so truncation_mode keep_end" + " has no meaning with it");
        }
    }
}
