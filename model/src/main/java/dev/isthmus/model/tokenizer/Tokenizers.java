package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Finds the tokenizer that lies beside a model. */
public final class Tokenizers {
    private Tokenizers() {}

    /**
     * The tokenizer of a model directory.
     *
     * @throws IsthmusException if there is none, or one of a kind that cannot be read
     */
    public static Tokenizer load(Path directory) {
        Path file = directory.resolve("tokenizer.json");
        if (!Files.exists(file)) {
            throw new IsthmusException("there is no tokenizer in " + directory + ": expected a tokenizer.json");
        }
        CharTokenizer characters = CharTokenizer.of(Json.read(file));
        if (characters == null) {
            throw new IsthmusException("the tokenizer " + file
                    + " is not one of single characters, the only kind that can " + "be read so far");
        }
        return characters;
    }
}
