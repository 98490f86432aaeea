package dev.isthmus.testing;

import static org.junit.jupiter.api.Assumptions.abort;

import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Finds reference numbers and real data for tests; a test that asks for what is not there is skipped. */
public final class Fixtures {
    private Fixtures() {}

    /** A file or directory of reference numbers, from {@code isthmus.fixtures} or the subset among the test resources. */
    public static Path fixture(String name) {
        URL resource = Fixtures.class.getResource("/fixtures/" + name);
        return find("fixtures", name, resource == null ? null : Path.of(resource.getPath()));
    }

    /** A file or directory among the test resources: one that a test knows, whatever {@code isthmus.fixtures} holds. */
    public static Path resource(String name) {
        return Path.of(Objects.requireNonNull(Fixtures.class.getResource("/fixtures/" + name), name)
                .getPath());
    }

    /** A file or directory of real data, from {@code isthmus.data}. */
    public static Path data(String name) {
        return find("data", name, null);
    }

    private static Path find(String kind, String name, Path resource) {
        String property = System.getProperty("isthmus." + kind);
        List<Path> places = new ArrayList<>();
        if (property != null) {
            places.add(Path.of(property, name));
        } else {
            places.add(Path.of("../shared", kind, name));
            places.add(Path.of("../../shared", kind, name));
        }
        if (resource != null) {
            places.add(resource);
        }
        return places.stream()
                .filter(Files::exists)
                .findFirst()
                .orElseGet(() -> skip(
                        "skipped: " + kind + "/" + name + " is not at hand; -Disthmus." + kind + "=DIR says where"));
    }

    /** Surefire does not print why a test was skipped, so the line that names the input is printed here. */
    private static Path skip(String line) {
        System.err.println(line);
        return abort(line);
    }
}
