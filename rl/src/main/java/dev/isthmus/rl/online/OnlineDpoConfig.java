package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;

/** The settings of {@code online-dpo} beside those of all trainers: TRL's OnlineDPOConfig. */
public record OnlineDpoConfig(
        @JsonUnwrapped PairConfig pairs,

        @JsonPropertyDescription("sigmoid or ipo.") String lossType) {}
