package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is killed, or whose disk fills up, goes on and ends like one that was not disturbed. */
class ImproveResumeTests {
    /** Lines of metrics.jsonl: pre-training has a checkpoint after 100, then there is one a round. */
    private static final int PRETRAIN = 110;

    private static final List<String> RECIPE = Stream.of(
                    "name=tiny",
                    "controls=true",
                    "task={name: list_sorting, length: 2..3}",
                    "model={hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2}",
                    "pretrain={examples: 200, target_accuracy: 2, max_steps: " + PRETRAIN + ", batch_size: 16}",
                    "pretrain.learning_rate=0.01",
                    "pretrain.warmup_steps=5",
                    "improve={method: expert_iteration, rounds: 2, problems: 16, num_generations: 4, max_steps: 4}",
                    "improve.batch_size=8",
                    "eval={problems: 10, samples: 4}")
            .flatMap(setting -> Stream.of("--set", setting))
            .toList();

    @TempDir
    private static Path place;

    private static Path undisturbed;

    /** What an invocation in this process came to; {@code out} is what it printed. */
    private record Result(int code, String out, String err) {}

    private static class Interruption extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private static Result improve(String... args) {
        return improve("nothing that is printed", () -> {}, args);
    }

    /** Runs a command in this process, and something else when it prints a line that begins so. */
    private static Result improve(String start, Runnable event, String... args) {
        PrintStream out = System.out;
        PrintStream status = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setErr(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8) {
            @Override
            public void println(String line) {
                super.println(line);
                if (line.startsWith(start)) {
                    event.run();
                }
            }
        });
        try {
            StringWriter err = new StringWriter();
            List<String> line = new ArrayList<>(List.of("improve"));
            line.addAll(List.of(args));
            int code = Main.run(new PrintWriter(System.out, true), new PrintWriter(err), line.toArray(String[]::new));
            return new Result(code, printed.toString(StandardCharsets.UTF_8), err.toString());
        } finally {
            System.setOut(out);
            System.setErr(status);
        }
    }

    private static String[] begin(Path out) {
        return Stream.concat(RECIPE.stream(), Stream.of("--out", out.toString()))
                .toArray(String[]::new);
    }

    private static String[] resume(Path run) {
        return new String[] {"--resume", run.toString()};
    }

    @BeforeAll
    static void runUndisturbed() {
        undisturbed = place.resolve("undisturbed");
        assertThat(improve(begin(undisturbed)).code()).isZero();
        assertThat(lines(undisturbed))
                .as("every round found something to learn")
                .isEqualTo(PRETRAIN + 3 * 2 * 4);
    }

    private static void assertSameAsUndisturbed(Path run) throws IOException {
        assertThat(summary(run)).isEqualTo(summary(undisturbed));
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "config.yaml")) {
            assertThat(run.resolve(file)).hasSameBinaryContentAs(undisturbed.resolve(file));
        }
        for (String model : List.of("base/model.safetensors", "model/model.safetensors", "model/tokenizer.json")) {
            assertThat(run.resolve(model)).hasSameBinaryContentAs(undisturbed.resolve(model));
        }
        assertThat(run.resolve("report.html")).exists();
    }

    private static String summary(Path run) throws IOException {
        String json = Files.readString(run.resolve("summary.json"), StandardCharsets.UTF_8);
        assertThat(json).contains("\"seconds\"");
        return json.replaceFirst("\"seconds\" : [0-9.E]+", "");
    }

    /** A run that stopped as it printed the second round of a control, whose checkpoint was still to be written. */
    private static Path interrupted(String name) {
        Path run = place.resolve(name);
        Runnable event = () -> {
            throw new Interruption();
        };
        Result result = improve("shuffled rewards 2", event, begin(run));
        assertThat(result.err()).contains(Interruption.class.getSimpleName());
        return run;
    }

    @Test
    void killedAtManyMomentsItEndsLikeARunThatWasNot() throws Exception {
        Path run = place.resolve("killed");
        Path writing = run.resolve("checkpoints").resolve(".writing");
        List<Supplier<Boolean>> moments = List.of(
                () -> lines(run) >= 30, // before there is a checkpoint
                () -> Files.exists(writing) || lines(run) > PRETRAIN, // while one is written, if we are quick
                () -> lines(run) >= PRETRAIN + 5, // in the second round
                () -> Files.exists(run.resolve("model"))); // before the first control
        for (Supplier<Boolean> moment : moments) {
            Process child = child(lines(run) == 0 ? begin(run) : resume(run));
            while (child.isAlive() && !moment.get()) {
                LockSupport.parkNanos(100_000);
            }
            assertThat(child.destroyForcibly().waitFor())
                    .as("exit code of a process killed at moment %s, %s lines", moments.indexOf(moment), lines(run))
                    .isEqualTo(128 + 9);
            assertThat(run.resolve("summary.json")).doesNotExist();
        }
        Result last = improve(resume(run));
        assertThat(last.code()).as(last.err()).isZero();
        assertThat(last.out()).contains("Going on with tiny").contains("base ", "round 2", "random filter 2");
        assertThat(last.err()).isEmpty();
        assertSameAsUndisturbed(run);
    }

    @Test
    void twoProcessesCannotWorkOnOneRun() throws Exception {
        Path run = place.resolve("twice");
        List<String> said = new ArrayList<>();
        Runnable second = () -> {
            for (String[] args : List.of(resume(run), begin(run))) {
                try {
                    Process child = child(args);
                    said.addAll(child.errorReader(StandardCharsets.UTF_8).readAllLines());
                    said.add("exit code " + child.waitFor());
                } catch (IOException | InterruptedException e) {
                    throw new AssertionError(e);
                }
            }
        };
        assertThat(improve("base", second, begin(run)).code()).isZero();
        said.removeIf(line -> line.startsWith("WARNING: Using incubator modules"));
        assertThat(said)
                .containsExactly(
                        "isthmus: " + run + " is in use by another process.",
                        "isthmus: Wait until that ends, or choose another place.",
                        "exit code 1",
                        "isthmus: " + run + " holds a run that has not finished.",
                        "isthmus: Go on with --resume " + run + ", or choose another --out.",
                        "exit code 1");
        assertSameAsUndisturbed(run);
    }

    private static long lines(Path run) {
        try (Stream<String> lines = Files.lines(run.resolve("metrics.jsonl"), StandardCharsets.UTF_8)) {
            return lines.count();
        } catch (IOException | UncheckedIOException e) {
            return 0;
        }
    }

    private static Process child(String... args) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "improve"));
        command.addAll(List.of(args));
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    @Test
    void aDamagedCheckpointIsPassedOverAndNothingIsLostButTime() throws IOException {
        Path run = interrupted("damaged");
        Path newest;
        try (Stream<Path> checkpoints = Files.list(run.resolve("checkpoints"))) {
            newest = checkpoints.max(Path::compareTo).orElseThrow();
        }
        Path weights = newest.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        bytes[bytes.length / 2] ^= 1;
        Files.write(weights, bytes);
        Result result = improve(resume(run));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.err().lines()).hasSize(1);
        assertThat(result.err())
                .contains(newest
                        + " is damaged (model.safetensors does not match its checksum); trying the one before it");
        assertSameAsUndisturbed(run);
    }

    @Test
    void aRunGoesOnWithTheRecipeItBeganWithOrNotAtAll() throws IOException {
        Path run = interrupted("changed");
        Path config = run.resolve("config.yaml");
        String recipe = Files.readString(config, StandardCharsets.UTF_8);
        byte[] metrics = Files.readAllBytes(run.resolve("metrics.jsonl"));
        for (String other : List.of(recipe.replace("hidden_size: 16", "hidden_size: 32"), "model: [", "")) {
            Files.writeString(config, other, StandardCharsets.UTF_8);
            Result result = improve(resume(run));
            assertThat(result.code()).isEqualTo(1);
            assertThat(result.err().lines()).hasSize(2);
            assertThat(result.err()).contains(config + " has changed since the run began");
            assertThat(run.resolve("metrics.jsonl")).hasBinaryContent(metrics);
        }
        Files.writeString(config, recipe, StandardCharsets.UTF_8);
        assertThat(improve(resume(run)).code()).isZero();
        assertSameAsUndisturbed(run);
    }

    @Test
    void aFinishedRunIsNotRunAgain() throws IOException {
        Result result = improve(resume(undisturbed));
        assertThat(result.code()).isEqualTo(1);
        assertThat(result.err())
                .isEqualTo("isthmus: the run in " + undisturbed + " has finished; see "
                        + undisturbed.resolve("report.html") + System.lineSeparator());
        Result again = improve(begin(undisturbed));
        assertThat(again.code()).isEqualTo(1);
        assertThat(again.err().lines()).hasSize(2);
        assertThat(again.err()).contains(undisturbed + " already holds a finished run.");
        assertSameAsUndisturbed(undisturbed);
    }

    @Test
    void aDiskThatFillsUpStopsTheRunWhichThenGoesOn() throws Exception {
        try (SmallDisk disk = SmallDisk.mount(place.resolve("disk"), "size=4m")) {
            Path run = disk.path().resolve("run");
            Path filler = disk.path().resolve("filler");
            Result result = improve("base", () -> fill(filler), begin(run));
            assertThat(result.code()).isEqualTo(1);
            assertThat(result.err().lines()).hasSize(2).allMatch(line -> line.startsWith("isthmus: "));
            assertThat(result.err())
                    .contains("No space left on device.")
                    .contains("-base; put this right and go on with --resume " + run);
            Files.delete(filler);
            assertThat(improve(resume(run)).code()).isZero();
            assertSameAsUndisturbed(run);
        }
    }

    private static void fill(Path file) {
        try (OutputStream out = Files.newOutputStream(file)) {
            while (true) {
                out.write(new byte[4096]);
            }
        } catch (IOException full) {
            assertThat(full).hasMessageContaining("No space left");
        }
    }
}
