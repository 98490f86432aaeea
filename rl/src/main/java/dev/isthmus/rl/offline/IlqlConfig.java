package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.IlqlLoss;
import dev.isthmus.rl.objective.QValueLoss;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;

/** The settings of {@link Ilql} beside those of all trainers: trlX's ILQLConfig. */
public record IlqlConfig(
        @JsonPropertyDescription(
                "Expectile of V: 0.5 for the mean over the actions in the data, towards 1 for the best of them.")
        double tau,

        @JsonPropertyDescription("What a reward is worth one token earlier.")
        double gamma,

        @JsonPropertyDescription("How much it counts that Q is higher for the tokens in the data.")
        double cqlScale,

        @JsonPropertyDescription("How much the language model's loss counts.")
        double awacScale,

        @JsonPropertyDescription("How far the target Q heads move towards the Q heads.")
        double alpha,

        @JsonPropertyDescription("How much more better tokens count in the language model's loss; 0 for all alike.")
        double beta,

        @JsonPropertyDescription("Steps from one move of the target Q heads to the next.")
        @JsonProperty("steps_for_target_q_sync")
        int stepsForTargetQSync,

        @JsonPropertyDescription("Learn two Q heads and believe the lesser, or one.")
        boolean twoQs,

        @JsonPropertyDescription("Weight of the loss that balances the experts of a model that has some.")
        double routerAuxLossCoef,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public IlqlConfig {
        BaseConfig.atLeast(2, "max_length", maxLength);
        BaseConfig.atLeast(1, "steps_for_target_q_sync", stepsForTargetQSync);
        Require.within("alpha", 0, alpha, 1);
        new IlqlLoss(new QValueLoss(gamma, tau, cqlScale), awacScale, beta);
    }

    /** The loss of rewarded completions. */
    IlqlLoss loss() {
        return new IlqlLoss(new QValueLoss(gamma, tau, cqlScale), awacScale, beta);
    }
}
