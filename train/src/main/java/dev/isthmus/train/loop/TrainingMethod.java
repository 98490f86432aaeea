package dev.isthmus.train.loop;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.run.YamlSettings;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * A kind of trainer, such as {@code sft} or {@code dpo}: its settings, and how a run of it is prepared.
 *
 * <p>Its settings are those of {@link BaseConfig} and {@link ModelConfig} and its own, which are a record whose components are the keys in camelCase. What
 * they are where nothing else is said stands in {@code KEY.yaml} beside the record: its own keys, and those of {@code base.yaml} and {@code model.yaml} that it
 * wants otherwise.
 *
 * @param <C> its own settings
 */
public interface TrainingMethod<C extends Record> {
    /** The name of the command, and {@code method} in {@code config.yaml}. */
    String key();

    /** Its own settings. */
    Class<C> settings();

    /**
     * Looks whether settings fit each other; records look at their own.
     *
     * @throws IsthmusException if not
     */
    default void check(MethodConfig<C> config) {
        config.data();
        config.model();
    }

    /** The models that a run reads beside its checkpoint, files or directories: they must be the same when it goes on. */
    default List<String> models(MethodConfig<C> config) {
        return List.of();
    }

    /**
     * Reads and checks everything that a run needs, and loads its model into the current scope; nothing is written.
     *
     * @throws IsthmusException if data or model are missing, damaged, or do not fit the settings
     */
    Training prepare(MethodConfig<C> config, Start start);

    /** The settings where nothing else is said; its keys are all that there are. */
    default ObjectNode defaults() {
        ObjectNode tree = MethodConfig.sharedDefaults();
        tree.setAll(MethodConfig.modelDefaults());
        tree.put("method", key());
        tree.setAll(YamlSettings.resource(settings(), key() + ".yaml"));
        return tree;
    }

    /**
     * The defaults, what a file says instead, and what {@code settings} say instead of both.
     *
     * @param file such as the {@code config.yaml} of another run; or null
     * @throws IsthmusException if a key is unknown, a value makes no sense, or something is missing
     */
    default MethodConfig<C> configure(@Nullable Path file, Map<String, ?> settings) {
        return MethodConfig.load(this, file, settings);
    }
}
