package dev.isthmus.train.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;

/** The few file operations that durable writing needs. */
final class Disk {
    private Disk() {}

    /**
     * Replaces {@code target} by {@code content} so that a reader, now or after a crash, sees the old or the new whole.
     */
    static void replace(Path target, byte[] content) throws IOException {
        Path temporary = target.resolveSibling("." + target.getFileName() + ".tmp");
        try {
            try (FileChannel out = FileChannel.open(
                    temporary,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.WRITE,
                    StandardOpenOption.TRUNCATE_EXISTING)) {
                writeFully(out, ByteBuffer.wrap(content));
                out.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            deleteTree(temporary);
            throw e;
        }
        syncDirectory(target.resolveSibling(""));
    }

    static void writeFully(FileChannel out, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            out.write(bytes);
        }
    }

    /** Makes renames and new names in a directory durable, where the system lets a directory be opened at all. */
    static void syncDirectory(Path directory) {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Windows cannot open a directory and needs no such call.
        }
    }

    static List<Path> children(Path directory) throws IOException {
        try (var paths = Files.list(directory)) {
            return paths.sorted().toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    static List<Path> regularFiles(Path directory) throws IOException {
        try (var paths = Files.walk(directory)) {
            return paths.filter(Files::isRegularFile).sorted().toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** Deletes what is there and can be deleted; what cannot does no harm to any reader. */
    static void deleteTree(Path path) {
        try (var paths = Files.walk(path)) {
            for (Path each : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(each);
            }
        } catch (IOException | UncheckedIOException e) {
            // Left behind under a name that no reader looks at.
        }
    }

    /** The cause in the system's words, without the class name and path that Java puts around it. */
    static String reason(Exception e) {
        return switch (e) {
            case UncheckedIOException unchecked when unchecked.getCause() != null -> reason(unchecked.getCause());
            case AccessDeniedException denied -> "Permission denied";
            case NoSuchFileException missing -> "No such file or directory: " + missing.getFile();
            case FileAlreadyExistsException exists -> "A file of that name is in the way: " + exists.getFile();
            case NotDirectoryException notDirectory -> "Not a directory: " + notDirectory.getFile();
            case FileSystemException failure when failure.getReason() != null -> failure.getReason();
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        };
    }
}
