package dev.isthmus.train.run;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Everything that one run leaves behind.
 *
 * <pre>
 * config.yaml              complete; enough to run again
 * metrics.jsonl            one object a logged step, TRL's keys; the source of truth
 * events.out.tfevents.*    the same numbers for TensorBoard
 * samples.jsonl            prompts, completions, rewards
 * checkpoints/             see {@link Checkpoints}
 * report.html              self-contained
 * summary.json             written last: where it is, the run has finished
 * </pre>
 *
 * <p>Whether the place can be written is found out at the start. A checkpoint records how long the logs were, and
 * resuming cuts them back to that, so a run that was interrupted leaves the same lines as one that was not. A lock
 * keeps a second process out; it ends with the process, however that dies.
 */
public final class RunDirectory implements AutoCloseable {
    private static final String CONFIG = "config.yaml";
    private static final String METRICS = "metrics.jsonl";
    private static final String SAMPLES = "samples.jsonl";
    private static final String SUMMARY = "summary.json";
    private static final String REPORT = "report.html";
    private static final String LOCK = ".lock";
    private static final String PROBE = ".probe";
    private static final int PROBE_BYTES = 1 << 20;
    private static final int CHECKPOINTS_KEPT = 2;
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private final Path path;
    private final FileChannel lock;
    private final String config;
    private final Checkpoints checkpoints;
    private final Optional<Checkpoint> resumed;
    private final JsonLines metrics;
    private final JsonLines samples;
    private @Nullable EventsWriter events;

    private RunDirectory(Path path, FileChannel lock, @Nullable String newConfig, Consumer<String> warnings)
            throws IOException {
        this.path = path;
        this.lock = lock;
        probe(path);
        if (newConfig != null) {
            Disk.replace(path.resolve(CONFIG), newConfig.getBytes(StandardCharsets.UTF_8));
        }
        this.config = Files.readString(path.resolve(CONFIG), StandardCharsets.UTF_8);
        Files.createDirectories(path.resolve("checkpoints"));
        this.checkpoints = new Checkpoints(path.resolve("checkpoints"), CHECKPOINTS_KEPT, warnings);
        JsonNode logs = JSON.missingNode();
        if (newConfig == null && !Files.exists(path.resolve(SUMMARY))) {
            Optional<Checkpoint> latest = checkpoints.latest();
            latest.ifPresent(c -> requireSameConfig(c.state().path(CONFIG).asString("")));
            this.resumed =
                    latest.map(c -> new Checkpoint(c.directory(), c.state().path("state")));
            logs = latest.map(c -> c.state().path("logs")).orElse(logs);
            cutBack(logs, warnings);
        } else {
            this.resumed = Optional.empty();
        }
        this.metrics = new JsonLines(path.resolve(METRICS));
        this.samples = new JsonLines(path.resolve(SAMPLES));
    }

    /**
     * Makes the directory of a new run.
     *
     * @param out where; null for {@code runs/RECIPE-SEED-NUMBER} with the next free number
     * @param config the complete recipe as YAML
     * @param warnings takes a line for each thing the user should know but that does not stop the run
     * @throws IsthmusException if the place is taken, in use, full or cannot be written
     */
    public static RunDirectory create(
            @Nullable Path out, String recipe, long seed, String config, Consumer<String> warnings) {
        Path path = out == null ? nextFree(Path.of("runs"), recipe, seed) : out;
        boolean mine = !Files.exists(path) || out == null;
        try {
            Files.createDirectories(path);
            refuseIfTaken(path);
            return open(path, config, warnings);
        } catch (IOException e) {
            if (mine) {
                Disk.deleteTree(path);
            }
            throw unwritable(path, "Choose a place that can be written with --out DIR", e);
        }
    }

