package dev.isthmus.rl.online;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.model.sample.SamplingParams;
import org.jspecify.annotations.Nullable;

/** How completions are sampled, in the words of all online trainers. */
public record SamplingConfig(
        @JsonPropertyDescription("Of sampling, and of the log-probabilities that are learned from.")
        double temperature,

        @JsonPropertyDescription("Sample from the fewest tokens with this much probability.")
        double topP,

        @JsonPropertyDescription("Sample from this many of the most probable tokens; 0 for all.")
        int topK,

        @JsonPropertyDescription("Drop tokens less probable than this share of the best.") @Nullable
        Double minP,

        @JsonPropertyDescription("Above 1, tokens that were seen are less probable.")
        double repetitionPenalty) {
    public SamplingConfig {
        params(temperature, topP, topK, minP, repetitionPenalty);
    }

    SamplingParams params() {
        return params(temperature, topP, topK, minP, repetitionPenalty);
    }

    private static SamplingParams params(
            double temperature, double topP, int topK, @Nullable Double minP, double repetitionPenalty) {
        return new SamplingParams(true, temperature, topK, topP, minP == null ? 0 : minP, repetitionPenalty);
    }
}
