package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import org.jspecify.annotations.Nullable;

/** The settings of {@code minillm} beside those of all trainers: TRL's MiniLLMConfig. */
public record MiniLlmConfig(
        @JsonUnwrapped GrpoConfig grpo,

        @JsonPropertyDescription("The model to learn from, with the same vocabulary.") @Nullable
        String teacherModelNameOrPath,

        @JsonPropertyDescription("Whether tokens are worth what the teacher finds them more probable.")
        boolean rklAdvantage,

        @JsonPropertyDescription("Whether the reverse divergence of each token is also minimized by itself.")
        boolean singleStepDecomposition,

        @JsonPropertyDescription("At which the distributions of student and teacher are compared.")
        double kdTemperature,

        @JsonPropertyDescription("What a token is worth one token earlier; 0 for nothing.")
        double gamma,

        @JsonPropertyDescription("Whether that sum over later tokens is a mean.")
        boolean lengthNormalization) {}
