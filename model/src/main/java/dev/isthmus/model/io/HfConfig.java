package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.Llama3Scaling;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Hugging Face's config.json in and out.
 *
 * <p>Missing keys mean what they mean in transformers. A value that changes what the model computes and that we do not
 * compute is an error; keys that transformers' own code for the model type does not read are ignored, as there.
 */
public final class HfConfig {
    private static final String FILE = "config.json";

    private final Path file;
    private final JsonNode json;

    private HfConfig(Path file, JsonNode json) {
        this.file = file;
        this.json = json;
    }

    /**
     * Reads {@code path}, a config.json or the directory that holds one.
     *
     * @throws ModelFormatException if a value is missing, damaged, or asks for what cannot be computed
     * @throws IsthmusException if the file cannot be read
     */
    public static DecoderConfig read(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
        return parse(file, Json.read(file));
    }

    static DecoderConfig parse(Path file, JsonNode json) {
        HfConfig config = new HfConfig(file, json);
        try {
            return config.decoder();
        } catch (ModelFormatException e) {
            throw e;
        } catch (IsthmusException e) {
            throw new ModelFormatException(file, e.getMessage(), e);
        }
    }

    /** Writes {@code config} as config.json into {@code directory}, atomically. */
    public static void write(Path directory, DecoderConfig config) {
        Json.write(directory.resolve(FILE), toJson(config));
    }

    private DecoderConfig decoder() {
        ModelType type = choice("model_type", json.get("model_type"), ModelType.values(), ModelType::hfName);
        reject("quantization_config", present(json, "quantization_config"));
        reject("is_encoder_decoder", flag("is_encoder_decoder", false));
        return type == ModelType.GPT2 ? gpt2() : llamaStyle(type);
    }

    private DecoderConfig gpt2() {
        reject("add_cross_attention", flag("add_cross_attention", false));
        reject("scale_attn_weights", !flag("scale_attn_weights", true));
        reject("scale_attn_by_inverse_layer_idx", flag("scale_attn_by_inverse_layer_idx", false));
        int hidden = integer(json, "n_embd");
        int heads = integer(json, "n_head");
        if (heads < 1 || hidden % heads != 0) {
            throw bad("n_embd", "must be a multiple of n_head " + heads);
        }
        int vocabulary = integer(json, "vocab_size");
        return new DecoderConfig(
                ModelType.GPT2,
                vocabulary,
                hidden,
                integer(json, "n_inner", (int) Math.min(4L * hidden, Integer.MAX_VALUE)),
                integer(json, "n_layer"),
                heads,
                heads,
                hidden / heads,
                integer(json, "n_positions", 1024),
                number(json, "layer_norm_epsilon", 1e-5),
                activation("activation_function", Activation.GELU_NEW),
                null,
                true,
                true,
                flag("tie_word_embeddings", true),
                bos(50256, vocabulary),
                eos(50256, vocabulary));
    }

    private DecoderConfig llamaStyle(ModelType type) {
        rejectPartialAttention(type);
        reject("partial_rotary_factor", number(json, "partial_rotary_factor", 1) != 1);
        int vocabulary = integer(json, "vocab_size");
        int hidden = integer(json, "hidden_size");
        int heads = integer(json, "num_attention_heads");
        if (!present(json, "head_dim") && type != ModelType.QWEN3 && (heads < 1 || hidden % heads != 0)) {
            throw bad("hidden_size", "must be a multiple of num_attention_heads " + heads);
        }
        boolean qwen = type == ModelType.QWEN2 || type == ModelType.QWEN3;
        return new DecoderConfig(
                type,
                vocabulary,
                hidden,
                integer(json, "intermediate_size"),
                integer(json, "num_hidden_layers"),
                heads,
                integer(json, "num_key_value_heads", defaultKeyValueHeads(type, heads)),
                integer(json, "head_dim", type == ModelType.QWEN3 ? 128 : hidden / heads),
                integer(json, "max_position_embeddings", defaultPositions(type)),
                number(json, "rms_norm_eps", 1e-6),
                activation("hidden_act", Activation.SILU),
                rope(),
                switch (type) {
                    case LLAMA, QWEN3 -> flag("attention_bias", false);
                    case QWEN2 -> true;
                    default -> false;
                },
                type == ModelType.LLAMA && flag("mlp_bias", false),
                flag("tie_word_embeddings", false),
                qwen ? bos(-1, vocabulary) : bos(1, vocabulary),
                qwen ? eos(-1, vocabulary) : eos(2, vocabulary));
    }

