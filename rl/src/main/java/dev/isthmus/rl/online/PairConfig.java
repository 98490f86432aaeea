package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of methods that compare two completions of a prompt: what TRL's OnlineDPOConfig, NashMDConfig and XPOConfig share. */
public record PairConfig(
        @JsonUnwrapped RewardFuncsConfig rewards,
        @JsonUnwrapped SamplingConfig sampling,

        @JsonPropertyDescription("Tokens of a completion at most.")
        int maxNewTokens,

        @JsonPropertyDescription("What completions that do not come to an end lose of their reward.") @Nullable
        Double missingEosPenalty,

        @JsonPropertyDescription("How close the policy stays to the model that the run began with.")
        double beta) {
    public PairConfig {
        BaseConfig.atLeast(1, "max_new_tokens", maxNewTokens);
    }

    double penalty() {
        return missingEosPenalty == null ? 0 : missingEosPenalty;
    }
}
