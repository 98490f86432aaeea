package dev.isthmus.train.run;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;

/** Starts a main method of the tests in a process of its own, to be killed. */
final class ChildJvm {
    private ChildJvm() {}

    static Process start(Class<?> main, String argument) throws IOException {
        String classes =
                System.getProperty("java.class.path") + File.pathSeparator + System.getProperty("jdk.module.path", "");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        return new ProcessBuilder(java, "-cp", classes, main.getName(), argument)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }
}