    private int defaultKeyValueHeads(ModelType type, int heads) {
        // A null means as many as query heads everywhere; only Mistral has another default for a missing key.
        return type == ModelType.MISTRAL && !json.has("num_key_value_heads") ? 8 : heads;
    }

    private static int defaultPositions(ModelType type) {
        return switch (type) {
            case MISTRAL -> 131072;
            case QWEN2, QWEN3 -> 32768;
            default -> 2048;
        };
    }

    private void rejectPartialAttention(ModelType type) {
        json.path("layer_types").forEach(layer -> {
            if (!layer.asString("?").equals("full_attention")) {
                throw unsupported("layer_types", layer, "full_attention");
            }
        });
        if (type == ModelType.MISTRAL && (present(json, "sliding_window") || !json.has("sliding_window"))) {
            int window = integer(json, "sliding_window", 4096);
            if (window < integer(json, "max_position_embeddings", defaultPositions(type))) {
                throw bad(
                        "sliding_window",
                        "is " + window + ", shorter than the context; only full attention is supported");
            }
        }
        boolean qwen = type == ModelType.QWEN2 || type == ModelType.QWEN3;
        reject("use_sliding_window", qwen && flag("use_sliding_window", false));
    }

    private Rope rope() {
        // transformers 5 keeps all of it in rope_parameters, earlier ones in rope_theta and rope_scaling.
        String key = present(json, "rope_parameters") ? "rope_parameters" : "rope_scaling";
        JsonNode rope = present(json, key) ? json.get(key) : JsonNodeFactory.instance.objectNode();
        if (!rope.isObject()) {
            throw bad(key, "must be an object");
        }
        double theta = number(rope, "rope_theta", number(json, "rope_theta", 10000));
        reject(key + ".partial_rotary_factor", number(rope, "partial_rotary_factor", 1) != 1);
        JsonNode type = present(rope, "rope_type") ? rope.get("rope_type") : rope.get("type");
        if (type == null && !present(rope, "factor")
                || type != null && type.asString("").equals("default")) {
            return new Rope(theta, null);
        }
        if (type == null || !type.asString("").equals("llama3")) {
            throw unsupported(key + ".rope_type", type, "default, llama3");
        }
        return new Rope(
                theta,
                new Llama3Scaling(
                        number(rope, "factor", Double.NaN),
                        number(rope, "low_freq_factor", Double.NaN),
                        number(rope, "high_freq_factor", Double.NaN),
                        integer(rope, "original_max_position_embeddings")));
    }

    private Activation activation(String key, Activation missing) {
        if (!present(json, key)) {
            return missing;
        }
        // Two names of one function: transformers computes the tanh form for both.
        if (json.get(key).asString("").equals("gelu_pytorch_tanh")) {
            return Activation.GELU_NEW;
        }
        return choice(key, json.get(key), Activation.values(), Activation::hfName);
    }

