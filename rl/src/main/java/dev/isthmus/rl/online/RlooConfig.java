package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.BaseConfig;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The settings of {@code rloo} beside those of all trainers: TRL's RLOOConfig. */
public record RlooConfig(
        @JsonUnwrapped GroupConfig group,

        @JsonPropertyDescription("Whether advantages are brought to mean 0 and deviation 1 over the batch.")
        boolean normalizeAdvantages,

        @JsonPropertyDescription("The least and the most that a reward may be.") @Nullable
        List<Double> rewardClipRange) {
    public RlooConfig {
        BaseConfig.atLeast(2, "num_generations", group.numGenerations());
        if (rewardClipRange != null
                && (rewardClipRange.size() != 2 || rewardClipRange.get(0) > rewardClipRange.get(1))) {
            throw new IsthmusException(
                    "reward_clip_range must be two numbers, the lower first, found " + rewardClipRange);
        }
    }

    double clipped(double reward) {
        return rewardClipRange == null ? reward : Math.clamp(reward, rewardClipRange.get(0), rewardClipRange.get(1));
    }
}
