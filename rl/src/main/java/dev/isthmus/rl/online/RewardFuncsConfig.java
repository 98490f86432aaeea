package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.tensor.IsthmusException;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What judges completions, in the words of all online trainers. */
public record RewardFuncsConfig(
        @JsonPropertyDescription(
                "Reward functions, or directories of reward models; a completion's reward is their weighted sum.")
        List<String> rewardFuncs,

        @JsonPropertyDescription("One weight for each of them; 1 where nothing is said.") @Nullable
        List<Double> rewardWeights,

        @JsonPropertyDescription("Write all completions into samples.jsonl, not only a few.")
        boolean logCompletions) {
    public RewardFuncsConfig {
        rewardFuncs = List.copyOf(rewardFuncs);
        if (rewardWeights != null && rewardWeights.size() != rewardFuncs.size()) {
            throw new IsthmusException("reward_weights must hold one weight for each of reward_funcs, found "
                    + rewardWeights + " for " + rewardFuncs);
        }
    }

    /** Nothing judges. */
    static RewardFuncsConfig none(boolean logCompletions) {
        return new RewardFuncsConfig(List.of(), null, logCompletions);
    }

    double[] weights() {
        List<Double> weights = rewardWeights == null ? Collections.nCopies(rewardFuncs.size(), 1.0) : rewardWeights;
        return weights.stream().mapToDouble(w -> w).toArray();
    }
}
