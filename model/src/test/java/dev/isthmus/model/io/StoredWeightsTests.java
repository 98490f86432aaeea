package dev.isthmus.model.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Models whose matrices stay as files hold them. */
class StoredWeightsTests {
    private static final String LLAMA = "llama with rows of whole blocks";
    private static final String GPT2 = "gpt2 with rows of whole blocks";

    @TempDir
    private Path temp;

    private Path directory(String name) {
        if (!name.equals(LLAMA) && !name.equals(GPT2)) {
            return Fixtures.fixture("models/" + name + "/reference.json").getParent();
        }
        DecoderConfig config = name.equals(LLAMA)
                ? DecoderConfig.llama(64, 64, 96, 2, 4, 2, 64, false)
                : DecoderConfig.gpt2(64, 64, 2, 4, 64);
        Path directory = temp.resolve(name);
        Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
        return directory;
    }

    private static float[] logits(Decoder decoder) {
        int[] ids = Rng.of(4).ints(23, 0, decoder.config().vocabSize()).toArray();
        return decoder.logits(decoder.hidden(TokenBatch.of(List.of(ids)))).toFloats();
    }

    /** The model that has the numbers of the stored weights in its tensors gives the same logits. */
    @Tag("fixture")
    @ParameterizedTest
    @EnumSource
    void aStoredModelIsTheModelOfItsNumbers(WeightFormat format) {
        for (String name : List.of(LLAMA, GPT2, "qwen3_tied", "gemma3", "qwen2_moe")) {
            try (Scope scope = Scope.open()) {
                Path directory = directory(name);
                Decoder stored = Pretrained.loadStored(directory, format);
                Decoder tensors = Pretrained.load(directory);
                for (Parameter p : tensors.parameters()) {
                    StoredWeight weight = stored.stored().get(p.name());
                    if (weight != null && !p.name().contains("wpe")) {
                        Tensor numbers = weight.toTensor(DType.FLOAT32);
                        boolean conv1d = p.name().contains(".c_");
                        p.value().copyFrom(conv1d ? numbers.transpose(0, 1).contiguous() : numbers);
                    }
                }
                boolean wholeBlocks = stored.config().hiddenSize() % format.block() == 0;
                boolean gpt2 = stored.config().modelType() == ModelType.GPT2;
                assertThat(stored.stored()
                                .get(gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight")
                                .format())
                        .isEqualTo(wholeBlocks ? format : WeightFormat.F16);
                float[] expected = logits(tensors);
                float[] actual = logits(stored);
                for (int i = 0; i < expected.length; i++) {
                    assertThat(actual[i]).as(name + " " + i).isCloseTo(expected[i], within(2e-4f));
                }
                assertThat(logits(stored.copy())).isEqualTo(actual);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "GGUF, F32",
        "GGUF, F16",
        "GGUF, BF16",
        "GGUF, Q8_0",
        "GGUF, Q4_0",
        "SAFETENSORS, F32",
        "SAFETENSORS, F16",
        "SAFETENSORS, BF16"
    })
    void matricesAreViewsOfTheMappedFile(Exporter.Format file, WeightFormat format) {
        Path from = directory(LLAMA);
        Path to = temp.resolve("out.gguf");
        if (file == Exporter.Format.GGUF) {
            try (Arena arena = Arena.ofConfined()) {
                GgufWriter.write(to, Checkpoint.open(from, arena), GgufType.valueOf(format.name()), Map.of());
            }
        } else {
            to = temp.resolve("out");
            Exporter.export(from, null, to, file, format.name().toLowerCase(Locale.ROOT));
        }
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.loadStored(to, null);
            Map<String, StoredWeight> stored = decoder.stored();
            assertThat(stored).hasSize(2 + 2 * 7);
            assertThat(stored.values()).allSatisfy(w -> assertThat(w.format()).isEqualTo(format));
            assertThat(stored).allSatisfy((name, weight) -> {
                // ggml rotates other pairs than Hugging Face, so these rows change their order on the way in.
                boolean reordered = file == Exporter.Format.GGUF && name.matches(".*(q|k)_proj.*");
                assertThat(weight.data().isMapped()).as(name).isEqualTo(!reordered);
            });
            assertThat(decoder.parameters())
                    .allSatisfy(p -> assertThat(p.tensor().rank()).isEqualTo(1));
            assertThat(logits(decoder)).hasSize(23 * 64).doesNotContain(Float.NaN);
        }
    }

    @Test
    void aMissingMatrixIsNamed() {
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(64, 64, 96, 2, 4, 2, 64, false);
            assertThatThrownBy(() -> new Decoder(config, Map.of()))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessage("the stored weights have no model.embed_tokens.weight [64, 64]");
        }
    }
}
