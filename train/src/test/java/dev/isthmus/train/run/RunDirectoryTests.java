package dev.isthmus.train.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class RunDirectoryTests {
    private static final String CONFIG = "task: addition\nrounds: 3\n";

    @TempDir
    Path place;

    private final List<String> warnings = new ArrayList<>();

    @Test
    void aRunLeavesWhatTheDesignNames() {
        try (RunDirectory run = create(place.resolve("new/deep"))) {
            run.log(1, Map.of("loss", 2.5));
            run.sample(Map.of("prompt", "1+1=", "completion", "2", "reward", 1.0));
            run.save("step-1", state(1), directory -> Files.writeString(directory.resolve("weights"), "w"));
            assertThat(run.summary()).isEmpty();
            run.finish(state(1), "<!doctype html>");
            assertThat(run.summary()).contains(state(1));
        }
        assertThat(namesIn(place.resolve("new/deep")))
                .hasSize(8)
                .contains(
                        ".lock",
                        "checkpoints",
                        "config.yaml",
                        "metrics.jsonl",
                        "report.html",
                        "samples.jsonl",
                        "summary.json")
                .anyMatch(name -> name.startsWith("events.out.tfevents."));
        assertThat(place.resolve("new/deep/config.yaml")).hasContent(CONFIG);
    }

    @Test
    void metricsKeepTheirOrderAndShortestForm() throws IOException {
        try (RunDirectory run = create(place)) {
            Map<String, Object> metrics = new LinkedHashMap<>();
            metrics.put("loss", 0.1 + 0.2);
            metrics.put("learning_rate", 1e-5);
            metrics.put("grad_norm", 0.1f);
            metrics.put("kl", Double.NaN);
            metrics.put("max", Double.NEGATIVE_INFINITY);
            metrics.put("num_tokens", 3_000_000_000L);
            metrics.put("a", 1);
            run.log(10, metrics);
            run.sample(Map.of("completion", "\"\n\u2028\ud800"));
        }
        assertThat(Files.readString(place.resolve("metrics.jsonl")))
                .isEqualTo("{\"step\":10,\"loss\":0.30000000000000004,\"learning_rate\":1.0E-5,\"grad_norm\":0.1,"
                        + "\"kl\":\"NaN\",\"max\":\"-Infinity\",\"num_tokens\":3000000000,\"a\":1}\n");
        assertThat(Files.readAllLines(place.resolve("samples.jsonl"))).hasSize(1);
    }

    @Test
    void anInterruptedRunLeavesTheSameLinesAsOneThatWasNot() {
        try (RunDirectory run = create(place.resolve("undisturbed"))) {
            steps(run, 1, 9);
        }
        try (RunDirectory run = create(place.resolve("interrupted"))) {
            steps(run, 1, 8); // the last checkpoint is that of step 6; 7 and 8 are lost
        }
        try (RunDirectory run = resume(place.resolve("interrupted"))) {
            assertThat(run.config()).isEqualTo(CONFIG);
            JsonNode state = run.resumedFrom().orElseThrow().state();
            assertThat(state).isEqualTo(state(6));
            assertThat(run.metrics()).hasSize(6);
            steps(run, 7, 9);
            assertThat(run.metrics()).hasSize(9);
            assertThat(run.samples()).hasSize(9);
        }
        for (String log : List.of("metrics.jsonl", "samples.jsonl")) {
            assertThat(place.resolve("interrupted").resolve(log))
                    .hasSameTextualContentAs(place.resolve("undisturbed").resolve(log));
        }
        assertThat(eventBytes("interrupted")).isGreaterThan(eventBytes("undisturbed"));
        assertThat(namesIn(place.resolve("interrupted")).stream().filter(n -> n.startsWith("events")))
                .hasSize(2);
        assertThat(warnings).isEmpty();
    }

    @Test
    void withoutACheckpointResumingStartsFromTheBeginning() {
        try (RunDirectory run = create(place)) {
            run.log(1, Map.of("loss", 1.0));
            run.sample(Map.of("completion", "x"));
        }
        try (RunDirectory run = resume(place)) {
            assertThat(run.resumedFrom()).isEmpty();
            assertThat(run.metrics()).isEmpty();
            assertThat(run.samples()).isEmpty();
        }
        assertThat(namesIn(place)).noneMatch(name -> name.startsWith("events"));
    }

    @Test
    void aFinishedRunIsReadAndNotCutBack() {
        try (RunDirectory run = create(place)) {
            steps(run, 1, 4);
            run.finish(state(4), "");
        }
        try (RunDirectory run = resume(place)) {
            assertThat(run.summary()).contains(state(4));
            assertThat(run.metrics()).hasSize(4);
        }
    }

    @Test
    void aHalfWrittenLastLineIsNotRead() throws IOException {
        try (RunDirectory run = create(place)) {
            steps(run, 1, 3);
            Path metrics = place.resolve("metrics.jsonl");
            Files.writeString(metrics, Files.readString(metrics) + "{\"step\":4,\"lo");
            assertThat(run.metrics()).hasSize(3);
        }
    }

    @Test
    void linesLostFromBeforeTheCheckpointAreToldOf() throws IOException {
        try (RunDirectory run = create(place)) {
            steps(run, 1, 3);
        }
        Files.writeString(place.resolve("metrics.jsonl"), "");
        resume(place).close();
        assertThat(warnings).hasSize(1).first().asString().contains("metrics.jsonl has lost lines");
    }

    @Test
    void aTakenPlaceIsRefusedAndSaysWhatToDo() throws IOException {
        create(place.resolve("crashed")).close();
        refused(() -> create(place.resolve("crashed")), "has not finished", "--resume " + place.resolve("crashed"));

        try (RunDirectory run = create(place.resolve("finished"))) {
            run.finish(state(1), "");
        }
        refused(() -> create(place.resolve("finished")), "already holds a finished run", "another --out");

        Path home = Files.createDirectory(place.resolve("home"));
        Files.writeString(home.resolve("thesis.tex"), "");
        refused(() -> create(home), "thesis.tex", "another --out");
        assertThat(namesIn(home)).containsExactly("thesis.tex");

        refused(() -> create(home.resolve("thesis.tex")), "thesis.tex", "in the way");
        refused(() -> resume(home), "is not a run");
        refused(() -> resume(place.resolve("nowhere")), "is not a run");
    }

    @Test
    void anEmptyDirectoryMayBeUsed() {
        create(place).close();
    }

    @Test
    void aPlaceThatCannotBeWrittenIsFoundOutAtTheStart() {
        Path proc = Path.of("/proc/self/net");
        assumeTrue(Files.isDirectory(proc), "no /proc here to stand for a place that cannot be written");
        refused(() -> create(proc.resolve("run")), "Cannot write in", "--out DIR");
    }

    @Test
    void twoProcessesCannotWriteOneRun() throws Exception {
        Process child = ChildJvm.start(Holder.class, place.resolve("run").toString());
        try (var out = child.inputReader(StandardCharsets.UTF_8)) {
            assertThat(out.readLine()).isEqualTo("held");
            refused(() -> resume(place.resolve("run")), "in use by another process");
        } finally {
            child.destroyForcibly();
            assertThat(child.waitFor(10, TimeUnit.SECONDS)).isTrue();
        }
        try (RunDirectory run = resume(place.resolve("run"))) {
            refused(() -> resume(place.resolve("run")), "in use by another process");
        }
    }

    static final class Holder {
        public static void main(String[] args) throws InterruptedException {
            try (RunDirectory run = RunDirectory.create(Path.of(args[0]), "r", 1, CONFIG, System.err::println)) {
                System.out.println("held");
                Thread.sleep(60_000);
            }
        }
    }

    /** {@code /dev/full} takes no byte, as a disk that has filled up during the run. */
    @Test
    void aDiskThatFillsUpIsOneErrorThatNamesTheLastCheckpoint() throws IOException {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.exists(full), "no /dev/full here to stand for a full disk");
        try (RunDirectory run = create(place)) {
            steps(run, 1, 3);
            run.finish(state(1), "");
        }
        Files.delete(place.resolve("samples.jsonl"));
        Files.createSymbolicLink(place.resolve("samples.jsonl"), full);
        try (RunDirectory run = resume(place)) {
            assertThatThrownBy(() -> run.sample(Map.of("completion", "x")))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("Cannot write samples.jsonl")
                    .hasMessageContainingAll("No space left on device");
        }
        Files.delete(place.resolve("samples.jsonl"));
    }

    private void steps(RunDirectory run, int first, int last) {
        for (int step = first; step <= last; step++) {
            run.log(step, Map.of("loss", 1.0 / step));
            run.sample(Map.of("completion", "ß".repeat(step)));
            if (step % 3 == 0) {
                run.save("step-" + step, state(step), directory -> Files.writeString(directory.resolve("w"), "w"));
            }
        }
    }

    private RunDirectory create(Path path) {
        return RunDirectory.create(path, "addition", 1, CONFIG, warnings::add);
    }

    private RunDirectory resume(Path path) {
        return RunDirectory.resume(path, warnings::add);
    }

    private static void refused(Runnable action, String... parts) {
        assertThatThrownBy(action::run).isInstanceOf(IsthmusException.class).hasMessageContainingAll(parts);
    }

    private static ObjectNode state(int step) {
        return JsonNodeFactory.instance.objectNode().put("step", step);
    }

    private long eventBytes(String run) {
        return namesIn(place.resolve(run)).stream()
                .filter(name -> name.startsWith("events"))
                .mapToLong(name -> place.resolve(run).resolve(name).toFile().length())
                .sum();
    }

    private static List<String> namesIn(Path directory) {
        try {
            return Disk.children(directory).stream()
                    .map(path -> path.getFileName().toString())
                    .toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
