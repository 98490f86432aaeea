package dev.isthmus.train.run;

import java.nio.file.Path;
import tools.jackson.databind.JsonNode;

/**
 * A checkpoint whose files have been verified against their checksums.
 *
 * @param directory where the files lie; read or map them from there
 * @param state what {@code state.json} holds: loop position, log lengths, results so far
 */
public record Checkpoint(Path directory, JsonNode state) {}
