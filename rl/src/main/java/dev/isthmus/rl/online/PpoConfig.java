package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.rl.objective.KlController;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.objective.PpoLoss;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.train.loop.BaseConfig;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The settings of {@code ppo} beside those of all trainers: TRL's PPOConfig, and the adaptive controller of its earlier versions. */
public record PpoConfig(
        @JsonUnwrapped RewardFuncsConfig rewards,
        @JsonUnwrapped SamplingConfig sampling,

        @JsonPropertyDescription("Tokens of a completion at most.")
        int responseLength,

        @JsonPropertyDescription("What completions that do not come to an end lose of their reward.") @Nullable
        Double missingEosPenalty,

        @JsonPropertyDescription("How often each completion is learned from.")
        int numPpoEpochs,

        @JsonPropertyDescription("Optimizer steps that go once through a batch of completions.")
        int numMiniBatches,

        @JsonPropertyDescription(
                "Weight of the KL divergence from the model that the run began with; with adap_kl_ctrl at first.")
        double klCoef,

        @JsonPropertyDescription("How that divergence is estimated: k1 or k3.")
        String klEstimator,

        @JsonPropertyDescription("Set that weight so that the divergence stays near a target.")
        boolean adapKlCtrl,

        @JsonPropertyDescription("The target, in nats a completion.")
        double target,

        @JsonPropertyDescription("Completions in which the weight may change by a fifth.")
        double horizon,

        @JsonPropertyDescription("How far the ratio to the old policy may be from 1.")
        double cliprange,

        @JsonPropertyDescription("Weight of the loss of the value model.")
        double vfCoef,

        @JsonPropertyDescription("How far its values may be from the old ones.")
        double cliprangeValue,

        @JsonPropertyDescription("What a reward is worth one token earlier.")
        double gamma,

        @JsonPropertyDescription("Lambda of the generalized advantage estimation.")
        double lam,

        @JsonPropertyDescription("Whether rewards are brought to deviation 1.")
        boolean whitenRewards,

        @JsonPropertyDescription("What the value model begins as; by default the model itself.") @Nullable
        String valueModel,

        @JsonPropertyDescription("A reward model that judges in place of reward_funcs.") @Nullable
        String rewardModelPath) {
    public PpoConfig {
        BaseConfig.atLeast(1, "response_length", responseLength);
        BaseConfig.atLeast(1, "num_ppo_epochs", numPpoEpochs);
        BaseConfig.atLeast(1, "num_mini_batches", numMiniBatches);
    }

    OnlineSettings settings() {
        RewardFuncsConfig judges = rewardModelPath == null
                ? rewards
                : new RewardFuncsConfig(List.of(rewardModelPath), null, rewards.logCompletions());
        return new OnlineSettings(
                sampling, judges, responseLength, 1, 1, numMiniBatches, numPpoEpochs, true, false, 0, null);
    }

    PpoLoss loss() {
        return new PpoLoss(cliprange, cliprangeValue, vfCoef);
    }

    KlController controller() {
        return adapKlCtrl ? new KlController.Adaptive(klCoef, target, horizon) : new KlController.Fixed(klCoef);
    }

    KlEstimator estimator() {
        return TrlNames.find("kl_estimator", klEstimator, KlEstimator.values());
    }
}
