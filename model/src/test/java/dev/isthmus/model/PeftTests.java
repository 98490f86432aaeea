package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adapters that PEFT wrote, against what PEFT computes with them, and back. */
class PeftTests {
    @TempDir
    private Path directory;

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora", "dora", "dora_bias", "gpt2", "gpt2_dora"})
    void float64MatchesPeft(String name) {
        check(name, Device.scalar(), DType.FLOAT64);
    }

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora", "dora", "dora_bias", "gpt2", "gpt2_dora"})
    void float32MatchesPeft(String name) {
        check(name, Device.cpu(), DType.FLOAT32);
    }

    private static Path base(String name) {
        String model =
                name.startsWith("gpt2") ? "gpt2_tied" : name.equals("dora_bias") ? "qwen2_tied" : "mistral_window";
        return Fixtures.resource("models/" + model);
    }

    private static void check(String name, Device device, DType dtype) {
        Path peft = Fixtures.resource("lora/" + name);
        boolean exact = dtype == DType.FLOAT64;
        try (Arena arena = Arena.ofConfined();
                Scope scope = Scope.open(device)) {
            SafeTensors reference = SafeTensors.open(peft.resolve("reference.safetensors"), arena);
            Decoder base = Pretrained.load(base(name), dtype);
            Adapter adapter = Peft.load(peft, base);
            Decoder decoder = base.with(adapter);

            long[] ids = reference.get("input_ids").toLongs();
            int length = (int) reference.get("input_ids").shape()[1];
            List<int[]> sequences = List.of(ints(ids, 0, length), ints(ids, length, 2 * length));
            Tensor logits = decoder.logits(decoder.hidden(TokenBatch.of(sequences)));
            double[] expected = reference.get("logits").toDoubles();
            assertThat(logits.toDoubles()).as("logits").containsExactly(expected, within(exact ? 1e-9 : 5e-4));

            int[] targets = new int[2 * length];
            for (int i = 0; i < targets.length; i++) {
                targets[i] = i % length == length - 1 ? -1 : (int) ids[i + 1];
            }
            Tensor loss = Functional.tokenLoss(logits, Tensor.of(targets, targets.length), 1, false)
                    .loss()
                    .sum()
                    .div(2L * (length - 1));
            double recorded = reference.get("loss").toDoubles()[0];
            assertThat(loss.item()).isCloseTo(recorded, within((exact ? 1e-9 : 1e-5) * recorded));

            loss.backward();
            for (Parameter p : adapter.parameters()) {
                double[] grad = reference.get("grad." + p.name()).toDoubles();
                double largest = Arrays.stream(grad).map(Math::abs).max().orElse(0);
                assertThat(p.grad().toDoubles())
                        .as(p.name())
                        .containsExactly(grad, within((exact ? 1e-9 : 1e-4) * largest + (exact ? 1e-10 : 1e-6)));
            }
            assertThat(base.parameters()).allMatch(p -> p.grad() == null);

            Decoder merged = decoder.merged();
            for (int i = 0; i < base.parameters().size(); i++) {
                Parameter p = merged.parameters().get(i);
                double[] before = base.parameters().get(i).value().toDoubles();
                var changed = reference.tensors().get("merged." + p.name());
                double[] after = changed == null ? before : changed.toDoubles();
                assertThat(p.value().toDoubles()).as(p.name()).containsExactly(after, within(exact ? 1e-12 : 1e-5));
            }
        }
    }

    private static int[] ints(long[] values, int from, int to) {
        return Arrays.stream(values, from, to).mapToInt(i -> (int) i).toArray();
    }

