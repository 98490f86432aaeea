package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.train.loop.BaseConfig;

/** The settings of {@link Prm} beside those of all trainers: TRL's PRMConfig. */
public record PrmConfig(
        @JsonPropertyDescription("What stands behind every step.")
        String stepSeparator,

        @JsonPropertyDescription("Learn from the label of the last step only.")
        boolean trainOnLastStepOnly,

        @JsonPropertyDescription("Tokens of a prompt with its steps at most.")
        int maxLength) {
    public PrmConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
    }
}
