package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.io.Exporter.Format;
import dev.isthmus.model.tokenizer.BpeTrainer;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
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
        Exporter.export(model, null, gguf, Format.GGUF, "f32");
        assertSame(model, gguf, 0);
        Path back = dir.resolve("back");
        Exporter.export(gguf, null, back, Format.SAFETENSORS, "f32");
        assertSame(model, back, 0);
        Tokenizer inside = Tokenizers.load(gguf);
        assertThat(inside.encode("abc ")).isEqualTo(Tokenizers.load(model).encode("abc "));
    }

    @ParameterizedTest
    @ValueSource(strings = {"f16", "bf16", "q8_0", "q4_0"})
    void roundsToTheTypeAskedFor(String dtype) throws IOException {
        Path model = withTokenizer("llama_untied");
        Path gguf = dir.resolve("model.gguf");
        Exporter.export(model, null, gguf, Format.GGUF, dtype);
        assertSame(model, gguf, dtype.equals("q4_0") ? 0.08 : dtype.equals("f16") ? 1e-3 : 8e-3);
    }

    @Test
    void llama2cAndSafetensors() {
        Path model = data("models/stories260K").resolve("stories260K.bin");
        Path directory = dir.resolve("stories");
        Exporter.export(model, null, directory, Format.SAFETENSORS, "f32");
        assertSame(model, directory, 0);
        Path bin = dir.resolve("stories.bin");
        Exporter.export(directory, null, bin, Format.BIN, "f32");
        assertSame(model, bin, 0);
    }

    @Test
    void nothingIsLeftOfADirectoryThatCouldNotBeWritten() throws IOException {
        Path model = copy("llama_untied");
        Files.createSymbolicLink(model.resolve("tokenizer.json"), model.resolve("missing"));
        Path to = dir.resolve("out");
        assertThatThrownBy(() -> Exporter.export(model, null, to, Format.SAFETENSORS, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("tokenizer.json");
        assertThat(to).doesNotExist();
        Path own = Files.createDirectory(to).resolve("own.txt");
        Files.writeString(own, "stays");
        assertThatThrownBy(() -> Exporter.export(model, null, to, Format.SAFETENSORS, "f32"))
                .isInstanceOf(IsthmusException.class);
        assertThat(own).hasContent("stays");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aPlaceWhereNothingCanBeCreatedIsNamed() {
        Path model = fixture("models/llama_untied");
        assertThatThrownBy(() -> Exporter.export(model, null, Path.of("/proc/out"), Format.SAFETENSORS, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("Cannot create the directory /proc/out: the system lets nobody create anything in /proc");
        assertThatThrownBy(() -> Exporter.export(model, null, Path.of("/proc/out.bin"), Format.BIN, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("Cannot write /proc/out.bin: the system lets nobody create anything in /proc");
    }

    @Test
    void learnedVocabulariesGoIntoGguf() throws IOException {
        Path model = copy("llama_untied");
        int size;
        try (Arena arena = Arena.ofConfined()) {
            size = Checkpoint.open(model, arena).config().vocabSize();
        }
        assertThatThrownBy(() -> Exporter.export(model, null, dir.resolve("x.gguf"), Format.GGUF, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("tokenizer.json");
        new BpeTrainer(List.of("<|endoftext|>")).add("ab ab").train(259).save(model);
        assertThatThrownBy(() -> Exporter.export(model, null, dir.resolve("x.gguf"), Format.GGUF, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("the model " + size + " rows for tokens");
        assertThat(ChatTemplate.load(model)).isEmpty();
        assertThatThrownBy(() -> Exporter.export(model, null, dir.resolve("x.bin"), Format.BIN, "q4_0"))
                .hasMessageContaining("cannot hold q4_0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_untied", "gpt2_tied", "qwen2_tied"})
    void anAdapterIsMergedOnItsWayOut(String name) throws IOException {
        Path model = withTokenizer(name);
        Files.writeString(model.resolve("generation_config.json"), "{\"top_k\": 20}");
        for (boolean dora : new boolean[] {false, true}) {
            Path adapter = adapter(model, dora);
            Path merged = dir.resolve("merged" + dora);
            Exporter.export(model, adapter, merged, Format.SAFETENSORS, "f32");
            int[] text = {3, 1, 4, 1, 5, 9, 2, 6};
            try (Scope scope = Scope.open()) {
                Decoder base = Pretrained.load(model);
                Decoder changed = base.with(Peft.load(adapter, base));
                float[] expected = logits(changed, text);
                assertThat(logits(base, text)).isNotEqualTo(expected);
                assertThat(logits(Pretrained.load(merged), text)).containsExactly(expected, within(1e-4f));
                assertThat(logits(Pretrained.load(merged), text)).isEqualTo(logits(changed.merged(), text));
            }
            assertThat(Tokenizers.load(merged).encode("ab"))
                    .isEqualTo(Tokenizers.load(model).encode("ab"));
            assertThat(HfGenerationConfig.read(merged).topK()).isEqualTo(20);
            // An adapter that names its model is enough; and what is merged goes to GGUF and back bit for bit.
            Path gguf = dir.resolve("merged" + dora + ".gguf");
            Exporter.export(adapter, null, gguf, Format.GGUF, "f32");
            assertSame(merged, gguf, 0);
        }
    }

    @Test
    void anAdapterGoesOutAloneAndComesBackBitForBit() throws IOException {
        Path model = withTokenizer("llama_untied");
        Path adapter = adapter(model, true);
        Path out = dir.resolve("out");
        Exporter.export(model, adapter, out, Format.PEFT, "f32");
        Path again = dir.resolve("again");
        Exporter.export(out, null, again, Format.PEFT, "f32");
        for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
            byte[] bytes = Files.readAllBytes(adapter.resolve(file));
            assertThat(out.resolve(file)).hasBinaryContent(bytes);
            assertThat(again.resolve(file)).hasBinaryContent(bytes);
        }
        Path half = dir.resolve("half");
        Exporter.export(model, adapter, half, Format.PEFT, "bf16");
        Exporter.export(model, half, again, Format.PEFT, "bf16");
        assertThat(again.resolve("adapter_model.safetensors"))
                .hasBinaryContent(Files.readAllBytes(half.resolve("adapter_model.safetensors")));
        try (Arena arena = Arena.ofConfined()) {
            float[] a = SafeTensors.open(adapter.resolve("adapter_model.safetensors"), arena)
                    .get(FIRST)
                    .toFloats();
            TensorEntry b = SafeTensors.open(half.resolve("adapter_model.safetensors"), arena)
                    .get(FIRST);
            assertThat(b.typeName()).isEqualTo("BF16");
            for (int i = 0; i < a.length; i++) {
                assertThat(b.toFloats()[i]).isEqualTo(BFloat16.toFloat(BFloat16.of(a[i])));
            }
        }
        assertThatThrownBy(() -> Exporter.export(model, null, out, Format.PEFT, "f32"))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("--adapter");
    }

    @Test
    void theConfigurationNamesTheTypeOfTheWeights() throws IOException {
        Path model = withTokenizer("llama_untied");
        for (String type : Format.SAFETENSORS.types()) {
            Path to = dir.resolve(type);
            Exporter.export(model, null, to, Format.SAFETENSORS, type);
            assertThat(Json.read(to.resolve("config.json")).path("torch_dtype").asString())
                    .isEqualTo(type.equals("f32") ? "float32" : type.equals("f16") ? "float16" : "bfloat16");
            Path back = dir.resolve(type + "-back");
            Exporter.export(to, null, back, Format.SAFETENSORS, type);
            assertThat(back.resolve("model.safetensors"))
                    .hasBinaryContent(Files.readAllBytes(to.resolve("model.safetensors")));
        }
    }

    private static final String FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

    /** An adapter of all projections that was trained, as far as one can tell. */
    private Path adapter(Path model, boolean dora) {
        Path to = dir.resolve("adapter" + dora);
        try (Scope scope = Scope.open()) {
            Decoder base = Pretrained.load(model);
            LoraConfig config =
                    new LoraConfig(3, 6, 0, List.of(LoraConfig.ALL_LINEAR), false, dora, List.of(), model.toString());
            Adapter adapter = new Adapter(base, config).initialize(Rng.of(1));
            for (Parameter p : adapter.parameters()) {
                if (p.name().endsWith("lora_B.weight")) {
                    p.value()
                            .copyFrom(Tensor.randn(
                                    DType.FLOAT32,
                                    Rng.of(2).split(p.name()),
                                    0.1,
                                    p.value().shape()));
                }
            }
            Peft.save(adapter, base, to);
        }
        return to;
    }

    private static float[] logits(Decoder decoder, int[] text) {
        return Autograd.noGrad(() ->
                decoder.logits(decoder.hidden(TokenBatch.of(List.of(text)))).toFloats());
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
