package dev.isthmus.bench;

import dev.isthmus.tensor.IsthmusException;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/** Runs the JMH benchmarks of this module. */
public final class MicroBenchmarks {
    private static final List<String> JVM =
            List.of("--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED");

    private MicroBenchmarks() {}

    /** Runs the benchmarks whose name contains a match of the regular expression {@code include}. */
    public static void run(String include) {
        // JMH starts its forks on this process's class path, which is empty where modules run.
        String modulePath = System.getProperty("jdk.module.path");
        if (modulePath != null) {
            System.setProperty("java.class.path", jars(modulePath));
        }
        List<String> jvm = new ArrayList<>(JVM);
        String threads = System.getProperty("isthmus.threads");
        if (threads != null) {
            jvm.add("-Disthmus.threads=" + threads);
        }
        Options options = new OptionsBuilder()
                .include(include)
                .jvmArgs(jvm.toArray(String[]::new))
                .build();
        try {
            new Runner(options).run();
        } catch (RunnerException e) {
            throw new IsthmusException("benchmarks '" + include + "': " + e.getMessage(), e);
        }
    }

    private static String jars(String modulePath) {
        List<String> entries = new ArrayList<>();
        for (String entry : modulePath.split(File.pathSeparator)) {
            Path path = Path.of(entry);
            if (Files.isDirectory(path) && !Files.exists(path.resolve("module-info.class"))) {
                try (Stream<Path> files = Files.list(path)) {
                    files.map(Path::toString).sorted().forEach(entries::add);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            } else {
                entries.add(entry);
            }
        }
        return String.join(File.pathSeparator, entries);
    }
}
