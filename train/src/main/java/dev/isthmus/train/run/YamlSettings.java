package dev.isthmus.train.run;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLMapper;
import tools.jackson.dataformat.yaml.YAMLWriteFeature;

/**
 * Settings as YAML texts, as trees to be merged, and as records whose components are the keys in snake_case.
 *
 * <p>Whatever is wrong with a text is said in its own words: the key, what was expected, what was found.
 */
public final class YamlSettings {
    private static final YAMLMapper YAML = YAMLMapper.builder(YAMLFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
            .disable(YAMLWriteFeature.WRITE_DOC_START_MARKER)
            .disable(YAMLWriteFeature.SPLIT_LINES)
            .enable(YAMLWriteFeature.MINIMIZE_QUOTES)
            .enable(YAMLWriteFeature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
            .build();

    private static final int MOST_SHOWN = 200;

    private YamlSettings() {}

    /**
     * The keys and values of a text.
     *
     * @param what the text's name in messages
     */
    public static ObjectNode parse(String yaml, String what) {
        if (value(yaml, what) instanceof ObjectNode object) {
            return object;
        }
        throw new IsthmusException(what + " is not a list of keys and values");
    }

    /** A single value, such as a number or a list; no text at all is null. */
    public static JsonNode value(String yaml, String what) {
        try {
            JsonNode value = YAML.readTree(yaml);
            return value.isMissingNode() ? YAML.nullNode() : value;
        } catch (JacksonException e) {
            // Of the parser's lines, those without indentation say what is wrong, and the last one most exactly.
            String problem = e.getOriginalMessage()
                    .lines()
                    .filter(line -> !line.startsWith(" "))
                    .reduce("", (_, last) -> last);
            // What is wrong with the characters, not with the words, is said without a place.
            String line =
                    e.getLocation() == null ? "" : "line " + e.getLocation().getLineNr() + ": ";
            throw new IsthmusException(what + " is not valid YAML: " + line + shortened(problem), e);
        }
    }

    /**
     * The keys and values of a file.
     *
     * @param kind what it is in messages, such as {@code recipe}
     */
    public static ObjectNode read(Path file, String kind) {
        String what = "the " + kind + " " + file;
        try {
            return parse(Files.readString(file, StandardCharsets.UTF_8), what);
        } catch (NoSuchFileException e) {
            throw new IsthmusException("there is no " + kind + " file " + file, e);
        } catch (CharacterCodingException e) {
            throw new IsthmusException(what + " is not a text in UTF-8", e);
        } catch (IOException e) {
            throw new IsthmusException("cannot read " + what + ": " + Disk.reason(e), e);
        }
    }

    /** The keys and values of a resource beside a class. */
    public static ObjectNode resource(Class<?> neighbor, String name) {
        try (InputStream in = neighbor.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is missing from the build");
            }
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8), name);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Keys and values as a tree. */
    public static ObjectNode tree(Map<String, ?> values) {
        return YAML.valueToTree(values);
    }

    /** A tree as a text. */
    public static String write(JsonNode tree) {
        return YAML.writeValueAsString(tree);
    }

    /**
     * Puts {@code over} into {@code under}, group by group.
     *
     * @throws IsthmusException if a value that must be there is replaced by none
     */
    public static void merge(ObjectNode under, ObjectNode over) {
        merge(under, over, "");
    }

    private static void merge(ObjectNode under, ObjectNode over, String path) {
        for (Map.Entry<String, JsonNode> entry : over.properties()) {
            String key = entry.getKey();
            JsonNode base = under.path(key);
            if (entry.getValue().isNull() && !base.isNull()) {
                throw new IsthmusException("the setting " + path + key + " has no value");
            }
            if (entry.getValue() instanceof ObjectNode child && base instanceof ObjectNode object) {
                merge(object, child, path + key + ".");
            } else {
                under.set(key, entry.getValue());
            }
        }
    }

    /**
     * A tree as a record, which checks what it means.
     *
     * @param what the tree's name in messages
     */
    public static <T extends Record> T bind(ObjectNode tree, Class<T> type, String what) {
        try {
            return YAML.treeToValue(tree, type);
        } catch (UnrecognizedPropertyException e) {
            List<String> known = e.getKnownPropertyIds().stream()
                    .map(Object::toString)
                    .sorted()
                    .toList();
            throw new IsthmusException(
                    what + " has an unknown setting '" + path(e) + "'; there are " + String.join(", ", known), e);
        } catch (JacksonException e) {
            throw new IsthmusException(what + ": " + problem(e, tree), e);
        }
    }

    private static String problem(JacksonException e, ObjectNode tree) {
        if (e.getCause() instanceof IsthmusException cause) {
            return cause.getMessage();
        }
        JsonNode found = tree;
        for (JacksonException.Reference step : e.getPath()) {
            found = step.getPropertyName() == null ? found.path(step.getIndex()) : found.path(step.getPropertyName());
        }
        if (found.isMissingNode()) {
            return path(e) + " is missing";
        }
        return switch (e) {
            case MismatchedInputException mismatch ->
                path(e) + " must be " + words(mismatch.getTargetType()) + ", found " + shortened(found.toString());
            case InputCoercionException _ -> path(e) + " is too large, found " + shortened(found.toString());
            default -> path(e) + ": " + shortened(firstLine(e));
        };
    }

    /** What a file may hold at any length, at a length that can be read. */
    private static String shortened(String text) {
        return text.length() <= MOST_SHOWN ? text : text.substring(0, MOST_SHOWN - 3) + "...";
    }

    private static String words(@Nullable Class<?> type) {
        if (type == int.class || type == long.class) {
            return "a whole number";
        }
        if (type == double.class || type == Double.class) {
            return "a number";
        }
        if (type == boolean.class) {
            return "true or false";
        }
        if (type != null && type.isEnum()) {
            return "one of " + Arrays.toString(type.getEnumConstants());
        }
        return type == String.class ? "a text" : type == ArrayList.class ? "a list" : "a group of settings";
    }

    private static String path(JacksonException e) {
        return shortened(String.join(
                ".",
                e.getPath().stream()
                        .map(step -> step.getPropertyName() == null ? "" + step.getIndex() : step.getPropertyName())
                        .toList()));
    }

    private static String firstLine(JacksonException e) {
        return e.getOriginalMessage().lines().findFirst().orElse("");
    }
}
