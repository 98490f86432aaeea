package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Llama2cTests {
    @TempDir
    Path dir;

    @Test
    @Tag("fixture")
    void readsTheTrainedModelBitForBit() {
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint ours = Checkpoint.open(data("models/stories260K/stories260K.bin"), arena);
            Checkpoint converted = Checkpoint.open(fixture("models/stories260K"), arena);

            assertThat(ours.config()).isEqualTo(converted.config());
            assertThat(ours.tensors().keySet()).isEqualTo(converted.tensors().keySet());
            ours.tensors()
                    .forEach((name, tensor) -> assertThat(tensor.data()
                                    .mismatch(converted.tensors().get(name).data()))
                            .as(name)
                            .isEqualTo(-1));
        }
    }

    @Test
    @Tag("fixture")
    void writesTheTrainedModelBitForBit() throws IOException {
        byte[] expected = Files.readAllBytes(data("models/stories260K/stories260K.bin"));
        Path copy = dir.resolve("copy.bin");
        try (Arena arena = Arena.ofConfined()) {
            Llama2c.write(copy, Checkpoint.open(fixture("models/stories260K"), arena));
        }
        byte[] bytes = Files.readAllBytes(copy);
        int weights = expected.length - 2 * 512 * 4 * Float.BYTES;
        assertThat(bytes).hasSameSizeAs(expected);
        assertThat(Arrays.mismatch(bytes, 0, weights, expected, 0, weights)).isEqualTo(-1);
        // llama2.c computed the tables from float32 angles, which reach 511.
        FloatBuffer ourTables = floats(bytes, weights);
        FloatBuffer theirTables = floats(expected, weights);
        for (int i = 0; i < ourTables.capacity(); i++) {
            assertThat(ourTables.get(i)).isCloseTo(theirTables.get(i), within(1e-4f));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void readsWhatItWrites(boolean tied) {
        DecoderConfig config =
                DecoderConfig.llama(11, 12, 20, 3, 2, 1, 16, tied).withTokens(OptionalInt.of(1), List.of(2));
        Path file = dir.resolve("model.bin");
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint original = random(config, arena);
            Llama2c.write(file, original);
            Checkpoint read = Llama2c.open(file, arena);
            assertThat(read.config()).isEqualTo(config);
            original.tensors()
                    .forEach((name, tensor) -> assertThat(
                                    read.tensors().get(name).toFloats())
                            .as(name)
                            .isEqualTo(tensor.toFloats()));
        }
    }

    @Test
    void refusesToWriteWhatTheFormatCannotSay() {
        DecoderConfig gpt2 = DecoderConfig.gpt2(11, 12, 1, 2, 16);
        assertThatThrownBy(() -> Llama2c.write(dir.resolve("x.bin"), random(gpt2, Arena.ofAuto())))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("only Llama models with rope_theta 10000");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "8 16 1 2 1 3 4              | truncated, or not a llama2.c model: expected",
                "8 16 1 2 1 0 4              | not a llama2.c model: vocab_size must be positive, found 0",
                "-8 16 1 2 1 3 4             | not a llama2.c model: hidden_size must be positive",
                "8 16 1 3 1 3 4              | hidden_size 8 is not a multiple of num_attention_heads 3",
                "8 16 1 2 1 -2147483648 4    | not a llama2.c model",
                "8 16 2147483647 2 1 3 4     | truncated, or not",
                "2147483646 2147483647 2147483647 1073741823 1 2147483647 2147483647 | not a llama2.c model",
                "8 2147483647 2147483647 2 1 2147483647 2147483647 | truncated, or not a llama2.c model: expected",
                "1634415666 2 0 0 0 0 0      | version 2 of llama2.c's format; only version 0",
            })
    void saysWhatIsWrongWithAHeader(String header, String message) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
        for (String value : header.split(" ")) {
            bytes.putInt(Integer.parseInt(value));
        }
        Path file = Files.write(dir.resolve("bad.bin"), bytes.array());
        assertThatThrownBy(() -> Checkpoint.open(file, Arena.ofAuto()))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageStartingWith(file + ": ")
                .hasMessageContaining(message);
    }

    @Test
    void saysThatAFileIsTruncatedOrTooLong() throws IOException {
        Path file = dir.resolve("model.bin");
        Llama2c.write(file, random(DecoderConfig.llama(11, 12, 20, 1, 2, 1, 16, true), Arena.ofAuto()));
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
        assertThatThrownBy(() -> Llama2c.open(file, Arena.ofAuto()))
                .hasMessageEndingWith("expected " + bytes.length + " bytes, found " + (bytes.length - 1));
        Files.write(file, Arrays.copyOf(bytes, bytes.length + 1));
        assertThatThrownBy(() -> Llama2c.open(file, Arena.ofAuto())).hasMessageContaining("found more");
        Files.write(file, new byte[5]);
        assertThatThrownBy(() -> Llama2c.open(file, Arena.ofAuto())).hasMessageContaining("at least 28 bytes, found 5");
    }

    @Test
    void survivesDamage() throws IOException {
        Path file = dir.resolve("model.bin");
        Llama2c.write(file, random(DecoderConfig.llama(11, 12, 20, 1, 2, 1, 16, false), Arena.ofAuto()));
        Mutations.assertSurvives("llama2.c bin", Files.readAllBytes(file), 28, bytes -> {
            try (Arena arena = Arena.ofConfined()) {
                Llama2c.parse(file, MemorySegment.ofArray(bytes), arena);
            }
        });
    }

    private static Checkpoint random(DecoderConfig config, Arena arena) {
        Rng rng = Rng.of(1);
        return new Checkpoint(
                config,
                ParameterNames.of(config).stream()
                        .map(parameter -> {
                            MemorySegment data = arena.allocate(parameter.elements() * Float.BYTES, 64);
                            for (long i = 0; i < parameter.elements(); i++) {
                                data.setAtIndex(ValueLayout.JAVA_FLOAT, i, rng.nextFloat());
                            }
                            return new TensorEntry(parameter.name(), StoredType.F32, parameter.shape(), data);
                        })
                        .collect(Collectors.toMap(TensorEntry::name, Function.identity())));
    }

    private static FloatBuffer floats(byte[] bytes, int from) {
        return ByteBuffer.wrap(bytes, from, bytes.length - from)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
    }
}
