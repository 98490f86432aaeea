package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static dev.isthmus.testing.Fixtures.resource;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class SafeTensorsTests {
    @TempDir
    Path dir;

    @Test
    @Tag("fixture")
    void readsEveryType() {
        JsonNode expected = Json.read(fixture("models/safetensors_dtypes/expected.json"));
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors file = SafeTensors.open(fixture("models/safetensors_dtypes/dtypes.safetensors"), arena);

            assertThat(file.tensors().keySet()).containsExactlyInAnyOrderElementsOf(expected.propertyNames());
            for (TensorEntry tensor : file.tensors().values()) {
                JsonNode want = expected.get(tensor.name());
                assertThat(tensor.shape())
                        .isEqualTo(numbers(want.get("shape"), JsonNode::asLong).stream()
                                .mapToLong(n -> n)
                                .toArray());
                if (want.get("dtype").stringValue().equals("f64")) {
                    List<Double> values =
                            Arrays.stream(tensor.toDoubles()).boxed().toList();
                    assertThat(values).as(tensor.name()).isEqualTo(numbers(want.get("data"), JsonNode::doubleValue));
                } else {
                    List<Long> values = Arrays.stream(tensor.toLongs()).boxed().toList();
                    assertThat(values)
                            .as(tensor.name())
                            .isEqualTo(numbers(
                                    want.get("data"),
                                    v -> v.isBoolean() ? (v.booleanValue() ? 1L : 0L) : v.longValue()));
                }
            }
            assertThat(file.get("f64").toFloats()[0])
                    .isEqualTo((float) expected.at("/f64/data/0").asDouble());
            assertThatThrownBy(() -> file.get("i8").toFloats())
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("'i8' of type I8 does not hold floating-point numbers");
            assertThatThrownBy(() -> file.get("nothing"))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("no tensor 'nothing'");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2_tied", "llama_untied", "llama_tied_rope3", "qwen3_tied", "stories260K"})
    @Tag("fixture")
    void writesTheBytesItRead(String model) throws IOException {
        Path original = fixture("models/" + model + "/model.safetensors");
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors file = SafeTensors.open(original, arena);
            Path copy = dir.resolve("copy.safetensors");
            SafeTensors.write(copy, file.tensors().values(), file.metadata());

            assertThat(Files.mismatch(copy, original)).isEqualTo(-1);
            assertThat(files()).containsExactly("copy.safetensors");
        }
    }

    @Test
    @Tag("fixture")
    void writesEveryTypeAligned() {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors file = SafeTensors.open(fixture("models/safetensors_dtypes/dtypes.safetensors"), arena);
            Path copy = dir.resolve("copy.safetensors");
            SafeTensors.write(copy, file.tensors().values());

            SafeTensors read = SafeTensors.open(copy, arena);
            assertThat(read.metadata()).isEqualTo(Map.of("format", "pt"));
            assertThat(read.tensors()).hasSameSizeAs(file.tensors());
            for (TensorEntry tensor : read.tensors().values()) {
                TensorEntry want = file.get(tensor.name());
                assertThat(tensor.type()).isEqualTo(want.type());
                assertThat(tensor.shape()).isEqualTo(want.shape());
                assertThat(tensor.data().mismatch(want.data())).isEqualTo(-1);
                assertThat(tensor.data().address() % tensor.type().bytes()).isZero();
            }
        }
    }

    @Test
    void writesHeapAndNativeSegmentsLargerThanAChunk() {
        float[] values = new float[700_001];
        for (int i = 0; i < values.length; i++) {
            values[i] = i * 0.25f;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment heap = MemorySegment.ofArray(values);
            MemorySegment off = arena.allocate(heap.byteSize()).copyFrom(heap);
            Path file = dir.resolve("big.safetensors");
            long[] shape = {values.length};
            SafeTensors.write(
                    file,
                    List.of(
                            new TensorEntry("a", StoredType.F32, shape, heap),
                            new TensorEntry("b", StoredType.F32, shape, off)));

            SafeTensors read = SafeTensors.open(file, arena);
            assertThat(read.get("a").toFloats()).isEqualTo(values);
            assertThat(read.get("b").toFloats()).isEqualTo(values);
        }
    }

    @Test
    void refusesToWriteWhatIsNotATensor() {
        TensorEntry tensor = new TensorEntry("a", StoredType.F32, new long[] {2}, MemorySegment.ofArray(new float[3]));
        assertThatThrownBy(() -> SafeTensors.write(dir.resolve("x"), List.of(tensor)))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("The tensor a F32[2] comes with 12 bytes");
        assertThat(files()).isEmpty();
    }

    @Test
    @Tag("fixture")
    void readsShards() {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors model = SafeTensors.openDirectory(resource("models/qwen2_tied"), arena);
            assertThat(model.tensors()).hasSize(26);
            assertThat(model.tensors().values().stream()
                            .mapToLong(t -> t.data().byteSize())
                            .sum())
                    .isEqualTo(100352);
            assertThat(model.get("model.norm.weight").shape()).containsExactly(32);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "../a.safetensors | 'x': its shard '../a.safetensors' is not the name of a .safetensors file in this",
                "/etc/passwd      | is not the name",
                "a.bin            | is not the name",
                "b.safetensors    | there is no such file",
                "a.safetensors    | its shard a.safetensors does not hold it",
            })
    void refusesShardsThatAreNotBesideTheIndex(String shard, String message) throws IOException {
        write("a.safetensors", file("{}", 0));
        write("model.safetensors.index.json", bytes("{\"weight_map\": {\"x\": \"" + shard + "\"}}"));
        assertThatThrownBy(() -> SafeTensors.openDirectory(dir, Arena.ofAuto()))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [0, 16]}} | 8 | truncated: expected 86 bytes, found 78",
                "{`x`: {`dtype`: `F32`, `shape`: [3], `data_offsets`: [0, 8]}} | 8 | type F32 and shape [3] do not make the 8",
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [0, 8]}} | 9 | bytes, found more",
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [8, 0]}} | 8 | data_offsets must be a begin and an end",
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [-8, 0]}} | 8 | non-negative",
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [1, 9]}} | 9 | leaves a gap before it",
                "{`x`: {`dtype`: `F32`, `shape`: [2], `data_offsets`: [0]}} | 8 | begin and an end",
                "{`x`: {`dtype`: `F32`, `shape`: [2.5], `data_offsets`: [0, 8]}} | 8 | shape must hold non-negative",
                "{`x`: {`dtype`: `F32`, `shape`: [1e99], `data_offsets`: [0, 8]}} | 8 | shape must hold non-negative",
                "{`x`: {`dtype`: 32, `shape`: [2], `data_offsets`: [0, 8]}} | 8 | dtype must be a string",
                "{`x`: {`dtype`: `F32`, `data_offsets`: [0, 8]}} | 8 | shape must be a list",
                "{`x`: 7} | 0 | data_offsets must be a list",
                "{`x`: {`dtype`: `F32`, `shape`: [4611686018427387904, 4], `data_offsets`: [0, 0]}} | 0 | do not make",
                "{`x`: {`dtype`: `F32`, `shape`: [0], `data_offsets`: [0, 9223372036854775807]}} | 8 | truncated: expected 922",
                "{`x`: {`dtype`: `U8`, `shape`: [4], `data_offsets`: [0, 4]}, `y`: {`dtype`: `U8`, `shape`: [4],"
                        + " `data_offsets`: [2, 6]}} | 6 | 'y': data_offsets 2 to 6 overlaps another tensor",
                "{`x`: {`dtype`: `U8`, `shape`: [0], `data_offsets`: [0, 0]}, `x`: {`dtype`: `U8`, `shape`: [0],"
                        + " `data_offsets`: [0, 0]}} | 0 | Duplicate",
                "{`__metadata__`: {`format`: 3}} | 0 | format must be a string",
                "[1] | 0 | expected a JSON object",
                "{`x`: | 0 | the JSON is damaged",
            })
    void saysWhatIsWrongWithAFile(String header, int dataBytes, String message) throws IOException {
        String json = header.replace('`', '"');
        write("bad.safetensors", file(json, dataBytes));
        assertThatThrownBy(() -> SafeTensors.open(dir.resolve("bad.safetensors"), Arena.ofAuto()))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageStartingWith(dir.resolve("bad.safetensors") + ": ")
                .hasMessageContaining(message);
    }

    @Test
    void saysWhatIsWrongWithTheStart() throws IOException {
        write("a", new byte[3]);
        write(
                "b",
                ByteBuffer.allocate(20)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(1000)
                        .array());
        write("c", bytes("#!/bin/sh and so on"));
        write("d", file("[".repeat(100_000), 0));
        write(
                "e",
                ByteBuffer.allocate(10)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(2)
                        .putShort((short) 0xffff)
                        .array());
        write("f", file("{\"x\": {\"shape\": [" + "0,".repeat(11_000_000) + "0]}}", 0));
        assertThat(failure("a")).endsWith("truncated: expected at least 8 bytes, found 3");
        assertThat(failure("b")).endsWith("truncated: expected at least 1008 bytes, found 20");
        assertThat(failure("c")).contains("not a safetensors file");
        assertThat(failure("d")).contains("nesting depth");
        assertThat(failure("e")).contains("not valid UTF-8");
        assertThat(failure("f")).contains("Token count");
        assertThat(failure("absent")).startsWith("Cannot read").endsWith("there is no such file");
        assertThat(failure(".")).endsWith("it is a directory");
        assertThatThrownBy(() -> SafeTensors.openDirectory(dir, Arena.ofAuto()))
                .hasMessageContaining("neither a model.safetensors nor");
        Files.createFile(dir.resolve("pytorch_model.bin"));
        assertThatThrownBy(() -> SafeTensors.openDirectory(dir, Arena.ofAuto()))
                .hasMessageContaining("save the model as safetensors");
    }

    @Test
    void anUnknownTypeIsAnErrorOnlyWhereItIsUsed() throws IOException {
        write("q.safetensors", file("{\"x\": {\"dtype\": \"F8_E4M3\", \"shape\": [3], \"data_offsets\": [0, 3]}}", 3));
        TensorEntry tensor =
                SafeTensors.open(dir.resolve("q.safetensors"), Arena.ofAuto()).get("x");
        assertThatThrownBy(tensor::toFloats)
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("'x' has the type 'F8_E4M3', which cannot be read; readable are [F64, F32");
    }

    @Test
    void aFailedWriteLeavesTheOldFileAndNothingElse() throws IOException {
        Path file = dir.resolve("model.safetensors");
        Files.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFile.write(file, channel -> {
                    channel.write(ByteBuffer.allocate(100));
                    throw new IOException("No space left on device");
                }))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("Cannot write " + file + ": No space left on device");
        assertThat(file).hasContent("old");
        assertThat(files()).containsExactly("model.safetensors");
        assertThatThrownBy(() -> AtomicFile.write(dir.resolve("no/where"), "text"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("does not exist");
    }

    @Test
    @Tag("fixture")
    void survivesDamage() throws IOException {
        byte[] good = Files.readAllBytes(fixture("models/safetensors_dtypes/dtypes.safetensors"));
        Mutations.assertSurvives("safetensors", good, 880, bytes -> {
            SafeTensors file = SafeTensors.parse(Path.of("damaged"), MemorySegment.ofArray(bytes));
            for (TensorEntry tensor : file.tensors().values()) {
                if (tensor.typeName().contains("F")) {
                    tensor.toDoubles();
                } else {
                    tensor.toLongs();
                }
            }
        });
        byte[] index = Files.readAllBytes(resource("models/qwen2_tied/model.safetensors.index.json"));
        for (int i = 1; i <= 2; i++) {
            String shard = "model-0000" + i + "-of-00002.safetensors";
            Files.copy(resource("models/qwen2_tied/" + shard), dir.resolve(shard));
        }
        Mutations.assertSurvives("model.safetensors.index.json", index, index.length, bytes -> {
            write("model.safetensors.index.json", bytes);
            try (Arena arena = Arena.ofConfined()) {
                SafeTensors.openDirectory(dir, arena);
            }
        });
    }

    @Test
    @Tag("fixture")
    void readsAFileOfAnotherProject() {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors file = SafeTensors.open(data("safetensors/jfk-codes.safetensors"), arena);
            assertThat(file.tensors()).isNotEmpty();
            file.tensors()
                    .values()
                    .forEach(tensor -> assertThat(tensor.toLongs()).isNotEmpty());
        }
    }

    private String failure(String name) {
        try {
            SafeTensors.open(dir.resolve(name), Arena.ofAuto());
            return "no failure";
        } catch (IsthmusException e) {
            return e.getMessage();
        }
    }

    private void write(String name, byte[] bytes) throws IOException {
        Files.write(dir.resolve(name), bytes);
    }

    private List<String> files() {
        try (var list = Files.list(dir)) {
            return list.map(p -> p.getFileName().toString()).toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] file(String header, int dataBytes) {
        byte[] json = bytes(header);
        return ByteBuffer.allocate(8 + json.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .array();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static <T> List<T> numbers(JsonNode array, java.util.function.Function<JsonNode, T> convert) {
        List<T> list = new ArrayList<>();
        array.forEach(node -> list.add(convert.apply(node)));
        return list;
    }
}
