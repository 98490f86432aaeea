package dev.isthmus.rl.recipe;

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
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLMapper;
import tools.jackson.dataformat.yaml.YAMLWriteFeature;

/** Finds, completes and checks recipes. */
public final class Recipes {
    /** The recipe that runs when none is named. */
    public static final String DEFAULT = "addition";

    private static final List<String> NAMES = List.of(DEFAULT, "addition-grpo", "game24");
    private static final YAMLMapper YAML = YAMLMapper.builder(YAMLFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .disable(YAMLWriteFeature.WRITE_DOC_START_MARKER)
            .disable(YAMLWriteFeature.SPLIT_LINES)
            .enable(YAMLWriteFeature.MINIMIZE_QUOTES)
            .enable(YAMLWriteFeature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
            .build();

    private Recipes() {}

    /** A checked recipe, and the complete YAML text that gives it again. */
    public record Complete(Recipe recipe, String yaml) {}

    /** The names of the recipes that come along. */
    public static List<String> names() {
        return NAMES;
    }

    /**
     * A recipe of {@link #names()}, or of a YAML file.
     *
     * @param settings values that replace the recipe's, by dotted path: {@code improve.rounds}
     * @throws IsthmusException if there is no such recipe, or a setting is unknown or makes no sense
     */
    public static Complete load(String nameOrFile, Map<String, String> settings) {
        ObjectNode given = read(nameOrFile);
        settings.forEach((path, value) -> set(given, path, value));
        return complete(given, nameOrFile);
    }

    /** The recipe of a text that {@link Complete#yaml()} gave, perhaps long ago. */
    public static Complete parse(String yaml, String source) {
        return complete(tree(yaml, source), source);
    }

    private static ObjectNode read(String nameOrFile) {
        if (NAMES.contains(nameOrFile)) {
            return tree(resource(nameOrFile), nameOrFile);
        }
        boolean file = nameOrFile.endsWith(".yaml") || nameOrFile.endsWith(".yml");
        if (!file) {
            throw new IsthmusException("there is no recipe '" + nameOrFile + "'. There are " + String.join(", ", NAMES)
                    + "; or give a file that ends in .yaml");
        }
        try {
            return tree(Files.readString(Path.of(nameOrFile), StandardCharsets.UTF_8), nameOrFile);
        } catch (NoSuchFileException e) {
            throw new IsthmusException("there is no recipe file " + nameOrFile, e);
        } catch (CharacterCodingException e) {
            throw new IsthmusException("the recipe " + nameOrFile + " is not a text in UTF-8", e);
        } catch (IOException e) {
            throw new IsthmusException("cannot read the recipe " + nameOrFile + ": " + e.getMessage(), e);
        }
    }

    private static String resource(String name) {
        try (InputStream in = Recipes.class.getResourceAsStream(name + ".yaml")) {
            if (in == null) {
                throw new IllegalStateException("the recipe " + name + " is missing from the build");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static ObjectNode tree(String yaml, String source) {
        if (read(yaml, "the recipe " + source) instanceof ObjectNode object) {
            return object;
        }
        throw new IsthmusException("the recipe " + source + " is not a list of keys and values");
    }

    private static JsonNode read(String yaml, String what) {
        try {
            return YAML.readTree(yaml);
        } catch (JacksonException e) {
            // Of the parser's lines, those without indentation say what is wrong, and the last one most exactly.
            String problem = e.getOriginalMessage()
                    .lines()
                    .filter(line -> !line.startsWith(" "))
                    .reduce("", (_, last) -> last);
            throw new IsthmusException(
                    what + " is not valid YAML: line " + e.getLocation().getLineNr() + ": " + problem, e);
        }
    }

    private static void set(ObjectNode root, String path, String value) {
        ObjectNode at = root;
        String[] keys = path.split("\\.", -1);
        for (int i = 0; i < keys.length - 1; i++) {
            at = at.get(keys[i]) instanceof ObjectNode child ? child : at.putObject(keys[i]);
        }
        JsonNode parsed = read(value, path);
        at.set(keys[keys.length - 1], parsed.isMissingNode() ? root.nullNode() : parsed);
    }

    /** Puts the defaults of the recipe's method under what it says itself, and checks the whole. */
    private static Complete complete(ObjectNode given, String source) {
        ObjectNode defaults = tree(resource("defaults"), "defaults");
        String method = given.at("/improve/method").asString("");
        if (!(defaults.path("improve").get(method) instanceof ObjectNode improve)) {
            throw new IsthmusException("the recipe " + source + " has improve.method '" + method + "'; there are "
                    + String.join(", ", defaults.path("improve").propertyNames()));
        }
        defaults.set("improve", improve);
        merge(defaults, given, "");
        try {
            Recipe recipe = YAML.treeToValue(defaults, Recipe.class);
            return new Complete(recipe, YAML.writeValueAsString(defaults));
        } catch (UnrecognizedPropertyException e) {
            throw new IsthmusException(
                    "the recipe " + source + " has an unknown setting '" + path(e) + "'; there are "
                            + String.join(
                                    ", ",
                                    e.getKnownPropertyIds().stream()
                                            .map(Object::toString)
                                            .sorted()
                                            .toList()),
                    e);
        } catch (JacksonException e) {
            throw new IsthmusException("the recipe " + source + ": " + problem(e, defaults), e);
        }
    }

    private static void merge(ObjectNode under, ObjectNode over, String path) {
        for (Map.Entry<String, JsonNode> entry : over.properties()) {
            String key = entry.getKey();
            JsonNode base = under.path(key);
            if (entry.getValue().isNull() && !base.isNull()) {
                throw new IsthmusException("the setting " + path + key + " has no value");
            }
            // A task's settings belong together: those of another task must not shine through.
            if (entry.getValue() instanceof ObjectNode child && base instanceof ObjectNode object) {
                merge(object, child, path + key + ".");
            } else {
                under.set(key, entry.getValue());
            }
        }
    }

    /** What is wrong with a tree that is no recipe, in the recipe's words. */
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
                path(e) + " must be " + words(mismatch.getTargetType()) + ", found " + found;
            case InputCoercionException _ -> path(e) + " is too large, found " + found;
            default ->
                path(e) + ": " + e.getOriginalMessage().lines().findFirst().orElse("");
        };
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
        return type == String.class ? "a text" : type == ArrayList.class ? "a list" : "a group of settings";
    }

    private static String path(JacksonException e) {
        return String.join(
                ".",
                e.getPath().stream()
                        .map(step -> step.getPropertyName() == null ? "" + step.getIndex() : step.getPropertyName())
                        .toList());
    }
}
