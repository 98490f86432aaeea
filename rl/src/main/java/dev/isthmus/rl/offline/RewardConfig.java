package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.RewardModelLoss;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Reward} beside those of all trainers: TRL's RewardConfig. */
public record RewardConfig(
        @JsonPropertyDescription("How strongly the mean reward is kept at 0, such as 0.01.") @Nullable
        Double centerRewardsCoefficient,

        @JsonPropertyDescription(
                "Adapters that judge together, DIR, or TASK=DIR for those of a task, which reward --peft lora trained on --model; only"
                        + " what joins them is trained.")
        List<String> experts,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public RewardConfig {
        experts = List.copyOf(experts);
        BaseConfig.atLeast(2, "max_length", maxLength);
    }

    /** The loss of pairs. */
    RewardModelLoss loss() {
        return new RewardModelLoss(centerRewardsCoefficient);
    }
}
