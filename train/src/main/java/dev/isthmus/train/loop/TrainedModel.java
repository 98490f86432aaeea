package dev.isthmus.train.loop;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.HfGenerationConfig;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A model that is trained, and its tokenizer.
 *
 * @param files where the files of the tokenizer lie; null for that of characters
 */
public record TrainedModel(
        Decoder decoder, Tokenizer tokenizer, @Nullable Path files) {
    /**
     * Loads the model that a run starts from into the current scope.
     *
     * @throws IsthmusException if it or its tokenizer is missing or damaged
     */
    public static TrainedModel load(MethodConfig<?> config, Start start) {
        Path weights = Objects.requireNonNull(start.weights());
        return new TrainedModel(config.load(start), Tokenizers.load(weights), weights);
    }

    /** Writes a Hugging Face directory. */
    public void save(Path directory) {
        Pretrained.save(decoder, directory);
        saveTokenizer(directory);
        if (files != null && decoder.adapters().isEmpty()) {
            HfGenerationConfig.copy(files, directory);
        }
    }

    /** Writes the files of the tokenizer alone. */
    public void saveTokenizer(Path directory) {
        if (tokenizer instanceof CharTokenizer characters) {
            characters.save(directory);
        } else if (files != null) {
            Tokenizers.copy(files, directory);
        }
    }
}
