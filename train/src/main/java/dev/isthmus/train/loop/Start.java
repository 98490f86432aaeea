package dev.isthmus.train.loop;

import dev.isthmus.train.run.Checkpoint;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Where a run starts from: the model that it is told, or a checkpoint of its own.
 *
 * @param weights where the weights to go on with and their tokenizer lie, with {@code peft} those that stay as they are; null for a
 *     new model
 * @param state what {@link Training#state} had put; nothing for a new run
 * @param directory the checkpoint, where what {@link Training#save} had written lies; empty for a new run
 */
public record Start(@Nullable Path weights, JsonNode state, Optional<Path> directory) {
    static Start fresh(BaseConfig config) {
        String model = config.model();
        Path weights = model == null ? null : Path.of(model);
        return new Start(weights, JsonNodeFactory.instance.objectNode(), Optional.empty());
    }

    static Start from(Checkpoint checkpoint, MethodConfig<?> config) {
        Path directory = checkpoint.directory();
        Path weights = config.modelConfig().peft() == null ? directory : Path.of(config.model());
        return new Start(weights, checkpoint.state().path("training"), Optional.of(directory));
    }
}
