package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig.ModelType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The architectures of llama.cpp that are read and written, with ggml's names for Hugging Face's tensors. */
enum GgufArchitecture {
    LLAMA,
    QWEN2,
    QWEN3,
    GEMMA2,
    GEMMA3,
    QWEN2MOE,
    QWEN3MOE,
    GPT2;

    /** The factors by which llama3's scaling divides each frequency; a tensor, but no parameter. */
    static final String ROPE_FACTORS = "rope_freqs.weight";

    /** Ours: factor, low_freq_factor, high_freq_factor, original_max_position_embeddings. */
    static final String ROPE_PARAMETERS = "isthmus.rope_scaling.llama3";

    private static final Pattern GGUF_LAYER = Pattern.compile("blk\\.(\\d{1,5})\\.(.+)\\.(weight|bias)");
    private static final Pattern HF_LAYER =
            Pattern.compile("(?:model\\.layers|transformer\\.h)\\.(\\d+)\\.(.+)\\.(weight|bias)");
    private static final Pattern EXPERT = Pattern.compile("(.+\\.experts\\.)(\\d+)(\\..+)");

    /** ggml's name of a tensor of a layer by Hugging Face's; the number of an expert is written {@code *}. */
    private final Map<String, String> layer = new HashMap<>();

    GgufArchitecture() {
        if (name().equals("GPT2")) {
            layer.put("ln_1", "attn_norm");
            layer.put("attn.c_attn", "attn_qkv");
            layer.put("attn.c_proj", "attn_output");
            layer.put("ln_2", "ffn_norm");
            layer.put("mlp.c_fc", "ffn_up");
            layer.put("mlp.c_proj", "ffn_down");
            return;
        }
        layer.put("input_layernorm", "attn_norm");
        layer.put("self_attn.q_proj", "attn_q");
        layer.put("self_attn.k_proj", "attn_k");
        layer.put("self_attn.v_proj", "attn_v");
        layer.put("self_attn.o_proj", "attn_output");
        layer.put("self_attn.q_norm", "attn_q_norm");
        layer.put("self_attn.k_norm", "attn_k_norm");
        boolean gemma = name().startsWith("GEMMA");
        layer.put("post_attention_layernorm", gemma ? "post_attention_norm" : "ffn_norm");
        if (gemma) {
            layer.put("pre_feedforward_layernorm", "ffn_norm");
            layer.put("post_feedforward_layernorm", "post_ffw_norm");
        }
        layer.put("mlp.gate_proj", "ffn_gate");
        layer.put("mlp.up_proj", "ffn_up");
        layer.put("mlp.down_proj", "ffn_down");
        boolean mixtral = name().equals("LLAMA");
        String experts = mixtral ? "block_sparse_moe." : "mlp.";
        layer.put(experts + "gate", "ffn_gate_inp");
        layer.put(experts + "experts.*." + (mixtral ? "w1" : "gate_proj"), "ffn_gate_exps");
        layer.put(experts + "experts.*." + (mixtral ? "w3" : "up_proj"), "ffn_up_exps");
        layer.put(experts + "experts.*." + (mixtral ? "w2" : "down_proj"), "ffn_down_exps");
        layer.put("mlp.shared_expert_gate", "ffn_gate_inp_shexp");
        layer.put("mlp.shared_expert.gate_proj", "ffn_gate_shexp");
        layer.put("mlp.shared_expert.up_proj", "ffn_up_shexp");
        layer.put("mlp.shared_expert.down_proj", "ffn_down_shexp");
    }

    /** The one that a file names. */
    static Optional<GgufArchitecture> named(String name) {
        return Arrays.stream(values()).filter(a -> a.ggufName().equals(name)).findFirst();
    }

