package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.io.Exporter.Format;
import dev.isthmus.model.tokenizer.BpeTrainer;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("fixture")
class ExporterTests {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(strings = {"gpt2_tied", "llama_untied", "llama_tied_rope3", "qwen2_tied", "qwen3_tied"})
    void comesBackFromGgufBitForBit(String name) throws IOException {
        Path model = withTokenizer(name);
        Path gguf = dir.resolve("model.gguf");
        Exporter.export(model, gguf, Format.GGUF, "f32");
        assertSame(model, gguf, 0);
        Path back = dir.resolve("back");
        Exporter.export(gguf, back, Format.SAFETENSORS, "f32");
        assertSame(model, back, 0);
        Tokenizer inside = Tokenizers.load(gguf);
        assertThat(inside.encode("abc ")).isEqualTo(Tokenizers.load(model).encode("abc "));
    }

    @ParameterizedTest
    @ValueSource(strings = {"f16", "bf16", "q8_0", "q4_0"})
    void roundsToTheTypeAskedFor(String dtype) throws IOException {
        Path model = withTokenizer("llama_untied");
        Path gguf = dir.resolve("model.gguf");
        Exporter.export(model, gguf, Format.GGUF, dtype);
        assertSame(model, gguf, dtype.equals("q4_0") ? 0.08 : dtype.equals("f16") ? 1e-3 : 8e-3);
    }

    @Test
    void llama2cAndSafetensors() {
        Path model = data("models/stories260K").resolve("stories260K.bin");
        Path directory = dir.resolve("stories");
        Exporter.export(model, directory, Format.SAFETENSORS, "f32");
        assertSame(model, directory, 0);
        Path bin = dir.resolve("stories.bin");
        Exporter.export(directory, bin, Format.BIN, "f32");
        assertSame(model, bin, 0);
    }

    @Test
    void learnedVocabulariesGoIntoGguf() throws IOException {
        Path model = copy("llama_untied");
        int size;
        try (Arena arena = Arena.ofConfined()) {
            size = Checkpoint.open(model, arena).config().vocabSize();
        }
        assertThatThrownBy(() -> Exporter.export(model, dir.resolve("x.gguf"), Format.GGUF, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("tokenizer.json");
        new BpeTrainer(List.of("<|endoftext|>")).add("ab ab").train(259).save(model);
        assertThatThrownBy(() -> Exporter.export(model, dir.resolve("x.gguf"), Format.GGUF, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("the model " + size + " rows for tokens");
        assertThat(ChatTemplate.load(model)).isEmpty();
        assertThatThrownBy(() -> Exporter.export(model, dir.resolve("x.bin"), Format.BIN, "q4_0"))
                .hasMessageContaining("cannot hold q4_0");
    }

    /** A copy of a fixture's model with a tokenizer of letters. */
    private Path withTokenizer(String name) throws IOException {
        Path model = copy(name);
        try (Arena arena = Arena.ofConfined()) {
            int size = Checkpoint.open(model, arena).config().vocabSize();
            String letters = IntStream.range(0, size - 2)
                    .mapToObj(i -> Character.toString('a' + i))
                    .reduce(" ", String::concat);
            new CharTokenizer(letters, true).save(model);
        }
        return model;
    }

    private Path copy(String name) throws IOException {
        Path to = Files.createDirectories(dir.resolve(name));
        try (var files = Files.list(fixture("models/" + name))) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
        return to;
    }

    private static void assertSame(Path expected, Path actual, double relative) {
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint a = Checkpoint.open(expected, arena);
            Checkpoint b = Checkpoint.open(actual, arena);
            assertThat(b.config().hiddenSize()).isEqualTo(a.config().hiddenSize());
            assertThat(b.config().rope()).isEqualTo(a.config().rope());
            assertThat(b.config().normEps()).isEqualTo(a.config().normEps());
            assertThat(b.tensors().keySet()).isEqualTo(a.tensors().keySet());
            a.tensors().forEach((name, tensor) -> {
                float[] wanted = tensor.toFloats();
                float[] found = b.tensors().get(name).toFloats();
                double most = IntStream.range(0, wanted.length)
                        .mapToDouble(i -> Math.abs(wanted[i]))
                        .max()
                        .orElse(0);
                for (int i = 0; i < wanted.length; i++) {
                    assertThat(Math.abs(found[i] - wanted[i])).as(name).isLessThanOrEqualTo((float) (relative * most));
                }
                assertThat(Arrays.equals(wanted, found))
                        .as(name)
                        .isEqualTo(relative == 0 || Arrays.equals(wanted, found));
            });
        }
    }
}
