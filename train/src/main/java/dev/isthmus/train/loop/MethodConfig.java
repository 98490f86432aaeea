package dev.isthmus.train.loop;

import dev.isthmus.model.Decoder;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.run.YamlSettings;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The checked settings of a run.
 *
 * @param base those that all trainers share
 * @param modelConfig what of the model is trained
 * @param own those of its kind of trainer
 * @param yaml the complete text that gives all of them again
 */
public record MethodConfig<C extends Record>(BaseConfig base, ModelConfig modelConfig, C own, String yaml) {
    /** The keys of {@link BaseConfig} where nothing else is said. */
    static ObjectNode sharedDefaults() {
        return YamlSettings.resource(BaseConfig.class, "base.yaml");
    }

    /** The keys of {@link ModelConfig} where nothing else is said. */
    static ObjectNode modelDefaults() {
        return YamlSettings.resource(ModelConfig.class, "model.yaml");
    }

    static <C extends Record> MethodConfig<C> load(
            TrainingMethod<C> method, @Nullable Path file, Map<String, ?> settings) {
        ObjectNode tree = method.defaults();
        String source = file == null ? method.key() : "the settings " + file;
        if (file != null) {
            ObjectNode given = YamlSettings.read(file, "settings");
            String other = given.path("method").asString(method.key());
            if (!other.equals(method.key())) {
                throw new IsthmusException(file + " is a configuration of " + other + ", not of " + method.key());
            }
            requireKnown(tree, given, source);
            YamlSettings.merge(tree, given);
        }
        ObjectNode last = YamlSettings.tree(settings);
        requireKnown(tree, last, source);
        tree.setAll(last);
        return bind(method, tree, source);
    }

    /** The settings of a text that {@link #yaml} gave, perhaps long ago. */
    static <C extends Record> MethodConfig<C> parse(TrainingMethod<C> method, String yaml, String source) {
        ObjectNode tree = YamlSettings.parse(yaml, source);
        String found = tree.path("method").asString("");
        if (!found.equals(method.key())) {
            throw new IsthmusException(source + " is that of a run of '" + found + "', not of '" + method.key() + "'");
        }
        requireKnown(method.defaults(), tree, source);
        return bind(method, tree, source);
    }

    private static void requireKnown(ObjectNode known, ObjectNode given, String source) {
        for (String key : given.propertyNames()) {
            if (!known.has(key)) {
                throw new IsthmusException(source + " has an unknown setting '" + key + "'; there are "
                        + String.join(", ", new TreeSet<>(known.propertyNames())));
            }
        }
    }

    private static <C extends Record> MethodConfig<C> bind(TrainingMethod<C> method, ObjectNode tree, String source) {
        ObjectNode shared = sharedDefaults();
        ObjectNode model = modelDefaults();
        ObjectNode own = tree.objectNode();
        for (Map.Entry<String, JsonNode> entry : tree.properties()) {
            String key = entry.getKey();
            (shared.has(key) ? shared : model.has(key) ? model : own).set(key, entry.getValue());
        }
        BaseConfig base = YamlSettings.bind(shared, BaseConfig.class, source);
        C settings = YamlSettings.bind(own, method.settings(), source);
        base.arguments(1);
        ModelConfig trained = YamlSettings.bind(model, ModelConfig.class, source);
        MethodConfig<C> config = new MethodConfig<>(base, trained, settings, YamlSettings.write(tree));
        if (trained.peft() != null) {
            config.model();
        }
        method.check(config);
        return config;
    }

    /**
     * The file to learn from.
     *
     * @throws IsthmusException if none is given
     */
    public String data() {
        String data = base.data();
        if (data == null) {
            throw new IsthmusException(base.method() + ": data is missing: the file to learn from");
        }
        return data;
    }

    /**
     * Loads the model to train into the current scope: all its weights, or, with {@code peft}, an adapter of them.
     *
     * @throws IsthmusException if it cannot be loaded, or has not what the adapter changes
     */
    public Decoder load(Start start) {
        return modelConfig.load(base, start);
    }

    /**
     * The model to go on from.
     *
     * @throws IsthmusException if none is given
     */
    public String model() {
        String model = base.model();
        if (model == null) {
            throw new IsthmusException(base.method() + ": model is missing: the directory of the model to go on from");
        }
        return model;
    }
}
