package dev.isthmus.bench;

import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The command that starts another JVM on the classes of this one, with the launcher's flags. */
public final class ChildJvm {
    private ChildJvm() {}

    /** {@code java} with {@code main}'s class and {@code arguments}. */
    public static List<String> command(Class<?> main, List<String> arguments) {
        List<String> command = java();
        @Nullable String modules = System.getProperty("jdk.module.path");
        if (modules != null) {
            command.add("--enable-native-access=dev.isthmus.tensor,dev.isthmus.bench");
            command.add("--module-path=" + modules);
            command.add("--module=" + main.getModule().getName() + "/" + main.getName());
        } else {
            command.add("--enable-native-access=ALL-UNNAMED");
            command.add("--class-path=" + System.getProperty("java.class.path"));
            command.add(main.getName());
        }
        command.addAll(arguments);
        return command;
    }

    /** {@code java} with a source file that uses the classes of this JVM and the jars of a directory. */
    public static List<String> source(Path file, String jars) {
        @Nullable String modules = System.getProperty("jdk.module.path");
        String classes = modules != null ? modules + "/*" : System.getProperty("java.class.path");
        List<String> command = java();
        command.add("--enable-native-access=ALL-UNNAMED");
        command.add("--class-path=" + classes + File.pathSeparator + jars + "/*");
        command.add(file.toString());
        return command;
    }

    private static List<String> java() {
        return new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "-XX:+UseSerialGC",
                "-XX:MaxDirectMemorySize=1t"));
    }
}
