package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.DecoderConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTests {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "gpt2_tied",
                "llama_untied",
                "llama_tied_rope3",
                "qwen2_tied",
                "qwen3_tied",
                "stories260K",
                "mistral_window",
                "qwen2_window",
                "gemma2",
                "gemma3",
                "mixtral",
                "qwen2_moe",
                "qwen3_moe"
            })
    @Tag("fixture")
    void savesWhatItOpens(String model) {
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint original = Checkpoint.open(weights(model).getParent(), arena);
            assertThat(original.tensors().keySet())
                    .containsExactlyElementsOf(ParameterNames.of(original.config()).stream()
                            .map(ParameterNames.Parameter::name)
                            .toList());

            Path copy = dir.resolve("new/model");
            Checkpoint.save(copy, original.config(), original.tensors().values());
            Checkpoint read = Checkpoint.open(copy, arena);
            assertThat(read.config()).isEqualTo(original.config());
            read.tensors()
                    .forEach((name, tensor) -> assertThat(tensor.data()
                                    .mismatch(original.tensors().get(name).data()))
                            .isEqualTo(-1));
        }
    }

    @Test
    void countsParameters() {
        // The published size of GPT-2 small.
        assertThat(ParameterNames.count(DecoderConfig.gpt2(50257, 768, 12, 12, 1024)))
                .isEqualTo(124_439_808);
        // Llama 2 7B: 6,738,415,616 (Touvron et al. 2023).
        assertThat(ParameterNames.count(DecoderConfig.llama(32000, 4096, 11008, 32, 32, 32, 4096, false)))
                .isEqualTo(6_738_415_616L);
    }

    @Test
    void acceptsOlderNamesOfTheSameTensors() {
        DecoderConfig gpt2 = DecoderConfig.gpt2(9, 8, 2, 2, 16);
        Map<String, TensorEntry> resolved = resolve(gpt2, tensors -> {
            tensors.put("h.0.attn.bias", tensor("h.0.attn.bias", 1, 1, 16, 16));
            tensors.put("h.1.attn.masked_bias", tensor("h.1.attn.masked_bias"));
            tensors.put("lm_head.weight", tensor("lm_head.weight", 9, 8));
            for (String name : List.copyOf(tensors.keySet())) {
                tensors.put(name.replace("transformer.", ""), tensors.remove(name));
            }
        });
        assertThat(resolved).hasSize(28).containsKey("transformer.h.1.attn.c_attn.weight");

        DecoderConfig llama = DecoderConfig.llama(9, 8, 16, 1, 2, 1, 32, true);
        String frequencies = "model.layers.0.self_attn.rotary_emb.inv_freq";
        assertThat(resolve(llama, tensors -> tensors.put(frequencies, tensor(frequencies, 2))))
                .hasSize(11);
    }

    @Test
    void saysWhichTensorsDoNotFit() {
        DecoderConfig llama = DecoderConfig.llama(9, 8, 16, 2, 2, 1, 32, false);
        assertThatThrownBy(() -> resolve(llama, tensors -> {
                    tensors.keySet().removeIf(name -> name.startsWith("model.layers.1"));
                    tensors.remove("lm_head.weight");
                    tensors.put("extra.weight", tensor("extra.weight", 1, 8));
                    tensors.put("model.norm.weight", tensor("model.norm.weight", 9));
                }))
                .isInstanceOf(ModelFormatException.class)
                .hasMessage("here: the tensors do not fit the configuration: "
                        + "missing: model.layers.1.input_layernorm.weight, model.layers.1.self_attn.q_proj.weight, "
                        + "model.layers.1.self_attn.k_proj.weight and 7 more; unexpected: extra.weight; "
                        + "wrong: model.norm.weight has the shape [9] instead of [8]");
        assertThatThrownBy(() -> resolve(
                        llama,
                        tensors -> tensors.replaceAll((name, tensor) ->
                                new TensorEntry(name, StoredType.I8, tensor.shape(), MemorySegment.NULL))))
                .hasMessageContaining("wrong: model.embed_tokens.weight has the type 'I8'");
        assertThatThrownBy(() -> resolve(DecoderConfig.llama(9, 8, 16, 2_000_000_000, 2, 1, 32, true), tensors -> {}))
                .hasMessageContaining("asks for 2000000000 layers, the checkpoint holds only");
    }

    @Test
    void saysThatThereIsNoModel() {
        assertThatThrownBy(() -> Checkpoint.open(dir.resolve("none"), Arena.ofAuto()))
                .hasMessageContaining("no such file or directory");
        assertThatThrownBy(() -> Checkpoint.open(dir, Arena.ofAuto())).hasMessageContaining("config.json");
    }

    private static Path weights(String model) {
        return fixture("models/" + model + "/model.safetensors" + (model.equals("qwen2_tied") ? ".index.json" : ""));
    }

    private static Map<String, TensorEntry> resolve(DecoderConfig config, Consumer<Map<String, TensorEntry>> change) {
        DecoderConfig shape =
                config.numHiddenLayers() > 100 ? DecoderConfig.llama(9, 8, 16, 1, 2, 1, 32, true) : config;
        Map<String, TensorEntry> tensors = ParameterNames.of(shape).stream()
                .collect(Collectors.toMap(
                        p -> p.name(), p -> tensor(p.name(), p.shape()), (a, b) -> a, LinkedHashMap::new));
        change.accept(tensors);
        return ParameterNames.resolve(config, tensors, Path.of("here"));
    }

    private static TensorEntry tensor(String name, long... shape) {
        return new TensorEntry(name, StoredType.F32, shape, MemorySegment.NULL);
    }
}
