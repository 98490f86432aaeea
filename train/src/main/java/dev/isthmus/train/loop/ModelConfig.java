package dev.isthmus.train.loop;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.StoredDtype;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What of the model is trained, whatever the trainer: settings with the names and defaults of TRL's ModelConfig. */
public record ModelConfig(
        @JsonPropertyDescription("Leave the weights as they are and train a small change of them: lora.") @Nullable
        PeftType peft,

        @JsonPropertyDescription(
                "With --peft: how the weights lie in memory: auto (as the file holds them, mapped), float32, bfloat16, float16,"
                        + " q8_0, q4_0.")
        StoredDtype dtype,

        @JsonPropertyDescription("With --peft: the rank of the change.")
        int loraR,

        @JsonPropertyDescription("With --peft: the change is multiplied by this, divided by the rank.")
        double loraAlpha,

        @JsonPropertyDescription("With --peft: the share of the inputs of the change that are zero in training.")
        double loraDropout,

        @JsonPropertyDescription(
                "With --peft: the projections that are changed, such as q_proj,v_proj, or all-linear; none for those that PEFT"
                        + " takes for the kind of model.")
        List<String> loraTargetModules,

        @JsonPropertyDescription("With --peft: divide by the root of the rank instead (rsLoRA).")
        boolean useRslora,

        @JsonPropertyDescription("With --peft: train the lengths of the rows of the weights, too (DoRA).")
        boolean useDora,

        @JsonPropertyDescription("Let nothing drop out in training, whatever --lora-dropout says.")
        boolean disableDropout) {

    /** What is trained in place of the weights. */
    public enum PeftType {
        /** An {@link Adapter}. */
        LORA;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public ModelConfig {
        loraTargetModules = List.copyOf(loraTargetModules);
        if (peft == null && dtype != StoredDtype.float32) {
            throw new IsthmusException(
                    "dtype " + dtype + " is for weights that stay as they are, with peft: lora; weights that are"
                            + " trained are float32");
        }
        // It tells what is wrong with these.
        new LoraConfig(loraR, loraAlpha, loraDropout, loraTargetModules, useRslora, useDora, List.of(), null);
    }

    /** The model to train, in the current scope. */
    Decoder load(BaseConfig base, Start start) {
        Path weights = Objects.requireNonNull(start.weights());
        Decoder model = dtype == StoredDtype.float32
                ? Pretrained.load(weights)
                : Pretrained.loadStored(weights, dtype.format());
        if (peft == null) {
            return model;
        }
        if (start.directory().isPresent()) {
            return model.with(Peft.loadWithoutModules(start.directory().get(), model));
        }
        LoraConfig lora = new LoraConfig(
                loraR, loraAlpha, loraDropout, loraTargetModules, useRslora, useDora, List.of(), weights.toString());
        return model.with(
                new Adapter(model, lora).initialize(Rng.of(base.seed()).split("lora")));
    }
}
