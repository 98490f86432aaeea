package dev.isthmus.rl.recipe;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;
import tools.jackson.dataformat.yaml.YAMLWriteFeature;

/** Finds, completes and checks recipes. */
public final class Recipes {
    /** The recipe that runs when none is named. */
    public static final String DEFAULT = "addition";

    private static final List<String> NAMES = List.of(DEFAULT, "addition-grpo", "game24");
    private static final YAMLMapper YAML = YAMLMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
            .disable(YAMLWriteFeature.WRITE_DOC_START_MARKER)
            .enable(YAMLWriteFeature.MINIMIZE_QUOTES)
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
        try {
            if (YAML.readTree(yaml) instanceof ObjectNode object) {
                return object;
            }
            throw new IsthmusException("the recipe " + source + " is not a list of keys and values");
        } catch (JacksonException e) {
            throw new IsthmusException("the recipe " + source + " is not valid YAML: " + firstLine(e), e);
        }
    }

    private static void set(ObjectNode root, String path, String value) {
        ObjectNode at = root;
        String[] keys = path.split("\\.");
        for (int i = 0; i < keys.length - 1; i++) {
            at = at.get(keys[i]) instanceof ObjectNode child ? child : at.putObject(keys[i]);
        }
        at.set(keys[keys.length - 1], YAML.readTree(value));
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
        merge(defaults, given);
        try {
            Recipe recipe = YAML.treeToValue(defaults, Recipe.class);
            recipe.makeTask();
            return new Complete(recipe, YAML.writeValueAsString(defaults));
        } catch (UnrecognizedPropertyException e) {
            throw new IsthmusException("the recipe " + source + " has an unknown setting '" + path(e) + "'; there are "
                    + String.join(", ", e.getKnownPropertyIds().stream().map(Object::toString).sorted().toList()), e);
        } catch (DatabindException e) {
            if (e.getCause() instanceof IsthmusException cause) {
                throw cause;
            }
            throw new IsthmusException("the recipe " + source + ": " + path(e) + ": " + firstLine(e), e);
        }
    }

    private static void merge(ObjectNode under, ObjectNode over) {
        for (Map.Entry<String, JsonNode> entry : over.properties()) {
            // A task's settings belong together: those of another task must not shine through.
            if (entry.getValue() instanceof ObjectNode child
                    && under.get(entry.getKey()) instanceof ObjectNode base
                    && !entry.getKey().equals("task")) {
                merge(base, child);
            } else {
                under.set(entry.getKey(), entry.getValue());
            }
        }
    }

    private static String path(DatabindException e) {
        return String.join(
                ".", e.getPath().stream().map(r -> String.valueOf(r.getPropertyName())).toList());
    }

    private static String firstLine(JacksonException e) {
        return e.getOriginalMessage().lines().findFirst().orElse("");
    }
}
