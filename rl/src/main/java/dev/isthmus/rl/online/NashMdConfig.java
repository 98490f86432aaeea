package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.tensor.IsthmusException;

/** The settings of {@code nash-md} beside those of all trainers: TRL's NashMDConfig. */
public record NashMdConfig(
        @JsonUnwrapped PairConfig pairs,

        @JsonPropertyDescription("How much of the opponent is the reference, in a geometric mixture with the policy.")
        double mixtureCoef) {
    public NashMdConfig {
        if (!(mixtureCoef >= 0 && mixtureCoef <= 1)) {
            throw new IsthmusException("mixture_coef must be from 0 to 1, found " + mixtureCoef);
        }
    }
}
