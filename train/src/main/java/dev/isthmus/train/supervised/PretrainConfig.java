package dev.isthmus.train.supervised;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.model.ModelSize;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Pretrain} beside those of all trainers. */
public record PretrainConfig(
        @JsonPropertyDescription("Size of a new model: S, M, L; S where there is no --model.") @Nullable
        ModelSize size,

        @JsonPropertyDescription("Tokens of a window of text.")
        int maxLength) {
    public PretrainConfig {
        BaseConfig.atLeast(1, "max_length", maxLength);
    }
}