    /** The one that computes what a family of models does. */
    static GgufArchitecture of(ModelType type) {
        return switch (type) {
            case LLAMA, MISTRAL, MIXTRAL -> LLAMA;
            case QWEN2 -> QWEN2;
            case QWEN3 -> QWEN3;
            case GEMMA2 -> GEMMA2;
            case GEMMA3_TEXT -> GEMMA3;
            case QWEN2_MOE -> QWEN2MOE;
            case QWEN3_MOE -> QWEN3MOE;
            case GPT2 -> GPT2;
        };
    }

    /** The family of a file's model. */
    ModelType modelType(boolean experts) {
        return switch (this) {
            case LLAMA -> experts ? ModelType.MIXTRAL : ModelType.LLAMA;
            case QWEN2 -> ModelType.QWEN2;
            case QWEN3 -> ModelType.QWEN3;
            case GEMMA2 -> ModelType.GEMMA2;
            case GEMMA3 -> ModelType.GEMMA3_TEXT;
            case QWEN2MOE -> ModelType.QWEN2_MOE;
            case QWEN3MOE -> ModelType.QWEN3_MOE;
            case GPT2 -> ModelType.GPT2;
        };
    }

    /** The name in {@code general.architecture}, and before keys. */
    String ggufName() {
        return name().toLowerCase(Locale.ROOT);
    }

    boolean isGemma() {
        return this == GEMMA2 || this == GEMMA3;
    }

    /** Whether ggml rotates the neighbors {@code (2i, 2i + 1)} of a row of this tensor, where Hugging Face rotates halves. */
    boolean rotatesNeighbors(String hfName) {
        return this == LLAMA && hfName.matches(".*\\.(q|k)_proj\\.(weight|bias)");
    }

    /** Whether ggml stores a tensor transposed: a projection of GPT-2. */
    boolean transposes(String hfName, long[] shape) {
        return this == GPT2 && shape.length == 2 && hfName.contains(".c_");
    }

    /** What ggml adds to a tensor: the scale of Gemma's norms is one more than their weight. */
    float added(String hfName) {
        return isGemma() && hfName.endsWith("norm.weight") ? 1 : 0;
    }

    /** Hugging Face's name of a tensor, with {@code *} for the number of an expert; one that is not known keeps its own. */
    String hfName(String name) {
        boolean gpt2 = this == GPT2;
        Matcher part = GGUF_LAYER.matcher(name);
        if (part.matches()) {
            for (Map.Entry<String, String> entry : layer.entrySet()) {
                if (entry.getValue().equals(part.group(2))) {
                    return (gpt2 ? "transformer.h." : "model.layers.") + part.group(1) + "." + entry.getKey() + "."
                            + part.group(3);
                }
            }
        }
        return switch (name) {
            case "token_embd.weight" -> gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight";
            case "position_embd.weight" -> "transformer.wpe.weight";
            case "output_norm.weight" -> gpt2 ? "transformer.ln_f.weight" : "model.norm.weight";
            case "output_norm.bias" -> "transformer.ln_f.bias";
            case "output.weight" -> "lm_head.weight";
            default -> name;
        };
    }

    /** ggml's name of a tensor, that of all experts for one of them. */
    Optional<String> ggufName(String hfName) {
        Matcher part = HF_LAYER.matcher(allExperts(hfName));
        if (part.matches()) {
            return Optional.ofNullable(layer.get(part.group(2)))
                    .map(name -> "blk." + part.group(1) + "." + name + "." + part.group(3));
        }
        return Optional.ofNullable(
                switch (hfName) {
                    case "model.embed_tokens.weight", "transformer.wte.weight" -> "token_embd.weight";
                    case "transformer.wpe.weight" -> "position_embd.weight";
                    case "model.norm.weight", "transformer.ln_f.weight" -> "output_norm.weight";
                    case "transformer.ln_f.bias" -> "output_norm.bias";
                    case "lm_head.weight" -> "output.weight";
                    default -> null;
                });
    }

    /** The name of a tensor with {@code *} for the number of its expert. */
    static String allExperts(String hfName) {
        return EXPERT.matcher(hfName).replaceFirst("$1*$3");
    }
}
