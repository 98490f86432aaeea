package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@code gkd} beside those of all trainers: TRL's GKDConfig. */
public record GkdConfig(
        @JsonUnwrapped SamplingConfig sampling,

        @JsonPropertyDescription("The model to learn from, with the same vocabulary.") @Nullable
        String teacherModelNameOrPath,

        @JsonPropertyDescription("Tokens of a completion at most.")
        int maxNewTokens,

        @JsonPropertyDescription("The share of steps that learn from what the model itself writes.")
        double lmbda,

        @JsonPropertyDescription(
                "0 for the forward divergence from the teacher, 1 for the reverse, between for a mixture.")
        double beta,

        @JsonPropertyDescription("Whether the other steps learn from what the teacher writes, not from the data.")
        boolean seqKd,

        @JsonPropertyDescription("Write all completions into samples.jsonl, not only a few.")
        boolean logCompletions) {
    public GkdConfig {
        BaseConfig.atLeast(1, "max_new_tokens", maxNewTokens);
        if (!(lmbda >= 0 && lmbda <= 1)) {
            throw new IsthmusException("lmbda must be from 0 to 1, found " + lmbda);
        }
    }
}
