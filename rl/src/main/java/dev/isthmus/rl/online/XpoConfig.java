package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;

/** The settings of {@code xpo} beside those of all trainers: TRL's XPOConfig. */
public record XpoConfig(
        @JsonUnwrapped PairConfig pairs,

        @JsonPropertyDescription("sigmoid or ipo.") String lossType,

        @JsonPropertyDescription("Weight of the push away from what the reference writes.")
        double alpha) {}
