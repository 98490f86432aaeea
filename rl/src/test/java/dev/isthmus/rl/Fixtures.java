package dev.isthmus.rl;

import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Finds reference numbers and real data for tests; a test that asks for what is not there is skipped. */
public final class Fixtures {
    private Fixtures() {}

    /**
     * The cases of a file of reference numbers, from {@code isthmus.fixtures} or the subset among the test resources.
     */
    public static List<JsonNode> cases(String name) throws IOException {
        Path file = find("fixtures", name);
        try (InputStream in =
                file == null ? Fixtures.class.getResourceAsStream("/fixtures/" + name) : Files.newInputStream(file)) {
            if (in == null) {
                return abort("skipped: fixtures/" + name + " is not at hand; -Disthmus.fixtures=DIR says where");
            }
            return new JsonMapper().readTree(in).get("cases").valueStream().toList();
        }
    }

    /** A file of reference numbers as a whole. */
    public static JsonNode json(String name) {
        return new JsonMapper().readTree(path(name).toFile());
    }

    /** A file or directory of reference numbers. */
    public static Path path(String name) {
        Path file = find("fixtures", name);
        return file == null
                ? abort("skipped: fixtures/" + name + " is not at hand; -Disthmus.fixtures=DIR says where")
                : file;
    }

    /** A file of real data, from {@code isthmus.data}. */
    public static Path data(String name) {
        Path file = find("data", name);
        return file == null ? abort("skipped: data/" + name + " is not at hand; -Disthmus.data=DIR says where") : file;
    }

    /** The data of a tensor object, with NaN where it says so. */
    public static double[] doubles(JsonNode tensor) {
        return tensor.get("data")
                .valueStream()
                .mapToDouble(n -> n.isString() ? Double.parseDouble(n.asString()) : n.asDouble())
                .toArray();
    }

    private static @Nullable Path find(String kind, String name) {
        String property = System.getProperty("isthmus." + kind);
        Stream<String> places =
                property != null ? Stream.of(property) : Stream.of("../shared/" + kind, "../../shared/" + kind);
        return places.map(place -> Path.of(place, name))
                .filter(Files::exists)
                .findFirst()
                .orElse(null);
    }
}
