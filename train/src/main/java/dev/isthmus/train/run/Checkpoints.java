package dev.isthmus.train.run;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The checkpoints of one run: a directory of directories, of which a loadable one exists at every moment.
 *
 * <p>A checkpoint is {@code 0007-round-2/}: whatever files its {@link Content} wrote (a Hugging Face model directory,
 * say, which then also serves as a model), {@code state.json}, and {@code manifest.json} with the length and CRC-32C of
 * each. It is written under a hidden name, forced to the disk, and renamed; so a name that can be seen belongs to a
 * complete checkpoint, and what a crash interrupts is swept away by the next save. The serial number, not the label,
 * gives the order.
 *
 * <p>Reading changes nothing and may be done beside a running writer; only one process may write.
 */
public final class Checkpoints {
    private static final Pattern NAME = Pattern.compile("(\\d{4,9})-.*");
    private static final String MANIFEST = "manifest.json";
    private static final String STATE = "state.json";
    private static final String FORMAT = "isthmus-checkpoint-1";
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private final Path root;
    private final int keep;
    private final Consumer<String> warnings;
    private final Set<Path> damaged = new HashSet<>();

    /** Writes the files of a checkpoint into the directory it is given. */
    @FunctionalInterface
    public interface Content {
        void writeTo(Path directory) throws IOException;
    }

    /**
     * The checkpoints in {@code root}, the newest {@code keep} of which are kept; {@code warnings} takes one line each.
     */
    public Checkpoints(Path root, int keep, Consumer<String> warnings) {
        if (keep < 1) {
            throw new IllegalArgumentException("keep must be at least 1, not " + keep);
        }
        this.root = root;
        this.keep = keep;
        this.warnings = warnings;
    }

    /**
     * Saves a checkpoint and then removes those that are too old or damaged.
     *
     * @param label goes into the name for people to read, such as {@code round-2}
     * @throws IsthmusException if it cannot be written; the line names the last good checkpoint, which stays
     */
    public Checkpoint save(String label, JsonNode state, Content content) {
        Path temporary = root.resolve(".writing");
        try {
            Files.createDirectories(root);
            sweep();
            int serial =
                    1 + complete().stream().mapToInt(Checkpoints::serial).max().orElse(0);
            String name = String.format(Locale.ROOT, "%04d-%s", serial, label.replaceAll("[^A-Za-z0-9._-]+", "-"));
            Files.createDirectory(temporary);
            content.writeTo(temporary);
            Files.write(temporary.resolve(STATE), JSON.writeValueAsBytes(state));
            Disk.replace(temporary.resolve(MANIFEST), JSON.writeValueAsBytes(sealed(temporary, name)));
            Path directory = Files.move(temporary, root.resolve(name), StandardCopyOption.ATOMIC_MOVE);
            Disk.syncDirectory(root);
            prune(directory);
            return new Checkpoint(directory, state);
        } catch (IOException | UncheckedIOException | IsthmusException e) {
            Disk.deleteTree(temporary);
            throw new IsthmusException(
                    String.format(
                            Locale.ROOT,
                            "Cannot save a checkpoint in %s: %s.\n%s",
                            root,
                            Disk.reason(e),
                            whereToResume()),
                    e);
        } catch (RuntimeException e) {
            Disk.deleteTree(temporary);
            throw e;
        }
    }

    /** The newest checkpoint that is whole; warns of each damaged one it has to pass over. */
    public Optional<Checkpoint> latest() {
        List<Path> newestFirst = complete();
        for (Path directory : newestFirst) {
            try {
                return Optional.of(load(directory));
            } catch (IOException e) {
                damaged.add(directory);
                warnings.accept(String.format(
                        Locale.ROOT,
                        "Checkpoint %s is damaged (%s); trying the one before it.",
                        directory,
                        Disk.reason(e)));
            }
        }
        if (!newestFirst.isEmpty()) {
            throw new IsthmusException("None of the " + newestFirst.size() + " checkpoints in " + root
                    + " can be read.\nStart anew with another --out.");
        }
        return Optional.empty();
    }

    /** A line that tells the user what is safe after a failure. */
    String whereToResume() {
        return complete().stream()
                .findFirst()
                .map(last -> String.format(
                        Locale.ROOT,
                        "The last good checkpoint is %s; put this right and go on with --resume %s",
                        last,
                        root.toAbsolutePath().normalize().getParent()))
                .orElse("No checkpoint had been saved yet.");
    }

