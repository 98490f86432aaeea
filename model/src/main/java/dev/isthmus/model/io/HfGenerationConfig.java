package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Hugging Face's generation_config.json: how a model wants to be sampled, where nothing else is asked for. What is null is not said
 * there; other keys are not read.
 *
 * @param eosTokenIds the tokens that end a text; empty if they are not said
 */
public record HfGenerationConfig(
        @Nullable Boolean doSample,
        @Nullable Double temperature,
        @Nullable Integer topK,
        @Nullable Double topP,
        @Nullable Double minP,
        @Nullable Double typicalP,
        @Nullable Double repetitionPenalty,
        @Nullable Integer noRepeatNgramSize,
        @Nullable Integer maxNewTokens,
        @Nullable Integer minNewTokens,
        List<Integer> eosTokenIds) {
    private static final String FILE = "generation_config.json";

    /** Nothing is said. */
    public static final HfGenerationConfig NONE =
            new HfGenerationConfig(null, null, null, null, null, null, null, null, null, null, List.of());

    public HfGenerationConfig {
        eosTokenIds = List.copyOf(eosTokenIds);
    }

    /**
     * Reads what lies in the directory of a model, if anything does.
     *
     * @throws ModelFormatException if a value is damaged
     * @throws IsthmusException if there is a file that cannot be read
     */
    public static HfGenerationConfig read(Path model) {
        Path file = model.resolve(FILE);
        return Files.isRegularFile(file) ? parse(file, Json.read(file)) : NONE;
    }

    static HfGenerationConfig parse(Path file, JsonNode json) {
        return new HfGenerationConfig(
                flag(file, json, "do_sample"),
                number(file, json, "temperature"),
                integer(file, json, "top_k"),
                number(file, json, "top_p"),
                number(file, json, "min_p"),
                number(file, json, "typical_p"),
                number(file, json, "repetition_penalty"),
                integer(file, json, "no_repeat_ngram_size"),
                integer(file, json, "max_new_tokens"),
                integer(file, json, "min_new_tokens"),
                ids(file, json.path("eos_token_id")));
    }

    private static @Nullable Boolean flag(Path file, JsonNode json, String key) {
        JsonNode value = json.path(key);
        if (value.isMissingNode() || value.isNull()) {
            return null;
        }
        if (!value.isBoolean()) {
            throw bad(file, key, "true or false", value);
        }
        return value.booleanValue();
    }

    private static @Nullable Double number(Path file, JsonNode json, String key) {
        JsonNode value = json.path(key);
        if (value.isMissingNode() || value.isNull()) {
            return null;
        }
        if (!value.isNumber()) {
            throw bad(file, key, "a number", value);
        }
        return value.doubleValue();
    }

    private static @Nullable Integer integer(Path file, JsonNode json, String key) {
        JsonNode value = json.path(key);
        if (value.isMissingNode() || value.isNull()) {
            return null;
        }
        if (!value.isInt() || value.intValue() < 0) {
            throw bad(file, key, "a whole number from 0", value);
        }
        return value.intValue();
    }

    private static List<Integer> ids(Path file, JsonNode value) {
        List<Integer> ids = new ArrayList<>();
        for (JsonNode id : value.isArray() ? value : List.of(value)) {
            if (id.isInt() && id.intValue() >= 0) {
                ids.add(id.intValue());
            } else if (!id.isMissingNode() && !id.isNull()) {
                throw bad(file, "eos_token_id", "a token, or a list of them", value);
            }
        }
        return ids;
    }

    private static ModelFormatException bad(Path file, String key, String expected, JsonNode found) {
        return new ModelFormatException(
                file, "'" + key + "' must be " + expected + ", found " + ModelFormatException.quote(found.toString()));
    }

    /** Writes what transformers writes beside a model that nobody has told how to be sampled, atomically. */
    static void write(Path directory, DecoderConfig config) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("_from_model_config", true);
        config.bosTokenId().ifPresent(id -> json.put("bos_token_id", id));
        HfConfig.putEos(json, config.eosTokenIds());
        Json.write(directory.resolve(FILE), json);
    }

    /**
     * Copies the file of a model's directory, if it has one.
     *
     * @throws IsthmusException if it cannot be read or written
     */
    public static void copy(Path model, Path directory) {
        Path from = model.resolve(FILE);
        if (Files.isRegularFile(from)) {
            try {
                Files.copy(from, directory.resolve(FILE), StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                throw new IsthmusException("Cannot copy " + from + " to " + directory + ": " + e, e);
            }
        }
    }
}
