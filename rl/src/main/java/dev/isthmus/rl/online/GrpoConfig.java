package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.rl.objective.AdaptiveEntropy;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.GrpoLoss.LossType;
import dev.isthmus.rl.objective.ImportanceSamplingLevel;
import dev.isthmus.rl.objective.KlEstimator;
import dev.isthmus.rl.objective.Surrogate;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@code grpo} beside those of all trainers: TRL's GRPOConfig. */
public record GrpoConfig(
        @JsonUnwrapped GroupConfig group,

        @JsonPropertyDescription("grpo, bnpo, dr_grpo, dapo, cispo, sapo, luspo, vespo.")
        String lossType,

        @JsonPropertyDescription("token, sequence or sequence_token.")
        String importanceSamplingLevel,

        @JsonPropertyDescription(
                "What completions are worth: grpo, rloo (with it this is LOOP), remax, reinforce_plus_plus,"
                        + " reinforce_plus_plus_baseline.")
        String advEstimator,

        @JsonPropertyDescription(
                "With grpo: what rewards are divided by: the deviation of the group, of the batch, or none.")
        String scaleRewards,

        @JsonPropertyDescription("sum_then_normalize or normalize_then_sum.")
        String multiObjectiveAggregation,

        @JsonPropertyDescription("Bound of the ratio that is not clipped.") @Nullable
        Double delta,

        @JsonPropertyDescription("Weigh the estimated KL divergence with the ratio.")
        boolean useBiasCorrectionKl,

        @JsonPropertyDescription("Worse completions that went further from the old policy count for nothing.") @Nullable
        Double offPolicyMaskThreshold,

        @JsonPropertyDescription("The share of tokens, those of the highest entropy, that count.")
        double topEntropyQuantile,

        @JsonPropertyDescription("Weight of the entropy bonus.")
        double entropyCoef,

        @JsonPropertyDescription("Set that weight so that the entropy stays near a target.")
        boolean useAdaptiveEntropy,

        @JsonPropertyDescription("The target, in nats.") double entropyTarget,

        @JsonPropertyDescription("What the weight changes by at each step.")
        double entropyCoefDelta,

        @JsonPropertyDescription("The least that it may become.")
        double entropyCoefMin,

        @JsonPropertyDescription("The most that it may become.")
        double entropyCoefMax,

        @JsonPropertyDescription("SAPO's temperature of negative advantages.")
        double sapoTemperatureNeg,

        @JsonPropertyDescription("SAPO's temperature of positive advantages.")
        double sapoTemperaturePos,

        @JsonPropertyDescription("VESPO's power for positive advantages.") @JsonProperty("vespo_k_pos")
        double vespoKPos,

        @JsonPropertyDescription("VESPO's decay for positive advantages.")
        double vespoLambdaPos,

        @JsonPropertyDescription("VESPO's power for negative advantages.") @JsonProperty("vespo_k_neg")
        double vespoKNeg,

        @JsonPropertyDescription("VESPO's decay for negative advantages.")
        double vespoLambdaNeg,

        @JsonPropertyDescription("Replace prompts whose completions are all rewarded alike (DAPO).")
        boolean dynamicSampling,

        @JsonPropertyDescription("Batches of completions at most to find enough of them.")
        int maxNumGenBatches) {
    public GrpoConfig {
        BaseConfig.atLeast(1, "max_num_gen_batches", maxNumGenBatches);
        AdvantageEstimator estimator = estimator(advEstimator);
        BaseConfig.atLeast(estimator.comparesCompletions() ? 2 : 1, "num_generations", group.numGenerations());
    }

    private static AdvantageEstimator estimator(String name) {
        return TrlNames.find("adv_estimator", name, AdvantageEstimator.values());
    }

    /** What says what completions are worth. */
    AdvantageEstimator estimator() {
        return estimator(advEstimator);
    }

    /** The loss that these settings describe. */
    GrpoLoss loss() {
        LossType type = LossType.named(lossType);
        AdvantageEstimator estimator = estimator();
        return new GrpoLoss(
                type.normalizer(),
                type.surrogate(
                        group.clipped(delta),
                        new Surrogate.Sapo(sapoTemperatureNeg, sapoTemperaturePos),
                        new Surrogate.Vespo(vespoKPos, vespoLambdaPos, vespoKNeg, vespoLambdaNeg)),
                TrlNames.find("importance_sampling_level", importanceSamplingLevel, ImportanceSamplingLevel.values()),
                estimator.klInReward() ? 0 : group.beta(),
                useBiasCorrectionKl,
                offPolicyMaskThreshold,
                topEntropyQuantile,
                entropyCoef,
                estimator == AdvantageEstimator.REINFORCE_PLUS_PLUS_BASELINE ? KlEstimator.K2 : KlEstimator.K3);
    }

    /** What sets the weight of the entropy bonus at first; null if it stays as it is. */
    @Nullable
    AdaptiveEntropy adaptiveEntropy() {
        return useAdaptiveEntropy
                ? new AdaptiveEntropy(
                        entropyCoef,
                        Double.POSITIVE_INFINITY,
                        entropyTarget,
                        entropyCoefDelta,
                        entropyCoefMin,
                        entropyCoefMax)
                : null;
    }

    ScaleRewards scaling() {
        return TrlNames.find("scale_rewards", scaleRewards, ScaleRewards.values());
    }

    MultiObjectiveAggregation aggregation() {
        return TrlNames.find(
                "multi_objective_aggregation", multiObjectiveAggregation, MultiObjectiveAggregation.values());
    }
}
