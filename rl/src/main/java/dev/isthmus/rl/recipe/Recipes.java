package dev.isthmus.rl.recipe;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.run.YamlSettings;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** Finds, completes and checks recipes. */
public final class Recipes {
    /** The recipe that runs when none is named. */
    public static final String DEFAULT = "addition";

    private static final List<String> NAMES = List.of(DEFAULT, "addition-grpo", "game24");

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
        return complete(YamlSettings.parse(yaml, "the recipe " + source), source);
    }

    private static ObjectNode read(String nameOrFile) {
        if (NAMES.contains(nameOrFile)) {
            return resource(nameOrFile);
        }
        boolean file = nameOrFile.endsWith(".yaml") || nameOrFile.endsWith(".yml");
        if (!file) {
            throw new IsthmusException("there is no recipe '" + nameOrFile + "'. There are " + String.join(", ", NAMES)
                    + "; or give a file that ends in .yaml");
        }
        return YamlSettings.read(Path.of(nameOrFile), "recipe");
    }

    private static ObjectNode resource(String name) {
        return YamlSettings.resource(Recipes.class, name + ".yaml");
    }

    private static void set(ObjectNode root, String path, String value) {
        ObjectNode at = root;
        String[] keys = path.split("\\.", -1);
        for (int i = 0; i < keys.length - 1; i++) {
            at = at.get(keys[i]) instanceof ObjectNode child ? child : at.putObject(keys[i]);
        }
        at.set(keys[keys.length - 1], YamlSettings.value(value, path));
    }

    /** Puts the defaults of the recipe's method under what it says itself, and checks the whole. */
    private static Complete complete(ObjectNode given, String source) {
        ObjectNode defaults = resource("defaults");
        String method = given.at("/improve/method").asString("");
        if (!(defaults.path("improve").get(method) instanceof ObjectNode improve)) {
            throw new IsthmusException("the recipe " + source + " has improve.method '" + method + "'; there are "
                    + String.join(", ", defaults.path("improve").propertyNames()));
        }
        defaults.set("improve", improve);
        YamlSettings.merge(defaults, given);
        Recipe recipe = YamlSettings.bind(defaults, Recipe.class, "the recipe " + source);
        return new Complete(recipe, YamlSettings.write(defaults));
    }
}