    private OptionalInt bos(int missing, int vocabulary) {
        List<Integer> ids = tokens("bos_token_id", missing, vocabulary);
        return ids.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ids.getFirst());
    }

    private List<Integer> eos(int missing, int vocabulary) {
        return tokens("eos_token_id", missing, vocabulary);
    }

    /** One id or a list of them; null, -1 and a default outside a small vocabulary mean none. */
    private List<Integer> tokens(String key, int missing, int vocabulary) {
        if (!json.has(key)) {
            return missing >= 0 && missing < vocabulary ? List.of(missing) : List.of();
        }
        JsonNode value = json.get(key);
        List<JsonNode> items = value.isArray() ? value.values().stream().toList() : List.of(value);
        return items.stream()
                .filter(item -> !item.isNull())
                .map(item -> toInt(key, item))
                .filter(id -> id != -1)
                .toList();
    }

    private boolean flag(String key, boolean missing) {
        if (!present(json, key)) {
            return missing;
        }
        if (!json.get(key).isBoolean()) {
            throw bad(key, "must be true or false, found " + shown(json.get(key)));
        }
        return json.get(key).booleanValue();
    }

    private int integer(JsonNode node, String key) {
        if (!present(node, key)) {
            throw bad(key, "is missing");
        }
        return toInt(key, node.get(key));
    }

    private int integer(JsonNode node, String key, int missing) {
        return present(node, key) ? toInt(key, node.get(key)) : missing;
    }

    private double number(JsonNode node, String key, double missing) {
        if (!present(node, key)) {
            return missing;
        }
        JsonNode value = node.get(key);
        if (!value.isNumber()) {
            throw bad(key, "must be a number, found " + shown(value));
        }
        return value.asDouble(Double.NaN);
    }

    private int toInt(String key, JsonNode value) {
        if (!value.isIntegralNumber() || !value.canConvertToInt()) {
            throw bad(key, "must be a 32-bit integer, found " + shown(value));
        }
        return value.intValue();
    }

    private <T> T choice(String key, @Nullable JsonNode value, T[] values, Function<T, String> name) {
        return Arrays.stream(values)
                .filter(v -> value != null && value.asString("").equals(name.apply(v)))
                .findFirst()
                .orElseThrow(() -> unsupported(
                        key,
                        value,
                        String.join(", ", Arrays.stream(values).map(name).toList())));
    }

    private void reject(String key, boolean condition) {
        if (condition) {
            throw bad(key, "asks for " + shown(json.get(key)) + ", which is not supported");
        }
    }

    private ModelFormatException unsupported(String key, @Nullable JsonNode value, String supported) {
        return bad(key, shown(value) + " is not supported; supported: " + supported);
    }

    private ModelFormatException bad(String key, String problem) {
        return new ModelFormatException(file, key + " " + problem);
    }

    private static String shown(@Nullable JsonNode value) {
        return value == null
                ? "null"
                : ModelFormatException.quote(value.isString() ? value.stringValue() : value.toString());
    }

    private static boolean present(JsonNode node, String key) {
        return node.has(key) && !node.get(key).isNull();
    }

    private static ObjectNode toJson(DecoderConfig config) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.putArray("architectures").add(config.modelType().architecture());
        json.put("model_type", config.modelType().hfName());
        json.put("vocab_size", config.vocabSize());
        Rope rope = config.rope();
        if (rope == null) {
            json.put("n_embd", config.hiddenSize());
            json.put("n_inner", config.intermediateSize());
            json.put("n_layer", config.numHiddenLayers());
            json.put("n_head", config.numAttentionHeads());
            json.put("n_positions", config.maxPositionEmbeddings());
            json.put("n_ctx", config.maxPositionEmbeddings());
            json.put("activation_function", config.hiddenAct().hfName());
            json.put("layer_norm_epsilon", config.normEps());
            // We have no dropout; transformers would otherwise train with its default of 0.1.
            json.put("attn_pdrop", 0.0);
            json.put("embd_pdrop", 0.0);
            json.put("resid_pdrop", 0.0);
        } else {
            json.put("hidden_size", config.hiddenSize());
            json.put("intermediate_size", config.intermediateSize());
            json.put("num_hidden_layers", config.numHiddenLayers());
            json.put("num_attention_heads", config.numAttentionHeads());
            json.put("num_key_value_heads", config.numKeyValueHeads());
            json.put("head_dim", config.headDim());
            json.put("max_position_embeddings", config.maxPositionEmbeddings());
            json.put("hidden_act", config.hiddenAct().hfName());
            json.put("rms_norm_eps", config.normEps());
            json.put("attention_dropout", 0.0);
            putRope(json, rope);
            switch (config.modelType()) {
                case LLAMA -> json.put("attention_bias", config.attentionBias()).put("mlp_bias", config.mlpBias());
                case QWEN3 -> json.put("attention_bias", config.attentionBias()).put("use_sliding_window", false);
                case QWEN2 -> json.put("use_sliding_window", false);
                default -> json.putNull("sliding_window");
            }
        }
        json.put("tie_word_embeddings", config.tieWordEmbeddings());
        config.bosTokenId().ifPresentOrElse(id -> json.put("bos_token_id", id), () -> json.putNull("bos_token_id"));
        List<Integer> eos = config.eosTokenIds();
        switch (eos.size()) {
            case 0 -> json.putNull("eos_token_id");
            case 1 -> json.put("eos_token_id", eos.getFirst());
            default -> eos.forEach(json.putArray("eos_token_id")::add);
        }
        json.put("torch_dtype", "float32");
        return json;
    }

    private static void putRope(ObjectNode json, Rope rope) {
        json.put("rope_theta", rope.theta());
        Llama3Scaling scaling = rope.scaling();
        if (scaling == null) {
            json.putNull("rope_scaling");
        } else {
            json.putObject("rope_scaling")
                    .put("rope_type", "llama3")
                    .put("factor", scaling.factor())
                    .put("low_freq_factor", scaling.lowFreqFactor())
                    .put("high_freq_factor", scaling.highFreqFactor())
                    .put("original_max_position_embeddings", scaling.originalMaxPositionEmbeddings());
        }
    }
}
