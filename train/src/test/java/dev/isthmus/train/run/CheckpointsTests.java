package dev.isthmus.train.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class CheckpointsTests {
    @TempDir
    Path run;

    private final List<String> warnings = new ArrayList<>();

    @Test
    void whatIsSavedIsLoaded() throws IOException {
        JsonNode state = state(7).put("text", "line\nß\u0000").put("loss", 0.1 + 0.2);
        Checkpoint saved = checkpoints().save("round 2/of 3", state, content(7));
        assertThat(saved.directory()).isEqualTo(run.resolve("checkpoints/0001-round-2-of-3"));
        Checkpoint loaded = checkpoints().latest().orElseThrow();
        assertThat(loaded).isEqualTo(saved);
        assertThat(loaded.directory().resolve("model/weights.bin")).hasBinaryContent(weights(7));
        assertThat(warnings).isEmpty();
    }

    @Test
    void withoutOneThereIsNone() throws IOException {
        assertThat(checkpoints().latest()).isEmpty();
        Files.createDirectories(run.resolve("checkpoints/.writing"));
        assertThat(checkpoints().latest()).isEmpty();
    }

    @Test
    void theNewestAreKept() {
        Checkpoints checkpoints = checkpoints();
        for (int i = 1; i <= 5; i++) {
            checkpoints.save("step-" + i, state(i), content(i));
        }
        assertThat(names()).containsExactly("0004-step-4", "0005-step-5");
        assertThat(loaded()).isEqualTo(5);
    }

    @ParameterizedTest
    @ValueSource(strings = {"manifest.json", "state.json", "model/weights.bin"})
    void aFlippedByteFallsBackToTheOneBefore(String file) throws IOException {
        for (int position : new int[] {0, 40, -2}) {
            checkpoints().save("a", state(1), content(1));
            Checkpoint newest = checkpoints().save("b", state(2), content(2));
            Path victim = newest.directory().resolve(file);
            byte[] bytes = Files.readAllBytes(victim);
            bytes[Math.floorMod(position, bytes.length)] ^= 1;
            Files.write(victim, bytes);
            assertThat(loaded()).isEqualTo(1);
            assertThat(warnings)
                    .hasSize(1)
                    .first()
                    .asString()
                    .contains(newest.directory().toString(), "damaged");
            warnings.clear();
            Disk.deleteTree(run.resolve("checkpoints"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"manifest.json", "state.json", "model/weights.bin"})
    void aCutOrMissingFileFallsBackToTheOneBefore(String file) throws IOException {
        checkpoints().save("a", state(1), content(1));
        Path victim = checkpoints().save("b", state(2), content(2)).directory().resolve(file);
        try (FileChannel channel = FileChannel.open(victim, StandardOpenOption.WRITE)) {
            channel.truncate(channel.size() / 2);
        }
        assertThat(loaded()).isEqualTo(1);
        Files.delete(victim);
        assertThat(loaded()).isEqualTo(1);
    }

    @Test
    void theNextSaveRemovesTheDamagedAndKeepsTheGood() throws IOException {
        checkpoints().save("a", state(1), content(1));
        Path newest = checkpoints().save("b", state(2), content(2)).directory();
        Files.delete(newest.resolve("state.json"));
        Checkpoints resumed = checkpoints();
        assertThat(resumed.latest().orElseThrow().state().path("i").asInt()).isEqualTo(1);
        resumed.save("b", state(2), content(2));
        assertThat(names()).containsExactly("0001-a", "0003-b");
        assertThat(loaded()).isEqualTo(2);
    }

    @Test
    void ifAllAreDamagedItSaysSo() throws IOException {
        Path only = checkpoints().save("a", state(1), content(1)).directory();
        Files.delete(only.resolve("manifest.json"));
        assertThatThrownBy(() -> checkpoints().latest())
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("None of the 1 checkpoints");
    }

    @Test
    void straysOfACrashAreIgnoredAndSweptAway() throws IOException {
        checkpoints().save("a", state(1), content(1));
        for (String stray : new String[] {".writing", ".removing"}) {
            Path directory = Files.createDirectories(run.resolve("checkpoints").resolve(stray));
            Files.writeString(directory.resolve("state.json"), "{\"i\":9");
        }
        Files.writeString(run.resolve("checkpoints/notes.txt"), "not ours");
        assertThat(loaded()).isEqualTo(1);
        checkpoints().save("b", state(2), content(2));
        assertThat(names()).containsExactly("0001-a", "0002-b", "notes.txt");
    }

    @Test
    void aFailureLeavesTheLastOneAndNamesIt() {
        checkpoints().save("a", state(1), content(1));
        assertThatThrownBy(() -> checkpoints().save("b", state(2), directory -> {
                    content(2).writeTo(directory);
                    throw new FileSystemException(directory.toString(), null, "No space left on device");
                }))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("No space left on device")
                .hasMessageContaining("0001-a")
                .hasMessageContaining("--resume " + run);
        assertThat(names()).containsExactly("0001-a");
        assertThat(loaded()).isEqualTo(1);
    }

    @Test
    void aManifestCannotPointOutside() throws IOException {
        Path directory = checkpoints().save("a", state(1), content(1)).directory();
        Files.writeString(run.resolve("secret"), "");
        Path manifest = directory.resolve("manifest.json");
        Files.writeString(
                manifest,
                Files.readString(manifest)
                        .replace(
                                "\"state.json\"",
                                "\"../../secret\":{\"bytes\":0,\"crc32c\":\"00000000\"},\"state.json\""));
        assertThatThrownBy(() -> checkpoints().latest()).isInstanceOf(IsthmusException.class);
        assertThat(warnings).first().asString().contains("outside");
    }

    /**
     * The real thing: a child that does nothing but save is killed again and again, and a whole one is always there.
     */
    @Test
    @Timeout(120)
    void killedAtAnyMomentAWholeOneIsThere() throws Exception {
        Rng rng = Rng.of(System.nanoTime());
        int last = 0;
        for (int kill = 0; kill < 10; kill++) {
            Process child = ChildJvm.start(Child.class, run.toString());
            try (var out = child.inputReader(StandardCharsets.UTF_8)) {
                assertThat(out.readLine()).as("the child's first checkpoint").isNotNull();
                Thread.sleep(rng.nextInt(150));
                child.destroyForcibly();
                assertThat(child.waitFor(10, TimeUnit.SECONDS)).isTrue();
            }
            Checkpoint loaded = checkpoints().latest().orElseThrow();
            int i = loaded.state().path("i").asInt();
            assertThat(i).isGreaterThan(last);
            assertThat(loaded.directory().resolve("model/weights.bin")).hasBinaryContent(weights(i));
            last = i;
        }
        assertThat(warnings).isEmpty();
    }

    /** Goes on from the latest checkpoint, saving as fast as it can. */
    static final class Child {
        public static void main(String[] args) {
            Checkpoints checkpoints = new Checkpoints(Path.of(args[0], "checkpoints"), 2, System.err::println);
            int i = checkpoints.latest().map(c -> c.state().path("i").asInt()).orElse(0);
            while (true) {
                i++;
                checkpoints.save("step-" + i, state(i), content(i));
                System.out.println(i);
            }
        }
    }

    private Checkpoints checkpoints() {
        return new Checkpoints(run.resolve("checkpoints"), 2, warnings::add);
    }

    private int loaded() {
        return checkpoints().latest().orElseThrow().state().path("i").asInt();
    }

    private List<String> names() {
        try {
            return Disk.children(run.resolve("checkpoints")).stream()
                    .map(path -> path.getFileName().toString())
                    .toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static ObjectNode state(int i) {
        return JsonNodeFactory.instance.objectNode().put("i", i);
    }

    private static Checkpoints.Content content(int i) {
        return directory -> {
            Path file = Files.createDirectory(directory.resolve("model")).resolve("weights.bin");
            Files.write(file, weights(i));
        };
    }

    private static byte[] weights(int i) {
        byte[] bytes = new byte[500_000 + 13 * i];
        Rng.of(i).nextBytes(bytes);
        return bytes;
    }
}
