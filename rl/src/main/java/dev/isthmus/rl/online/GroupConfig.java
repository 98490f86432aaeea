package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.rl.objective.Surrogate;
import dev.isthmus.rl.online.OnlineSettings.ReferenceSync;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of methods that compare the completions of a prompt with each other: what TRL's GRPOConfig and RLOOConfig share. */
public record GroupConfig(
        @JsonUnwrapped RewardFuncsConfig rewards,
        @JsonUnwrapped SamplingConfig sampling,

        @JsonPropertyDescription("Completions of each prompt.")
        int numGenerations,

        @JsonPropertyDescription("Tokens of a completion at most.")
        int maxCompletionLength,

        @JsonPropertyDescription(
                "Weight of the KL divergence from the model that the run began with; 0 needs no reference.")
        double beta,

        @JsonPropertyDescription("How often each completion is learned from.")
        int numIterations,

        @JsonPropertyDescription("Micro-batches of one batch of completions; by default those of a step.") @Nullable
        Integer stepsPerGeneration,

        @JsonPropertyDescription("How far the ratio to the old policy may fall below 1.")
        double epsilon,

        @JsonPropertyDescription("How far it may climb above 1; by default as far (DAPO: 0.28).") @Nullable
        Double epsilonHigh,

        @JsonPropertyDescription("Weight of the loss that balances the experts of a model that has some.")
        double routerAuxLossCoef,

        @JsonPropertyDescription("Whether completions that reached the limit count for nothing.")
        boolean maskTruncatedCompletions,

        @JsonPropertyDescription("Whether the reference follows the policy.")
        boolean syncRefModel,

        @JsonPropertyDescription("The share of the way that it moves.")
        double refModelMixupAlpha,

        @JsonPropertyDescription("Steps between its moves.") int refModelSyncSteps) {
    public GroupConfig {
        BaseConfig.atLeast(1, "num_generations", numGenerations);
        BaseConfig.atLeast(1, "max_completion_length", maxCompletionLength);
        BaseConfig.atLeast(1, "num_iterations", numIterations);
    }

    /** What the loop must know. */
    OnlineSettings settings(BaseConfig base, int maxNumGenBatches) {
        ReferenceSync sync = new ReferenceSync(refModelMixupAlpha, refModelSyncSteps);
        return new OnlineSettings(
                sampling,
                rewards,
                maxCompletionLength,
                numGenerations,
                1,
                updates(base),
                numIterations,
                false,
                maskTruncatedCompletions,
                maxNumGenBatches,
                syncRefModel ? sync : null);
    }

    private int updates(BaseConfig base) {
        int micro = stepsPerGeneration == null ? base.gradientAccumulationSteps() : stepsPerGeneration;
        if (micro < 1 || micro % base.gradientAccumulationSteps() != 0) {
            throw new IsthmusException("steps_per_generation must be a multiple of gradient_accumulation_steps "
                    + base.gradientAccumulationSteps() + ", found " + micro);
        }
        return micro / base.gradientAccumulationSteps();
    }

    Surrogate.Clipped clipped(@Nullable Double delta) {
        return new Surrogate.Clipped(epsilon, epsilonHigh == null ? epsilon : epsilonHigh, delta);
    }
}
