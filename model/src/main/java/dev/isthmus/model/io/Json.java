package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** JSON from files of unknown origin, and to our own. Depth, size and number of tokens are limited on reading. */
public final class Json {
    private static final long MAX_BYTES = 200_000_000;

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(100)
                            .maxTokenCount(10_000_000)
                            .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(SerializationFeature.INDENT_OUTPUT)
            .build();

    private Json() {}

    /**
     * The JSON object in {@code file}.
     *
     * @throws ModelFormatException if it is not one
     * @throws IsthmusException if the file cannot be read
     */
    public static JsonNode read(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new ModelFormatException(file, "is larger than " + MAX_BYTES + " bytes, too large for JSON");
            }
            return parse(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /** Replaces {@code file} by {@code tree}, indented. */
    public static void write(Path file, JsonNode tree) {
        AtomicFile.write(file, MAPPER.writeValueAsString(tree) + "\n");
    }

    /**
     * The JSON object in {@code bytes}, which come from {@code file}.
     *
     * @throws ModelFormatException if it is not one
     */
    public static JsonNode parse(Path file, byte[] bytes) {
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            JsonNode tree = MAPPER.readTree(text);
            if (!tree.isObject()) {
                throw new ModelFormatException(file, "expected a JSON object");
            }
            return tree;
        } catch (CharacterCodingException e) {
            throw new ModelFormatException(file, "the JSON is not valid UTF-8", e);
        } catch (JacksonException e) {
            throw new ModelFormatException(
                    file,
                    "the JSON is damaged: "
                            + e.getOriginalMessage().lines().findFirst().orElse(""),
                    e);
        }
    }

    static IsthmusException unreadable(Path file, IOException e) {
        String reason = !Files.exists(file)
                ? "there is no such file"
                : Files.isDirectory(file)
                        ? "it is a directory"
                        : e.getMessage() == null ? e.toString() : e.getMessage();
        return new IsthmusException("Cannot read " + file + ": " + reason, e);
    }
}
