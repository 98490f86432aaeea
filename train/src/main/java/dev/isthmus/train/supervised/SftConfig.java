package dev.isthmus.train.supervised;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.train.loop.BaseConfig;

/** The settings of {@link Sft} beside those of all trainers: TRL's SFTConfig. */
public record SftConfig(
        @JsonPropertyDescription("Tokens that the model reads of an example at most.")
        int maxLength) {
    public SftConfig {
        BaseConfig.atLeast(1, "max_length", maxLength);
    }
}
