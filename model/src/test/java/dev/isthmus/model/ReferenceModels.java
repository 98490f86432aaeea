package dev.isthmus.model;

import dev.isthmus.testing.Fixtures;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/** The models with reference numbers: those among the test resources and all in {@code isthmus.fixtures}, whatever their names. */
public final class ReferenceModels {
    private ReferenceModels() {}

    /** Their names; {@code fixture("models/" + name)} is their directory. */
    public static Stream<String> names() {
        return Stream.of(Fixtures.resource("models"), Fixtures.fixture("models"))
                .flatMap(root -> directories(root).stream())
                .filter(ReferenceModels::hasNumbers)
                .map(directory -> directory.getFileName().toString())
                .distinct()
                .sorted();
    }

    private static List<Path> directories(Path root) {
        try (Stream<Path> entries = Files.list(root)) {
            return entries.toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean hasNumbers(Path directory) {
        Path reference = directory.resolve("reference.json");
        return Files.exists(reference)
                && JsonMapper.shared().readTree(reference.toFile()).has("generation");
    }
}
