package dev.isthmus.app;

import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file system of its own in memory, for tests of what happens when it is full or cannot be written. */
record SmallDisk(Path path) implements AutoCloseable {
    /** Mounts one; the test is skipped where the user may not. */
    static SmallDisk mount(Path path, String options) throws IOException, InterruptedException {
        Files.createDirectories(path);
        try {
            Process mount = new ProcessBuilder("mount", "-t", "tmpfs", "-o", options, "isthmus", path.toString())
                    .redirectErrorStream(true)
                    .start();
            mount.getInputStream().readAllBytes();
            return mount.waitFor() == 0 ? new SmallDisk(path) : abort("skipped: this user cannot mount a small disk");
        } catch (IOException e) {
            return abort("skipped: there is no mount command");
        }
    }

    @Override
    public void close() throws IOException {
        try {
            new ProcessBuilder("umount", path.toString()).start().waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
