package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.tensor.IsthmusException;

/** The settings of {@code online-dpo} beside those of all trainers: TRL's OnlineDPOConfig, and losses of papers. */
public record OnlineDpoConfig(
        @JsonUnwrapped PairConfig pairs,

        @JsonPropertyDescription("sigmoid, ipo; of papers: inpo, dno, sppo, spo, rebel, copg, p3o.")
        OnlineLossType lossType,

        @JsonPropertyDescription(
                "How close the policy stays to the one that wrote the completions, for inpo, dno, sppo and rebel.")
        double eta) {
    public OnlineDpoConfig {
        if (!(eta > 0)) {
            throw new IsthmusException("eta must be above 0, found " + eta);
        }
        if (lossType == OnlineLossType.INPO && eta <= pairs.beta()) {
            throw new IsthmusException("inpo needs an eta above beta, found " + eta + " and " + pairs.beta());
        }
    }
}
