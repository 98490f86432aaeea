package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.io.Gguf.GgufTensor;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

class GgufTests {
    @Test
    @Tag("fixture")
    void readsTheTypesOfAFile() {
        JsonNode expected = Json.read(fixture("models/gguf_tiny/expected.json"));
        try (Arena arena = Arena.ofConfined()) {
            Gguf file = Gguf.open(fixture("models/gguf_tiny/tiny.gguf"), arena);
            assertMetadata(file, expected.get("kv"));
            for (Map.Entry<String, JsonNode> entry : expected.get("tensors").properties()) {
                GgufTensor tensor = file.tensors().get(entry.getKey());
                float[] values = floats(tensor.type(), tensor.data());
                assertThat(tensor.shape())
                        .containsExactly(longs(entry.getValue().get("shape")));
                assertThat(values).containsExactly(floats(entry.getValue().get("values")));
            }
        }
    }

    @Test
    @Tag("fixture")
    void readsTheMetadataOfVocabularies() {
        for (Map.Entry<String, JsonNode> entry :
                Json.read(fixture("tokenizer/gguf_metadata.json")).properties()) {
            Path path = data("tokenizers/gguf").resolve(entry.getKey());
            if (!Files.exists(path)) {
                continue;
            }
            try (Arena arena = Arena.ofConfined()) {
                Gguf file = Gguf.open(path, arena);
                assertMetadata(file, entry.getValue().get("kv"));
            }
        }
    }

    private static void assertMetadata(Gguf file, JsonNode expected) {
        for (Map.Entry<String, JsonNode> entry : expected.properties()) {
            Object found = file.metadata().get(entry.getKey());
            JsonNode wanted = entry.getValue();
            if (wanted.isObject()) {
                assertThat((List<?>) found)
                        .as(entry.getKey())
                        .hasSize(wanted.get("length").intValue());
            } else if (wanted.isArray()) {
                assertThat((List<?>) found)
                        .as(entry.getKey())
                        .isEqualTo(wanted.valueStream().map(GgufTests::value).toList());
            } else {
                assertThat(found instanceof Number n && !(n instanceof Double) ? (Object) n.longValue() : found)
                        .as(entry.getKey())
                        .isEqualTo(value(wanted));
            }
        }
    }

    private static Object value(JsonNode node) {
        if (node.isString()) {
            return node.stringValue();
        }
        if (node.isBoolean()) {
            return node.booleanValue();
        }
        return node.isIntegralNumber() ? (Object) node.longValue() : (Object) node.doubleValue();
    }

    /** The numbers are those of the reference package gguf 0.19. */
    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})
    void readsBlocks(GgufType type) throws IOException {
        JsonNode expected = blocks().get(type.name());
        byte[] bytes = Base64.getDecoder().decode(expected.get("bytes").stringValue());
        assertThat(floats(type, MemorySegment.ofArray(bytes))).containsExactly(floats(expected.get("values")));
    }

    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q8_0"})
    void writesBlocks(GgufType type) throws IOException {
        JsonNode expected = blocks().get("quantize");
        assertThat(GgufBlocks.quantize(type, floats(expected.get("values"))))
                .isEqualTo(Base64.getDecoder().decode(expected.get(type.name()).stringValue()));
        assertThat(GgufBlocks.quantize(type, new float[32])).hasSize(type.blockBytes());
        assertThatThrownBy(() -> GgufBlocks.quantize(type, floatsOf(Float.NaN))).isInstanceOf(IsthmusException.class);
    }

    @Test
    @Tag("fixture")
    void survivesDamage() throws IOException {
        Path path = fixture("models/gguf_tiny/tiny.gguf");
        byte[] good = Files.readAllBytes(path);
        Mutations.assertSurvives("GGUF", good, 800, bytes -> {
            Gguf file = Gguf.parse(path, MemorySegment.ofArray(bytes));
            for (GgufTensor tensor : file.tensors().values()) {
                floats(tensor.type(), tensor.data());
            }
        });
    }

    private static JsonNode blocks() throws IOException {
        try (InputStream in = GgufTests.class.getResourceAsStream("/gguf_blocks.json")) {
            return Json.parse(Path.of("gguf_blocks.json"), in.readAllBytes());
        }
    }

    private static float[] floats(GgufType type, MemorySegment data) {
        switch (type) {
            case F32, F16, BF16, F64 -> {
                long elements = data.byteSize() / type.blockBytes();
                return new TensorEntry("t", type.name(), new long[] {elements}, data).toFloats();
            }
            case I8, I16, I32, I64 -> {
                return new float[0];
            }
            default -> {
                float[] values = new float[(int) (data.byteSize() / type.blockBytes() * type.blockElements())];
                GgufBlocks.dequantize(type, data, MemorySegment.ofArray(values));
                return values;
            }
        }
    }

    private static float[] floatsOf(float first) {
        float[] values = new float[32];
        values[0] = first;
        return values;
    }

    private static float[] floats(JsonNode array) {
        float[] values = new float[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) array.get(i).doubleValue();
        }
        return values;
    }

    private static long[] longs(JsonNode array) {
        return Arrays.stream(array.valueStream().mapToLong(JsonNode::asLong).toArray())
                .toArray();
    }
}