    @ParameterizedTest
    @CsvSource({"LLAMA, false", "LLAMA, true", "GPT2, false", "GPT2, true"})
    void whatIsSavedComesBack(DecoderConfig.ModelType type, boolean dora) throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder base = DecoderTests.tiny(type);
            LoraConfig config =
                    new LoraConfig(3, 5, 0.25, List.of(LoraConfig.ALL_LINEAR), dora, dora, List.of(1), "some/model");
            Adapter adapter = AdapterTests.random(base, config, 1);
            Peft.save(adapter, base, directory);
            Adapter loaded = Peft.load(directory, base);
            assertThat(loaded.config()).isEqualTo(config);
            for (int i = 0; i < adapter.parameters().size(); i++) {
                Parameter p = adapter.parameters().get(i);
                assertThat(loaded.parameters().get(i).name()).isEqualTo(p.name());
                assertThat(loaded.parameters().get(i).value().toFloats())
                        .isEqualTo(p.value().toFloats());
            }
            byte[] first = Files.readAllBytes(directory.resolve("adapter_model.safetensors"));
            Peft.save(loaded, base, directory);
            assertThat(Files.readAllBytes(directory.resolve("adapter_model.safetensors")))
                    .isEqualTo(first);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"peft_type\": \"IA3\"|'peft_type' must be LORA",
                "\"bias\": \"all\"|'bias' must be none",
                "\"modules_to_save\": [\"lm_head\"]|'modules_to_save' is not something",
                "\"rank_pattern\": {\"q_proj\": 4}|'rank_pattern' is not something",
                "\"init_lora_weights\": \"pissa\"|'init_lora_weights' of this kind",
                "\"target_modules\": \".*_proj\"|'target_modules' must be a list",
                "\"target_modules\": [\"q_proj\", \"qqq\"]|[qqq] names no projection",
                "\"target_modules\": [\"lm_head\"]|[lm_head] names no projection",
                "\"r\": 0|at least 1",
                "\"r\": 2000000000|expected floating-point numbers [2000000000, 36]",
                "\"lora_alpha\": \"x\"|'lora_alpha' must be a number",
                "\"use_dora\": true|lacks the tensor",
                "\"layers_to_transform\": [7]|in layers [7]",
            })
    void whatCannotBeComputedIsTold(String setting, String message) throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder base = DecoderTests.tiny(DecoderConfig.ModelType.LLAMA);
            Adapter adapter = AdapterTests.random(base, LoraConfig.of(2, 4, "q_proj", "o_proj"), 1);
            Peft.save(adapter, base, directory);
            Path file = directory.resolve("adapter_config.json");
            String key = setting.substring(0, setting.indexOf(':'));
            String json = Files.readString(file, StandardCharsets.UTF_8)
                    .replaceAll("(?s)" + key + " : (\\[[^]]*\\]|[^,\\n]*),?\\n", "")
                    .replaceFirst("\\{", "{" + setting + ",")
                    .replaceFirst(",\\s*}", "}");
            Files.writeString(file, json, StandardCharsets.UTF_8);
            assertThatThrownBy(() -> Peft.load(directory, base))
                    .isInstanceOf(ModelFormatException.class)
                    .hasMessageContaining(message);
        }
    }

    @Test
    void whatIsNotThereIsTold() {
        try (Scope scope = Scope.open()) {
            Decoder base = DecoderTests.tiny(DecoderConfig.ModelType.LLAMA);
            assertThatThrownBy(() -> Peft.load(directory.resolve("none"), base))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("there is no such directory");
            Decoder other = DecoderTests.tiny(DecoderConfig.ModelType.GPT2);
            Peft.save(AdapterTests.random(base, LoraConfig.of(2, 4), 1), base, directory);
            assertThatThrownBy(() -> Peft.load(directory, other))
                    .isInstanceOf(ModelFormatException.class)
                    .hasMessageContaining(
                            "[q_proj, v_proj] names no projection of this model; it has [c_attn, c_proj, c_fc]");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"adapter_config.json", "adapter_model.safetensors"})
    void damagedFilesAreToldOrRead(String file) throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder base = DecoderTests.tiny(DecoderConfig.ModelType.LLAMA);
            LoraConfig config =
                    new LoraConfig(2, 4, 0.1, List.of("q_proj", "v_proj"), true, true, List.of(1), "some/model");
            Peft.save(AdapterTests.random(base, config, 1), base, directory);
            byte[] bytes = Files.readAllBytes(directory.resolve(file));
            Mutations.assertSurvives(file, bytes, 1500, damaged -> {
                Files.write(directory.resolve(file), damaged);
                try (Scope inner = Scope.open()) {
                    Peft.load(directory, base);
                }
            });
        }
    }

    @Test
    void parametersHaveTheNamesOfPeft() {
        try (Scope scope = Scope.open()) {
            Decoder base = DecoderTests.tiny(DecoderConfig.ModelType.LLAMA);
            Map<String, long[]> shapes =
                    Adapter.shapes(base, LoraConfig.of(2, 4, "down_proj").withDora());
            assertThat(shapes.keySet())
                    .contains(
                            "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight",
                            "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight",
                            "base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector");
        }
    }
}
