package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes files so that a reader, or a run resumed after a crash, sees the old content or the new one and nothing between.
 *
 * <p>The content goes to a hidden file in the same directory, is forced to the disk, and is then renamed over the target.
 */
public final class AtomicFile {
    /** Writes the content of a file. */
    @FunctionalInterface
    public interface Content {
        /** Writes everything to {@code channel}, from its position on. */
        void writeTo(FileChannel channel) throws IOException;
    }

    private AtomicFile() {}

    /**
     * Replaces {@code target} by what {@code content} writes; on any failure the target is as it was.
     *
     * @throws IsthmusException if the file cannot be written, for example because the disk is full
     */
    public static void write(Path target, Content content) {
        Path directory = target.toAbsolutePath().getParent();
        if (directory == null) {
            throw new IsthmusException("Cannot write " + target + ": it is not a file");
        }
        if (Files.exists(target) && !Files.isRegularFile(target)) {
            throw new IsthmusException("Cannot write " + target + ": it is "
                    + (Files.isDirectory(target) ? "a directory" : "a device, not a file"));
        }
        // One fixed name: what a killed process left behind is overwritten by the next attempt, not piled up.
        Path temporary = directory.resolve("." + target.getFileName() + ".tmp");
        boolean done = false;
        try {
            try (FileChannel channel = FileChannel.open(
                    temporary,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            done = true;
            forceDirectory(directory);
        } catch (IOException e) {
            throw new IsthmusException("Cannot write " + target + ": " + reason(e, directory), e);
        } finally {
            if (!done) {
                delete(temporary);
            }
        }
    }

    /** Replaces {@code target} by {@code text} in UTF-8. */
    public static void write(Path target, String text) {
        write(target, channel -> writeFully(channel, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))));
    }

    static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static void forceDirectory(Path directory) {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Not every system can open a directory; there the rename itself has to do.
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            // The failure that brought us here is the one to report.
        }
    }

    /**
     * Creates a directory, and those that it is to lie in.
     *
     * @throws IsthmusException if it cannot be created, for example because there is a file of its name
     */
    public static void createDirectories(Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (FileAlreadyExistsException e) {
            throw new IsthmusException(
                    "Cannot create the directory " + directory + ": there is a file of that name", e);
        } catch (IOException e) {
            Path parent = directory.toAbsolutePath().getParent();
            throw new IsthmusException("Cannot create the directory " + directory + ": " + reason(e, parent), e);
        }
    }

    /** Deletes a directory of files that is not wanted any more, as far as that is possible. */
    static void deleteDirectory(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            files.forEach(AtomicFile::delete);
            Files.deleteIfExists(directory);
        } catch (IOException e) {
            // The failure that brought us here is the one to report.
        }
    }

    private static String reason(IOException e, @Nullable Path directory) {
        if (e instanceof NoSuchFileException && directory != null) {
            return Files.isDirectory(directory)
                    ? "the system lets nobody create anything in " + directory
                    : "the directory " + directory + " does not exist";
        }
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        }
        String reason = e instanceof FileSystemException f && f.getReason() != null ? f.getReason() : e.getMessage();
        return (reason == null ? e.toString() : reason) + ". Nothing was changed there";
    }
}
