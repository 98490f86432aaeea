package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.model.DecoderConfig.Gemma;
import dev.isthmus.model.DecoderConfig.LinearScaling;
import dev.isthmus.model.DecoderConfig.Llama3Scaling;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.model.DecoderConfig.RopeScaling;
import dev.isthmus.model.DecoderConfig.SlidingWindow;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
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

    /** Far beyond all models; what is told of each layer is then small. */
    private static final int MAX_LAYERS = 10_000;

    private static final String FULL = "full_attention";
    private static final String SLIDING = "sliding_attention";

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

    /**
     * Writes {@code config} as config.json into {@code directory}, atomically.
     *
     * @param type of the weights beside it
     */
    public static void write(Path directory, DecoderConfig config, StoredType type) {
        String name = switch (type) {
            case F64 -> "float64";
            case F16 -> "float16";
            case BF16 -> "bfloat16";
            default -> "float32";
        };
        Json.write(directory.resolve(FILE), toJson(config).put("torch_dtype", name));
    }

    /** The same for a model that says {@code labels} numbers of a sequence or, if {@code ofTokens}, of each token. */
    static void writeClassifier(Path directory, DecoderConfig config, int labels, boolean ofTokens) {
        ObjectNode json = toJson(config);
        String body = config.modelType().architecture().replaceFirst("(ForCausalLM|LMHeadModel)$", "");
        json.putArray("architectures").add(body + (ofTokens ? "ForTokenClassification" : "ForSequenceClassification"));
        ObjectNode names = json.putObject("id2label");
        ObjectNode numbers = json.putObject("label2id");
        for (int i = 0; i < labels; i++) {
            names.put(Integer.toString(i), "LABEL_" + i);
            numbers.put("LABEL_" + i, i);
        }
        Json.write(directory.resolve(FILE), json.put("torch_dtype", "float32"));
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
        reject("partial_rotary_factor", number(json, "partial_rotary_factor", 1) != 1);
        reject("use_bidirectional_attention", flag("use_bidirectional_attention", false));
        boolean gemma = type.isGemma();
        int vocabulary = integer(json, "vocab_size");
        int hidden = integer(json, "hidden_size");
        int layers = integer(json, "num_hidden_layers");
        if (layers > MAX_LAYERS) {
            throw bad("num_hidden_layers", "is " + layers + ", more than " + MAX_LAYERS);
        }
        int heads = integer(json, "num_attention_heads");
        int fixedHeadDim = type == ModelType.QWEN3 ? 128 : gemma ? 256 : 0;
        if (!present(json, "head_dim") && fixedHeadDim == 0 && (heads < 1 || hidden % heads != 0)) {
            throw bad("hidden_size", "must be a multiple of num_attention_heads " + heads);
        }
        Map<String, Rope> ropes = ropes(type);
        return new DecoderConfig(
                type,
                vocabulary,
                hidden,
                integer(json, "intermediate_size"),
                layers,
                heads,
                integer(json, "num_key_value_heads", defaultKeyValueHeads(type, heads)),
                integer(json, "head_dim", fixedHeadDim == 0 ? hidden / Math.max(1, heads) : fixedHeadDim),
                integer(json, "max_position_embeddings", defaultPositions(type)),
                number(json, "rms_norm_eps", type == ModelType.MIXTRAL ? 1e-5 : 1e-6),
                gemma
                        ? activation("hidden_activation", Activation.GELU_NEW)
                        : activation("hidden_act", Activation.SILU),
                ropes.get(FULL),
                switch (type) {
                    case LLAMA, QWEN3, QWEN3_MOE, GEMMA2, GEMMA3_TEXT -> flag("attention_bias", false);
                    case QWEN2 -> true;
                    case QWEN2_MOE -> flag("qkv_bias", true);
                    default -> false;
                },
                type == ModelType.LLAMA && flag("mlp_bias", false),
                flag("tie_word_embeddings", gemma),
                bos(defaultBos(type), vocabulary),
                eos(gemma ? 1 : defaultBos(type) < 0 ? -1 : 2, vocabulary),
                slidingWindow(type, layers),
                gemma ? gemma(type, ropes.get(SLIDING)) : null,
                type.hasExperts() ? experts(type, layers) : null);
    }

    private static boolean isQwen(ModelType type) {
        return type == ModelType.QWEN2
                || type == ModelType.QWEN3
                || type == ModelType.QWEN2_MOE
                || type == ModelType.QWEN3_MOE;
    }

    private static int defaultBos(ModelType type) {
        return isQwen(type) ? -1 : type.isGemma() ? 2 : 1;
    }

    private int defaultKeyValueHeads(ModelType type, int heads) {
        // A null means as many as query heads; a missing key has a default of its own in some families.
        if (json.has("num_key_value_heads")) {
            return heads;
        }
        return switch (type) {
            case MISTRAL, MIXTRAL -> 8;
            case GEMMA2, GEMMA3_TEXT, QWEN3_MOE -> 4;
            case QWEN2_MOE -> 16;
            default -> heads;
        };
    }

    private static int defaultPositions(ModelType type) {
        return switch (type) {
            case MISTRAL, MIXTRAL, GEMMA3_TEXT -> 131072;
            case QWEN2, QWEN3, QWEN2_MOE, QWEN3_MOE -> 32768;
            case GEMMA2 -> 8192;
            default -> 2048;
        };
    }

    // ---- windows, what only Gemma has, experts ----------------------------------------------------------------------

    private @Nullable SlidingWindow slidingWindow(ModelType type, int layers) {
        JsonNode types = json.path("layer_types");
        types.forEach(layer -> choice("layer_types", layer, new String[] {FULL, SLIDING}, Function.identity()));
        if (types.isArray() && types.size() != layers) {
            throw bad("layer_types", "names " + types.size() + " layers, num_hidden_layers is " + layers);
        }
        if (type == ModelType.LLAMA) {
            types.forEach(layer -> choice("layer_types", layer, new String[] {FULL}, Function.identity()));
        }
        boolean on = switch (type) {
            case MISTRAL, GEMMA2, GEMMA3_TEXT -> !json.has("sliding_window") || present(json, "sliding_window");
            case MIXTRAL -> present(json, "sliding_window");
            default -> isQwen(type) && flag("use_sliding_window", false);
        };
        if (!on) {
            reject("sliding_window", type.isGemma());
            return null;
        }
        // Mistral, Mixtral and Qwen3-MoE have the window in every layer; the others name the layers or count them.
        boolean named = types.isArray()
                && type != ModelType.MISTRAL
                && type != ModelType.MIXTRAL
                && type != ModelType.QWEN3_MOE;
        int first = integer(json, "max_window_layers", 28);
        int pattern = integer(json, "sliding_window_pattern", 6);
        return new SlidingWindow(
                integer(json, "sliding_window", 4096),
                IntStream.range(0, layers)
                        .mapToObj(i -> named
                                ? types.get(i).asString("").equals(SLIDING)
                                : switch (type) {
                                    case GEMMA2 -> i % 2 == 0;
                                    case GEMMA3_TEXT -> (i + 1) % pattern != 0;
                                    case QWEN2, QWEN3 -> i >= first;
                                    case QWEN2_MOE -> i % 2 == 0 && i < first;
                                    default -> true;
                                })
                        .toList());
    }

    private Gemma gemma(ModelType type, @Nullable Rope local) {
        boolean capped = type == ModelType.GEMMA2;
        return new Gemma(
                number(json, "query_pre_attn_scalar", 256),
                cap("attn_logit_softcapping", capped ? 50 : 0),
                cap("final_logit_softcapping", capped ? 30 : 0),
                type == ModelType.GEMMA3_TEXT ? local : null);
    }

    private double cap(String key, double missing) {
        return json.has(key) ? number(json, key, 0) : missing;
    }

    private Experts experts(ModelType type, int layers) {
        boolean mixtral = type == ModelType.MIXTRAL;
        reject("router_jitter_noise", number(json, "router_jitter_noise", 0) != 0);
        int step = mixtral ? 1 : integer(json, "decoder_sparse_step", 1);
        if (step < 1) {
            throw bad("decoder_sparse_step", "must be positive, found " + step);
        }
        List<Integer> dense = json.path("mlp_only_layers")
                .valueStream()
                .map(layer -> toInt("mlp_only_layers", layer))
                .toList();
        boolean qwen2 = type == ModelType.QWEN2_MOE;
        // transformers 5 writes some of the models that read num_experts with the other name, as Mixtral's.
        String count = mixtral || !present(json, "num_experts") ? "num_local_experts" : "num_experts";
        return new Experts(
                integer(json, count, mixtral ? 8 : qwen2 ? 60 : 128),
                integer(json, "num_experts_per_tok", mixtral ? 2 : qwen2 ? 4 : 8),
                mixtral
                        ? integer(json, "intermediate_size")
                        : integer(json, "moe_intermediate_size", qwen2 ? 1408 : 768),
                qwen2 ? integer(json, "shared_expert_intermediate_size", 5632) : 0,
                mixtral || flag("norm_topk_prob", false),
                number(json, "router_aux_loss_coef", 0.001),
                IntStream.range(0, layers)
                        .mapToObj(i -> mixtral || !dense.contains(i) && (i + 1) % step == 0)
                        .toList());
    }

    // ---- rotary positions -------------------------------------------------------------------------------------------

    /** The rotary positions of layers with full attention and, for Gemma 3, of those with a window. */
    private Map<String, Rope> ropes(ModelType type) {
        // transformers 5 keeps all of it in rope_parameters, earlier ones in rope_theta and rope_scaling.
        String key = present(json, "rope_parameters") ? "rope_parameters" : "rope_scaling";
        JsonNode rope = present(json, key) ? json.get(key) : JsonNodeFactory.instance.objectNode();
        if (!rope.isObject()) {
            throw bad(key, "must be an object");
        }
        if (type != ModelType.GEMMA3_TEXT) {
            return Map.of(FULL, rope(key, rope, number(json, "rope_theta", type == ModelType.MIXTRAL ? 1e6 : 10000)));
        }
        double global = number(json, "rope_theta", 1e6);
        double local = number(json, "rope_local_base_freq", 10000);
        boolean apart = key.equals("rope_parameters");
        JsonNode plain = JsonNodeFactory.instance.objectNode();
        JsonNode full = apart ? present(rope, FULL) ? rope.get(FULL) : plain : rope;
        JsonNode sliding = apart && present(rope, SLIDING) ? rope.get(SLIDING) : plain;
        return Map.of(FULL, rope(key, full, global), SLIDING, rope(key, sliding, local));
    }

    private Rope rope(String key, JsonNode rope, double defaultTheta) {
        double theta = number(rope, "rope_theta", defaultTheta);
        reject(key + ".partial_rotary_factor", number(rope, "partial_rotary_factor", 1) != 1);
        JsonNode type = present(rope, "rope_type") ? rope.get("rope_type") : rope.get("type");
        if (type == null && !present(rope, "factor")) {
            return new Rope(theta, null);
        }
        return switch (choice(
                key + ".rope_type", type, new String[] {"default", "linear", "llama3"}, Function.identity())) {
            case "linear" -> new Rope(theta, new LinearScaling(number(rope, "factor", Double.NaN)));
            case "llama3" ->
                new Rope(
                        theta,
                        new Llama3Scaling(
                                number(rope, "factor", Double.NaN),
                                number(rope, "low_freq_factor", Double.NaN),
                                number(rope, "high_freq_factor", Double.NaN),
                                integer(rope, "original_max_position_embeddings")));
            default -> new Rope(theta, null);
        };
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
            json.put(
                    config.modelType().isGemma() ? "hidden_activation" : "hidden_act",
                    config.hiddenAct().hfName());
            json.put("rms_norm_eps", config.normEps());
            json.put("attention_dropout", 0.0);
            switch (config.modelType()) {
                case LLAMA -> json.put("attention_bias", config.attentionBias()).put("mlp_bias", config.mlpBias());
                case QWEN3, QWEN3_MOE, GEMMA2, GEMMA3_TEXT -> json.put("attention_bias", config.attentionBias());
                case QWEN2_MOE -> json.put("qkv_bias", config.attentionBias());
                default -> {}
            }
            putRope(json, config, rope);
            putWindow(json, config);
            putGemma(json, config.gemma());
            putExperts(json, config, config.experts());
        }
        json.put("tie_word_embeddings", config.tieWordEmbeddings());
        config.bosTokenId().ifPresentOrElse(id -> json.put("bos_token_id", id), () -> json.putNull("bos_token_id"));
        putEos(json, config.eosTokenIds());
        return json;
    }

    /** The tokens that end a text: a number, a list of them, or null. */
    static void putEos(ObjectNode json, List<Integer> eos) {
        switch (eos.size()) {
            case 0 -> json.putNull("eos_token_id");
            case 1 -> json.put("eos_token_id", eos.getFirst());
            default -> eos.forEach(json.putArray("eos_token_id")::add);
        }
    }

    private static void putRope(ObjectNode json, DecoderConfig config, Rope rope) {
        Rope local = config.gemma() == null ? null : config.gemma().localRope();
        if (local != null) {
            ObjectNode both = json.putObject("rope_parameters");
            putScaling(both.putObject(FULL).put("rope_theta", rope.theta()), rope.scaling());
            putScaling(both.putObject(SLIDING).put("rope_theta", local.theta()), local.scaling());
            return;
        }
        json.put("rope_theta", rope.theta());
        if (rope.scaling() == null) {
            json.putNull("rope_scaling");
        } else {
            putScaling(json.putObject("rope_scaling"), rope.scaling());
        }
    }

    private static void putScaling(ObjectNode json, @Nullable RopeScaling scaling) {
        switch (scaling) {
            case null -> json.put("rope_type", "default");
            case LinearScaling linear -> json.put("rope_type", "linear").put("factor", linear.factor());
            case Llama3Scaling llama3 ->
                json.put("rope_type", "llama3")
                        .put("factor", llama3.factor())
                        .put("low_freq_factor", llama3.lowFreqFactor())
                        .put("high_freq_factor", llama3.highFreqFactor())
                        .put("original_max_position_embeddings", llama3.originalMaxPositionEmbeddings());
        }
    }

    private static void putWindow(ObjectNode json, DecoderConfig config) {
        SlidingWindow window = config.slidingWindow();
        if (isQwen(config.modelType())) {
            json.put("use_sliding_window", window != null);
        }
        if (window != null) {
            json.put("sliding_window", window.size());
        } else if (!isQwen(config.modelType()) && config.modelType() != ModelType.LLAMA) {
            json.putNull("sliding_window");
        }
        boolean everywhere = switch (config.modelType()) {
            case MISTRAL, MIXTRAL, QWEN3_MOE -> true;
            default -> false;
        };
        if (window != null && !everywhere) {
            ArrayNode types = json.putArray("layer_types");
            window.layers().forEach(sliding -> types.add(sliding ? SLIDING : FULL));
        }
    }

    private static void putGemma(ObjectNode json, @Nullable Gemma gemma) {
        if (gemma != null) {
            double scalar = gemma.queryPreAttnScalar();
            if (scalar == Math.rint(scalar)) {
                json.put("query_pre_attn_scalar", (long) scalar); // transformers takes whole numbers only
            } else {
                json.put("query_pre_attn_scalar", scalar);
            }
            putCap(json, "attn_logit_softcapping", gemma.attnLogitSoftcapping());
            putCap(json, "final_logit_softcapping", gemma.finalLogitSoftcapping());
        }
    }

    private static void putCap(ObjectNode json, String key, double cap) {
        if (cap == 0) {
            json.putNull(key);
        } else {
            json.put(key, cap);
        }
    }

    private static void putExperts(ObjectNode json, DecoderConfig config, @Nullable Experts experts) {
        if (experts == null) {
            return;
        }
        json.put("num_experts_per_tok", experts.numExpertsPerTok());
        json.put("router_aux_loss_coef", experts.routerAuxLossCoef());
        if (config.modelType() == ModelType.MIXTRAL) {
            json.put("num_local_experts", experts.numExperts());
            return;
        }
        json.put("num_experts", experts.numExperts());
        json.put("moe_intermediate_size", experts.moeIntermediateSize());
        json.put("norm_topk_prob", experts.normTopkProb());
        if (config.modelType() == ModelType.QWEN2_MOE) {
            json.put("shared_expert_intermediate_size", experts.sharedExpertIntermediateSize());
        }
        json.put("decoder_sparse_step", 1);
        ArrayNode dense = json.putArray("mlp_only_layers");
        IntStream.range(0, config.numHiddenLayers())
                .filter(i -> !config.sparse(i))
                .forEach(dense::add);
    }
}
