package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.data;
import static dev.isthmus.testing.Fixtures.fixture;
import static dev.isthmus.testing.Fixtures.resource;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.LinearScaling;
import dev.isthmus.model.DecoderConfig.Llama3Scaling;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.DecoderConfig.Norm;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class HfConfigTests {
    private static final String LLAMA = "\"model_type\": \"llama\", \"vocab_size\": 10, \"hidden_size\": 8,"
            + " \"intermediate_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2";

    @TempDir
    Path dir;

    @Test
    @Tag("fixture")
    void readsLlama() {
        DecoderConfig config = HfConfig.read(resource("models/llama_tied_rope3"));
        assertThat(config)
                .isEqualTo(new DecoderConfig(
                        ModelType.LLAMA,
                        89,
                        32,
                        64,
                        2,
                        4,
                        1,
                        8,
                        128,
                        1e-6,
                        Activation.SILU,
                        new Rope(500000, new Llama3Scaling(8, 1, 4, 16)),
                        false,
                        false,
                        true,
                        OptionalInt.of(1),
                        List.of(2)));
        assertThat(config.norm()).isEqualTo(Norm.RMS_NORM);
        assertThat(config.gatedMlp()).isTrue();
    }

    @Test
    @Tag("fixture")
    void readsGpt2() {
        DecoderConfig config = HfConfig.read(resource("models/gpt2_tied"));
        assertThat(config).isEqualTo(DecoderConfig.gpt2(97, 32, 2, 4, 32).withTokens(OptionalInt.of(0), List.of(0)));
        assertThat(config.intermediateSize()).isEqualTo(128);
        assertThat(config.norm()).isEqualTo(Norm.LAYER_NORM);
        assertThat(config.gatedMlp()).isFalse();
        assertThat(config.outputBias()).isTrue();
    }

    @Test
    @Tag("fixture")
    void readsQwen() {
        DecoderConfig qwen2 = HfConfig.read(resource("models/qwen2_tied"));
        assertThat(qwen2.attentionBias()).isTrue();
        assertThat(qwen2.outputBias()).isFalse();
        assertThat(qwen2.qkNorm()).isFalse();
        DecoderConfig qwen3 = HfConfig.read(resource("models/qwen3_tied"));
        assertThat(qwen3.attentionBias()).isFalse();
        assertThat(qwen3.qkNorm()).isTrue();
        assertThat(qwen3.headDim()).isEqualTo(16);
        assertThat(qwen3.querySize()).isEqualTo(64);
        assertThat(qwen3.keyValueSize()).isEqualTo(32);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2_tied", "llama_untied", "llama_tied_rope3", "qwen2_tied", "qwen3_tied", "stories260K"})
    @Tag("fixture")
    void writesWhatItReads(String model) {
        Path original = fixture("models/" + model + "/config.json");
        DecoderConfig config = HfConfig.read(original);
        HfConfig.write(dir, config, StoredType.F32);
        assertThat(HfConfig.read(dir)).isEqualTo(config);

        JsonNode written = Json.read(dir.resolve("config.json"));
        JsonNode expected = Json.read(original);
        for (String key : List.of(
                "architectures", "model_type", "torch_dtype", "tie_word_embeddings", "bos_token_id", "rope_scaling")) {
            assertThat(written.get(key)).as(key).isEqualTo(expected.get(key));
        }
    }

    @Test
    void missingKeysMeanWhatTheyMeanInTransformers() {
        DecoderConfig llama = parse("{" + LLAMA + "}");
        assertThat(llama.numKeyValueHeads()).isEqualTo(2);
        assertThat(llama.headDim()).isEqualTo(4);
        assertThat(llama.maxPositionEmbeddings()).isEqualTo(2048);
        assertThat(llama.normEps()).isEqualTo(1e-6);
        assertThat(llama.rope()).isEqualTo(new Rope(10000, null));
        assertThat(llama.tieWordEmbeddings()).isFalse();
        assertThat(llama.bosTokenId()).hasValue(1);
        assertThat(llama.eosTokenIds()).containsExactly(2);
        assertThat(llama.attentionBias()).isFalse();

        DecoderConfig qwen3 = parse("{" + LLAMA.replace("llama", "qwen3") + ", \"eos_token_id\": [3, 4]}");
        assertThat(qwen3.headDim()).isEqualTo(128);
        assertThat(qwen3.bosTokenId()).isEmpty();
        assertThat(qwen3.eosTokenIds()).containsExactly(3, 4);

        DecoderConfig gpt2 =
                parse("{\"model_type\": \"gpt2\", \"vocab_size\": 9, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2}");
        assertThat(gpt2).isEqualTo(DecoderConfig.gpt2(9, 8, 1, 2, 1024));
        assertThat(gpt2.tieWordEmbeddings()).isTrue();

        DecoderConfig mistral = parse("{" + LLAMA.replace("llama", "mistral")
                + ", \"num_key_value_heads\": null, \"sliding_window\": null, \"head_dim\": 6}");
        assertThat(mistral.numKeyValueHeads()).isEqualTo(2);
        assertThat(mistral.querySize()).isEqualTo(12);
    }

    @Test
    void readsTheRopeOfTransformers5() {
        assertThat(parse("{" + LLAMA + ", \"rope_parameters\": {\"rope_theta\": 7, \"rope_type\": \"default\"}}")
                        .rope())
                .isEqualTo(new Rope(7, null));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "`model_type`: `mamba` | model_type 'mamba' is not supported; supported: llama, mistral, qwen2, qwen3, gemma2, gemma3_text, mixtral, qwen2_moe, qwen3_moe, gpt2",
                "`hidden_act`: `relu6` | hidden_act 'relu6' is not supported; supported: silu, gelu_new, gelu",
                "`hidden_act`: `gelu` | llama needs hidden_act silu, found gelu",
                "`rope_scaling`: {`type`: `yarn`, `factor`: 2} | rope_scaling.rope_type 'yarn' is not supported; supported:",
                "`rope_scaling`: {`rope_type`: `llama3`} | original_max_position_embeddings is missing",
                "`quantization_config`: {`bits`: 4} | quantization_config asks for '{`bits`:4}', which is not supported",
                "`layer_types`: [`chunked_attention`] | layer_types 'chunked_attention' is not supported; supported: full_attention, sliding",
                "`layer_types`: [`full_attention`, `full_attention`] | layer_types names 2 layers, num_hidden_layers is 1",
                "`layer_types`: [`sliding_attention`] | layer_types 'sliding_attention' is not supported",
                "`partial_rotary_factor`: 0.5 | partial_rotary_factor asks for '0.5'",
                "`hidden_size`: null | hidden_size is missing",
                "`hidden_size`: `8` | hidden_size must be a 32-bit integer, found '8'",
                "`hidden_size`: 9 | hidden_size must be a multiple of num_attention_heads 2",
                "`hidden_size`: -8 | hidden_size must be positive, found -8",
                "`num_attention_heads`: 0 | hidden_size must be a multiple of num_attention_heads 0",
                "`num_key_value_heads`: 3 | num_attention_heads 2 is not a multiple of num_key_value_heads 3",
                "`head_dim`: 1073741824 | num_attention_heads 2 times head_dim 1073741824 is too large",
                "`head_dim`: 3 | head_dim must be even",
                "`rms_norm_eps`: `x` | rms_norm_eps must be a number, found 'x'",
                "`tie_word_embeddings`: 1 | tie_word_embeddings must be true or false, found '1'",
                "`bos_token_id`: 10 | bos_token_id 10 is outside the vocabulary of 10",
            })
    void saysWhichKeyIsWrong(String change, String message) {
        String key = change.substring(0, change.indexOf(':')).trim().replace('`', '"');
        String json = "{" + LLAMA.replaceAll(key + ": [^,]*,? ?", "") + ", " + change.replace('`', '"') + "}";
        json = json.replace(", ,", ",").replace("{,", "{").replace(",,", ",");
        String document = json;
        assertThatThrownBy(() -> parse(document))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageStartingWith("config.json: ")
                .hasMessageContaining(message.replace('`', '"'));
    }

    @ParameterizedTest
    @ValueSource(strings = {"mistral_window", "qwen2_window", "gemma2", "gemma3", "mixtral", "qwen2_moe", "qwen3_moe"})
    @Tag("fixture")
    void writesWindowsAndExpertsAsItReadsThem(String model) {
        DecoderConfig config = HfConfig.read(fixture("models/" + model + "/config.json"));
        HfConfig.write(dir, config, StoredType.F32);
        assertThat(HfConfig.read(dir)).isEqualTo(config);
    }

    @Test
    void windowsAreThoseOfTransformers() {
        String two = LLAMA.replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2") + ", \"sliding_window\": 7";
        String mistral = two.replace("llama", "mistral") + ", \"num_key_value_heads\": 2";
        assertThat(windows(mistral)).containsExactly(7, 7);
        assertThat(windows(two.replace("llama", "qwen2"))).containsExactly(0, 0);
        String qwen2 = two.replace("llama", "qwen2") + ", \"use_sliding_window\": true";
        assertThat(windows(qwen2)).containsExactly(0, 0);
        assertThat(windows(qwen2 + ", \"max_window_layers\": 1")).containsExactly(0, 7);
        String named = ", \"layer_types\": [\"sliding_attention\", \"full_attention\"]";
        assertThat(windows(qwen2 + named)).containsExactly(7, 0);
        assertThat(windows(two.replace("llama", "gemma2") + ", \"num_key_value_heads\": 2"))
                .containsExactly(7, 0);
    }

    private static List<Integer> windows(String keys) {
        DecoderConfig config = parse("{" + keys + "}");
        return List.of(config.window(0), config.window(1));
    }

    @Test
    @Tag("fixture")
    void smolLm2IsALlama() {
        DecoderConfig config = HfConfig.read(data("tokenizers/smollm2/config.json"));
        assertThat(config.modelType()).isEqualTo(ModelType.LLAMA);
        assertThat(config.numAttentionHeads()).isEqualTo(15);
        assertThat(config.numKeyValueHeads()).isEqualTo(5);
        assertThat(config.rope()).isEqualTo(new Rope(100000, null));
        assertThat(config.tieWordEmbeddings()).isTrue();
    }

    @Test
    void readsTheRopesOfBothGenerationsOfGemma3() {
        String gemma3 =
                "{" + LLAMA.replace("llama", "gemma3_text") + ", \"num_key_value_heads\": 2, \"rope_theta\": 500000,"
                        + " \"rope_local_base_freq\": 100, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8}}";
        DecoderConfig config = parse(gemma3);
        assertThat(config.rope()).isEqualTo(new Rope(500000, new LinearScaling(8)));
        assertThat(config.gemma().localRope()).isEqualTo(new Rope(100, null));
        assertThat(config.gemma().finalLogitSoftcapping()).isZero();
        assertThat(config.tieWordEmbeddings()).isTrue();
        assertThat(config.hiddenAct()).isEqualTo(Activation.GELU_NEW);
    }

    @Test
    void factoriesRefuseWhatCannotBe() {
        assertThatThrownBy(() -> DecoderConfig.llama(10, 9, 16, 1, 2, 2, 32, true))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("hidden_size 9 is not a multiple of num_attention_heads 2");
        assertThatThrownBy(() -> DecoderConfig.gpt2(10, 9, 1, 2, 32)).isInstanceOf(IsthmusException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama_tied_rope3", "gpt2_tied", "qwen2_window", "gemma3", "mixtral", "qwen2_moe"})
    @Tag("fixture")
    void survivesDamage(String model) throws IOException {
        byte[] good = Files.readAllBytes(fixture("models/" + model + "/config.json"));
        Path file = Path.of("config.json");
        Mutations.assertSurvives("config.json of " + model, good, good.length, bytes -> {
            DecoderConfig config = HfConfig.parse(file, Json.parse(file, bytes));
            // A model of which the file holds nothing but the configuration.
            assertThatThrownBy(() -> ParameterNames.resolve(config, Map.of(), file))
                    .isInstanceOf(ModelFormatException.class);
        });
    }

    private static DecoderConfig parse(String json) {
        Path file = Path.of("config.json");
        return HfConfig.parse(file, Json.parse(file, json.getBytes(StandardCharsets.UTF_8)));
    }
}