    /**
     * Opens the directory of a run that was interrupted, its logs cut back to its latest checkpoint; or of one that has
     * finished, as {@link #summary()} tells, to be read.
     *
     * @throws IsthmusException if it is not a run, is in use, cannot be written, was begun with another configuration, or
     *     holds no readable checkpoint though it has some
     */
    public static RunDirectory resume(Path path, Consumer<String> warnings) {
        if (!Files.isRegularFile(path.resolve(CONFIG))) {
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s is not a run: it has no %s.\nPass the directory of a run, such as runs/NAME.",
                    path,
                    CONFIG));
        }
        try {
            return open(path, null, warnings);
        } catch (IOException e) {
            throw unwritable(path, "Put this right and try again", e);
        }
    }

    /** Where it is. */
    public Path path() {
        return path;
    }

    /** The recipe, as it was given when the run began. */
    public String config() {
        return config;
    }

    /** The checkpoint to go on from, if this is a resumed run that had one. */
    public Optional<Checkpoint> resumedFrom() {
        return resumed;
    }

    /** What a finished run came to; empty while it has not finished. */
    public Optional<JsonNode> summary() {
        try {
            return Files.exists(path.resolve(SUMMARY))
                    ? Optional.of(JSON.readTree(Files.readString(path.resolve(SUMMARY), StandardCharsets.UTF_8)))
                    : Optional.empty();
        } catch (IOException e) {
            throw unreadable(SUMMARY, e);
        }
    }

    /**
     * Logs the numbers of a step to {@code metrics.jsonl} and to TensorBoard.
     *
     * @param metrics by TRL's key, in the order in which they are to be written
     */
    public void log(long step, Map<String, ?> metrics) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.putAll(metrics);
        try {
            this.metrics.append(line);
        } catch (IOException e) {
            throw failed(METRICS, e);
        }
        try {
            double now = System.currentTimeMillis() / 1000.0;
            if (events == null) {
                events = new EventsWriter(nextEventsFile((long) now), step, now);
            }
            events.scalars(step, now, metrics);
        } catch (IOException e) {
            throw failed("the TensorBoard events", e);
        }
    }

    /** Logs a sample to {@code samples.jsonl}: {@code prompt}, {@code completion}, {@code reward} and the like. */
    public void sample(Map<String, ?> sample) {
        try {
            samples.append(sample);
        } catch (IOException e) {
            throw failed(SAMPLES, e);
        }
    }

    /** What has been logged so far, before an interruption too. */
    public List<JsonNode> metrics() {
        return read(METRICS);
    }

    /** The samples logged so far, before an interruption too. */
    public List<JsonNode> samples() {
        return read(SAMPLES);
    }

    /**
     * Saves a checkpoint; a resumed run gets its {@code state} back and finds the logs as long as they are now.
     *
     * @param label goes into the name for people to read, such as {@code round-2}
     */
    public Checkpoint save(String label, JsonNode state, Checkpoints.Content content) {
        ObjectNode all = JSON.createObjectNode().put(CONFIG, config);
        ObjectNode logs = all.putObject("logs");
        try {
            metrics.force();
            samples.force();
            logs.put(METRICS, metrics.length()).put(SAMPLES, samples.length());
            if (events != null) {
                events.force();
            }
            for (Path file : eventsFiles()) {
                logs.put(file.getFileName().toString(), Files.size(file));
            }
        } catch (IOException e) {
            throw failed("the logs", e);
        }
        all.set("state", state);
        return new Checkpoint(checkpoints.save(label, all, content).directory(), state);
    }

    /** What is saved, for people to read. */
    public String lastCheckpoint() {
        return checkpoints
                .newest()
                .map(name -> "the last checkpoint is " + name)
                .orElse("no checkpoint had been saved yet");
    }

    /** Writes a file of its own beside the others, such as what went wrong. */
    public void write(String name, JsonNode content) {
        try {
            Disk.replace(
                    path.resolve(name), (JSON.writeValueAsString(content) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw failed(name, e);
        }
    }

    /** Writes the report and then the summary, which marks the run as finished. */
    public void finish(JsonNode summary, String report) {
        try {
            Disk.replace(path.resolve(REPORT), report.getBytes(StandardCharsets.UTF_8));
            String json = JSON.writeValueAsString(summary) + "\n";
            Disk.replace(path.resolve(SUMMARY), json.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw failed("the report and summary", e);
        }
    }

    /** Closes the logs and lets others in. */
    @Override
    public void close() {
        EventsWriter opened = events;
        try (lock;
                metrics;
                samples;
                opened) {
            // Closing is all there is to do.
        } catch (IOException e) {
            throw failed("the logs", e);
        }
    }

    private static Path nextFree(Path root, String recipe, long seed) {
        String stem = recipe.replaceAll("[^A-Za-z0-9._-]+", "-") + "-" + seed + "-";
        try {
            Files.createDirectories(root);
            for (int number = 1; ; number++) {
                try {
                    return Files.createDirectory(root.resolve(stem + number));
                } catch (FileAlreadyExistsException e) {
                    // Taken; the next.
                }
            }
        } catch (IOException e) {
            throw unwritable(root, "Choose a place that can be written with --out DIR", e);
        }
    }

    private static RunDirectory open(Path path, @Nullable String newConfig, Consumer<String> warnings)
            throws IOException {
        FileChannel lock = lock(path);
        try {
            if (newConfig != null) {
                refuseIfTaken(path);
            }
            return new RunDirectory(path, lock, newConfig, warnings);
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        }
    }

    private static FileChannel lock(Path path) throws IOException {
        FileChannel channel = FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = null;
        try {
            lock = channel.tryLock();
        } catch (OverlappingFileLockException e) {
            // Held by this very process; the same to the user.
        }
        if (lock == null) {
            channel.close();
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s is in use by another process.\nWait until that ends, or choose another place.",
                    path));
        }
        return channel;
    }

    private static void refuseIfTaken(Path path) throws IOException {
        if (Files.exists(path.resolve(SUMMARY)) && Files.exists(path.resolve(CONFIG))) {
            throw new IsthmusException(String.format(
                    Locale.ROOT, "%s already holds a finished run.\nChoose another --out, or none.", path));
        }
        if (Files.exists(path.resolve(CONFIG))) {
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s holds a run that has not finished.\nGo on with --resume %s, or choose another --out.",
                    path,
                    path));
        }
        List<String> strangers = Disk.children(path).stream()
                .map(child -> child.getFileName().toString())
                .filter(name -> !name.equals(LOCK) && !name.equals(PROBE))
                .toList();
        if (!strangers.isEmpty()) {
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s is not empty (it holds %s) and is not a run.\nChoose another --out.",
                    path,
                    strangers.getFirst()));
        }
    }

    /** A full disk takes a new name gladly and refuses the bytes, so bytes are what is tried. */
    private static void probe(Path path) throws IOException {
        Path probe = path.resolve(PROBE);
        try {
            try (FileChannel out = FileChannel.open(probe, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                Disk.writeFully(out, ByteBuffer.allocate(PROBE_BYTES));
                out.force(false);
            }
        } finally {
            Files.deleteIfExists(probe);
        }
    }

    /** Half of a run by one recipe and half by another would be neither's. */
    private void requireSameConfig(String saved) {
        if (!saved.equals(config)) {
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s has changed since the run began.\nPut it back as it was, or begin another run with it.",
                    path.resolve(CONFIG)));
        }
    }

    /** Makes every log as long as it was when the checkpoint was saved; those that are newer go. */
    private void cutBack(JsonNode lengths, Consumer<String> warnings) throws IOException {
        for (String name : List.of(METRICS, SAMPLES)) {
            cutBack(path.resolve(name), lengths.path(name).asLong(0), warnings);
        }
        for (Path file : eventsFiles()) {
            JsonNode length = lengths.path(file.getFileName().toString());
            if (length.isMissingNode()) {
                Files.delete(file);
            } else {
                cutBack(file, length.asLong(), warnings);
            }
        }
    }

    private static void cutBack(Path file, long length, Consumer<String> warnings) throws IOException {
        try (FileChannel log = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            if (log.size() < length) {
                warnings.accept(String.format(
                        Locale.ROOT, "%s has lost lines from before the checkpoint; they stay missing.", file));
            }
            log.truncate(length);
        }
    }

    private List<Path> eventsFiles() throws IOException {
        return Disk.children(path).stream()
                .filter(file -> file.getFileName().toString().startsWith(EventsWriter.PREFIX))
                .toList();
    }

    /** TensorBoard reads the files of a run in the order of their names, so a later one needs a later time. */
    private Path nextEventsFile(long now) throws IOException {
        for (long time = now; ; time++) {
            String name = String.format(Locale.ROOT, "%s%010d.isthmus", EventsWriter.PREFIX, time);
            if (eventsFiles().stream()
                    .allMatch(file -> file.getFileName().toString().compareTo(name) < 0)) {
                return path.resolve(name);
            }
        }
    }

    private List<JsonNode> read(String name) {
        try {
            return JsonLines.read(path.resolve(name));
        } catch (IOException e) {
            throw unreadable(name, e);
        }
    }

    private IsthmusException failed(String what, IOException e) {
        return new IsthmusException(
                String.format(
                        Locale.ROOT,
                        "Cannot write %s of %s: %s.\n%s",
                        what,
                        path,
                        Disk.reason(e),
                        checkpoints.whereToResume()),
                e);
    }

    private IsthmusException unreadable(String what, IOException e) {
        return new IsthmusException(
                String.format(Locale.ROOT, "Cannot read %s of %s: %s.", what, path, Disk.reason(e)), e);
    }

    private static IsthmusException unwritable(Path path, String advice, IOException e) {
        return new IsthmusException(
                String.format(Locale.ROOT, "Cannot write in %s: %s.\n%s.", path, Disk.reason(e), advice), e);
    }
}
