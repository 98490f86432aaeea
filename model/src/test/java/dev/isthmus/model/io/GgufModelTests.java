package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.io.Gguf.GgufTensor;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Models in GGUF against files that llama.cpp's package wrote, and the logits that transformers computes for them. */
class GgufModelTests {
    private static final Map<String, Object> ENDS =
            Map.of("tokenizer.ggml.bos_token_id", 1L, "tokenizer.ggml.eos_token_id", 2L);

    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma2", "gemma3", "mixtral", "qwen2moe", "qwen3moe"})
    @Tag("fixture")
    void computesTheLogitsOfTransformers(String name) {
        try (Arena arena = Arena.ofConfined();
                Scope scope = Scope.open(Device.scalar())) {
            SafeTensors reference = SafeTensors.open(fixture("gguf/" + name + ".safetensors"), arena);
            Decoder decoder = Pretrained.load(fixture("gguf/" + name + ".gguf"), DType.FLOAT64);
            long[] ids = reference.get("input_ids").toLongs();
            int length = ids.length / 2;
            List<int[]> rows = IntStream.range(0, 2)
                    .mapToObj(row -> IntStream.range(0, length)
                            .map(i -> (int) ids[row * length + i])
                            .toArray())
                    .toList();
            double[] logits =
                    decoder.logits(decoder.hidden(TokenBatch.of(rows))).toDoubles();
            // Weights of norms lose bits when one is added, and metadata are float32.
            assertThat(logits).containsExactly(reference.get("logits").toDoubles(), within(2e-5));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma2", "gemma3", "mixtral", "qwen2moe", "qwen3moe"})
    @Tag("fixture")
    void writesWhatThePackageOfLlamaCppWrites(String name) {
        try (Arena arena = Arena.ofConfined()) {
            Gguf theirs = Gguf.open(fixture("gguf/" + name + ".gguf"), arena);
            Path file = dir.resolve("model.gguf");
            GgufWriter.write(file, GgufModel.parse(theirs, arena), GgufType.F32, ENDS);
            Gguf ours = Gguf.open(file, arena);
            assertThat(ours.tensors()).containsOnlyKeys(theirs.tensors().keySet());
            ours.tensors().forEach((key, tensor) -> {
                GgufTensor expected = theirs.tensors().get(key);
                assertThat(tensor.shape()).as(key).isEqualTo(expected.shape());
                assertThat(tensor.data().mismatch(expected.data())).as(key).isEqualTo(-1);
            });
            theirs.metadata().forEach((key, value) -> {
                if (!key.startsWith("general.")) {
                    assertThat(ours.metadata()).containsEntry(key, value);
                }
            });
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"mixtral", "llama_untied", "qwen3_tied", "gpt2_tied", "llama_tied_rope3"})
    @Tag("fixture")
    void whatGoesOutComesBackBitForBit(String name) {
        try (Arena arena = Arena.ofConfined()) {
            Path directory =
                    fixture("models/" + name + "/reference.safetensors").getParent();
            Checkpoint model = Checkpoint.open(directory, arena);
            Path file = dir.resolve("model.gguf");
            GgufWriter.write(file, model, GgufType.F32, ENDS);
            Checkpoint back = Checkpoint.open(file, arena);
            assertThat(back.tensors()).containsOnlyKeys(model.tensors().keySet());
            model.tensors().forEach((key, tensor) -> {
                assertThat(back.tensors().get(key).shape()).as(key).isEqualTo(tensor.shape());
                assertThat(back.tensors().get(key).data().mismatch(tensor.data()))
                        .as(key)
                        .isEqualTo(-1);
            });
        }
    }

    @Test
    @Tag("fixture")
    void saysWhatLlamaCppCannotRun() {
        assertRefused("gemma2", "divides scores by the root of 6.0, this model has query_pre_attn_scalar 20.0");
        assertRefused("qwen2_moe", "wants experts in every layer, this model has some without");
        assertRefused("mistral_window", "without a sliding window");
    }

    private void assertRefused(String name, String message) {
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint model = Checkpoint.open(fixture("models/" + name), arena);
            assertThatThrownBy(() -> GgufWriter.write(dir.resolve("model.gguf"), model, GgufType.F32, ENDS))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining(message);
        }
    }
}