    /** The name of the newest, whole or not. */
    Optional<String> newest() {
        return complete().stream()
                .findFirst()
                .map(directory -> directory.getFileName().toString());
    }

    /** Directories with a checkpoint's name, newest first. */
    private List<Path> complete() {
        if (!Files.isDirectory(root)) {
            return List.of();
        }
        try {
            return Disk.children(root).stream()
                    .filter(path -> serial(path) > 0)
                    .sorted(Comparator.comparingInt(Checkpoints::serial).reversed())
                    .toList();
        } catch (IOException e) {
            throw new IsthmusException(
                    String.format(Locale.ROOT, "Cannot list the checkpoints in %s: %s.", root, Disk.reason(e)), e);
        }
    }

    private static int serial(Path directory) {
        Matcher name = NAME.matcher(directory.getFileName().toString());
        return name.matches() ? Integer.parseInt(name.group(1)) : 0;
    }

    /** Forces every file to the disk and lists it with its length and checksum. */
    private static ObjectNode sealed(Path directory, String name) throws IOException {
        ObjectNode manifest = JSON.createObjectNode().put("format", FORMAT).put("name", name);
        ObjectNode files = manifest.putObject("files");
        for (Path file : Disk.regularFiles(directory)) {
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
            files.putObject(directory.relativize(file).toString().replace('\\', '/'))
                    .put("bytes", Files.size(file))
                    .put("crc32c", checksum(file));
        }
        try (var paths = Files.walk(directory)) {
            paths.filter(Files::isDirectory).forEach(Disk::syncDirectory);
        }
        return manifest;
    }

    private static Checkpoint load(Path directory) throws IOException {
        JsonNode manifest = parse(directory.resolve(MANIFEST));
        if (!manifest.path("format").asString("").equals(FORMAT)
                || !manifest.path("files").has(STATE)
                || !manifest.path("name")
                        .asString("")
                        .equals(directory.getFileName().toString())) {
            throw new IOException(MANIFEST + " is not this checkpoint's");
        }
        for (var entry : manifest.path("files").properties()) {
            Path file = inside(directory, entry.getKey());
            long bytes = entry.getValue().path("bytes").asLong(-1);
            if (!Files.isRegularFile(file) || Files.size(file) != bytes) {
                throw new IOException(entry.getKey() + " is missing or not " + bytes + " bytes long");
            }
            if (!checksum(file).equals(entry.getValue().path("crc32c").asString(""))) {
                throw new IOException(entry.getKey() + " does not match its checksum");
            }
        }
        return new Checkpoint(directory, parse(directory.resolve(STATE)));
    }

    private static Path inside(Path directory, String name) throws IOException {
        try {
            Path file = directory.resolve(name).normalize();
            if (file.startsWith(directory.normalize()) && !file.equals(directory.normalize())) {
                return file;
            }
        } catch (InvalidPathException e) {
            // Reported below.
        }
        throw new IOException(MANIFEST + " names a file outside of the checkpoint");
    }

    private static JsonNode parse(Path file) throws IOException {
        try {
            return JSON.readTree(Files.readString(file, StandardCharsets.UTF_8));
        } catch (JacksonException e) {
            throw new IOException(file.getFileName() + " is not JSON", e);
        }
    }

    private static String checksum(Path file) throws IOException {
        CRC32C crc = new CRC32C();
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 18);
        try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
            while (in.read(buffer) >= 0) {
                crc.update(buffer.flip());
                buffer.clear();
            }
        }
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    /** Hidden names are what an interrupted save or removal left. */
    private void sweep() throws IOException {
        for (Path path : Disk.children(root)) {
            if (path.getFileName().toString().startsWith(".")) {
                Disk.deleteTree(path);
            }
        }
    }

    private void prune(Path newest) {
        int good = 1;
        for (Path directory : complete()) {
            if (directory.equals(newest)) {
                continue;
            }
            if (good < keep && !damaged.contains(directory)) {
                good++;
                continue;
            }
            try {
                Disk.deleteTree(Files.move(directory, root.resolve(".removing"), StandardCopyOption.ATOMIC_MOVE));
            } catch (IOException e) {
                warnings.accept(String.format(
                        Locale.ROOT, "Cannot remove the old checkpoint %s: %s.", directory, Disk.reason(e)));
            }
        }
    }
}
