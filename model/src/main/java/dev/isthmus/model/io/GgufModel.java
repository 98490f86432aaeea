package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.LinearScaling;
import dev.isthmus.model.DecoderConfig.Llama3Scaling;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.model.DecoderConfig.RopeScaling;
import dev.isthmus.model.io.Gguf.GgufTensor;
import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.IsthmusException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.LongBinaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Models in GGUF files, under Hugging Face's names.
 *
 * <p>Three things differ: the names; the rows of the query and key projections of Llama, which ggml rotates as neighbors {@code (2i,
 * 2i + 1)} and Hugging Face as {@code (i, i + headDim / 2)}; and GPT-2's projections, which ggml stores transposed.
 */
final class GgufModel {
    private static final Pattern BLOCK = Pattern.compile("blk\\.(\\d{1,5})\\.(.+)\\.(weight|bias)");

    /** The names of ggml's tensors of a layer, and Hugging Face's. */
    private static final Map<String, String> LLAMA_LAYER = Map.ofEntries(
            Map.entry("attn_norm", "input_layernorm"),
            Map.entry("attn_q", "self_attn.q_proj"),
            Map.entry("attn_k", "self_attn.k_proj"),
            Map.entry("attn_v", "self_attn.v_proj"),
            Map.entry("attn_output", "self_attn.o_proj"),
            Map.entry("attn_q_norm", "self_attn.q_norm"),
            Map.entry("attn_k_norm", "self_attn.k_norm"),
            Map.entry("ffn_norm", "post_attention_layernorm"),
            Map.entry("ffn_gate", "mlp.gate_proj"),
            Map.entry("ffn_up", "mlp.up_proj"),
            Map.entry("ffn_down", "mlp.down_proj"));

    private static final Map<String, String> GPT2_LAYER = Map.of(
            "attn_norm", "ln_1",
            "attn_qkv", "attn.c_attn",
            "attn_output", "attn.c_proj",
            "ffn_norm", "ln_2",
            "ffn_up", "mlp.c_fc",
            "ffn_down", "mlp.c_proj");

    private static final String ROPE_FACTORS = "rope_freqs.weight";

    /** Ours: factor, low_freq_factor, high_freq_factor, original_max_position_embeddings. */
    private static final String ROPE_PARAMETERS = "isthmus.rope_scaling.llama3";

    private final Gguf file;
    private final String architecture;

    private GgufModel(Gguf file) {
        this.file = file;
        String name = file.string("general.architecture");
        this.architecture = name == null ? "" : name;
    }

    /**
     * A model; quantized tensors other than Q8_0 and Q4_0 become float32 in memory that lives as long as {@code arena}.
     *
     * @throws ModelFormatException if the file holds none, or one of an architecture that is not known
     */
    static Checkpoint open(Path path, Arena arena) {
        return parse(Gguf.open(path, arena), arena);
    }

    static Checkpoint parse(Gguf file, Arena arena) {
        GgufModel model = new GgufModel(file);
        DecoderConfig config;
        try {
            config = model.config();
        } catch (ModelFormatException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new ModelFormatException(file.file(), String.valueOf(e.getMessage()), e);
        }
        Map<String, TensorEntry> tensors = new LinkedHashMap<>();
        for (GgufTensor tensor : file.tensors().values()) {
            if (!tensor.name().equals(ROPE_FACTORS)) {
                TensorEntry entry = model.entry(tensor, config, arena);
                tensors.put(entry.name(), entry);
            }
        }
        return new Checkpoint(config, ParameterNames.resolve(config, tensors, file.file()));
    }

    // ---- configuration ---------------------------------------------------------------------------------------------

    private DecoderConfig config() {
        ModelType type = switch (architecture) {
            case "llama" -> ModelType.LLAMA;
            case "qwen2" -> ModelType.QWEN2;
            case "qwen3" -> ModelType.QWEN3;
            case "gpt2" -> ModelType.GPT2;
            default -> throw bad("the architecture " + ModelFormatException.quote(architecture)
                    + " is not known; known are llama, qwen2, qwen3 and gpt2");
        };
        boolean gpt2 = type == ModelType.GPT2;
        int hidden = needed("embedding_length");
        int heads = needed("attention.head_count");
        int headDim = integer("attention.key_length", hidden / Math.max(1, heads));
        if (file.number(architecture + ".expert_count", 0) > 0) {
            throw bad("it is a mixture of experts, which is not known");
        }
        if (integer("attention.value_length", headDim) != headDim || integer("rope.dimension_count", headDim) != headDim) {
            throw bad("heads whose values, or rotated part, are of another width than their keys are not known");
        }
        GgufTensor embedding = file.tensors().get("token_embd.weight");
        if (embedding == null || embedding.shape().length != 2) {
            throw bad("there is no matrix token_embd.weight");
        }
        boolean bias = file.tensors().containsKey("blk.0.attn_q.bias") || gpt2;
        Rope rope = gpt2
                ? null
                : new Rope(file.number(architecture + ".rope.freq_base", 10000), ropeScaling(headDim));
        OptionalInt eos = file.integer("tokenizer.ggml.eos_token_id");
        return new DecoderConfig(
                type,
                Math.toIntExact(embedding.shape()[0]),
                hidden,
                needed("feed_forward_length"),
                needed("block_count"),
                heads,
                integer("attention.head_count_kv", heads),
                headDim,
                needed("context_length"),
                rounded(file.number(
                        architecture + (gpt2 ? ".attention.layer_norm_epsilon" : ".attention.layer_norm_rms_epsilon"), 1e-5)),
                gpt2 ? Activation.GELU_NEW : Activation.SILU,
                rope,
                bias,
                gpt2 || file.tensors().containsKey("blk.0.ffn_up.bias"),
                !file.tensors().containsKey("output.weight"),
                file.integer("tokenizer.ggml.bos_token_id"),
                eos.stream().boxed().toList());
    }

    /** The number that was meant: metadata are float32, and 1e-5 in float32 is not 1e-5. */
    private static double rounded(double value) {
        return Double.parseDouble(Float.toString((float) value));
    }

    /** ggml stores the factors of llama3's scaling, not its parameters: ours, then those of the published models are tried. */
    private @Nullable Llama3Scaling ropeScaling(int headDim) {
        String kind = file.string(architecture + ".rope.scaling.type");
        if (kind != null && !kind.equals("none")) {
            throw bad("rope scaling of the type " + ModelFormatException.quote(kind) + " is not known");
        }
        GgufTensor factors = file.tensors().get(ROPE_FACTORS);
        if (factors == null) {
            return null;
        }
        double theta = file.number(architecture + ".rope.freq_base", 10000);
        float[] stored = new TensorEntry(ROPE_FACTORS, "F32", factors.shape(), factors.data()).toFloats();
        List<Llama3Scaling> candidates =
                new ArrayList<>(List.of(new Llama3Scaling(8, 1, 4, 8192), new Llama3Scaling(32, 1, 4, 8192)));
        if (file.metadata().containsKey(ROPE_PARAMETERS)) {
            List<Double> p = file.list(ROPE_PARAMETERS, Double.class);
            if (p.size() == 4) {
                candidates.addFirst(new Llama3Scaling(
                        rounded(p.get(0)), rounded(p.get(1)), rounded(p.get(2)), (int) (double) p.get(3)));
            }
        }
        for (Llama3Scaling scaling : candidates) {
            boolean fits = stored.length == headDim / 2;
            for (int i = 0; fits && i < stored.length; i++) {
                double frequency = Math.pow(theta, -2.0 * i / headDim);
                double expected = frequency / scaling.scale(frequency);
                fits = Math.abs(stored[i] - expected) <= 1e-4 * expected;
            }
            if (fits) {
                return scaling;
            }
        }
        throw bad("its rope_freqs.weight is not the llama3 scaling by 8 or 32");
    }

    private int needed(String key) {
        OptionalInt value = file.integer(architecture + "." + key);
        if (value.isEmpty()) {
            throw bad("expected a whole number at '" + architecture + "." + key + "'");
        }
        return value.getAsInt();
    }

    private int integer(String key, int absent) {
        return file.metadata().containsKey(architecture + "." + key) ? needed(key) : absent;
    }

    // ---- tensors ---------------------------------------------------------------------------------------------------

    private TensorEntry entry(GgufTensor tensor, DecoderConfig config, Arena arena) {
        String name = hfName(tensor.name());
        long[] shape = tensor.shape();
        boolean turned = config.modelType() == ModelType.GPT2 && shape.length == 2 && name.contains(".c_");
        TensorEntry entry = switch (tensor.type()) {
            case F32, F64, F16, BF16 -> new TensorEntry(name, tensor.type().name(), shape, tensor.data());
            case Q8_0, Q4_0 ->
                turned
                        ? dequantized(tensor, name, arena)
                        : new TensorEntry(name, tensor.type().name(), shape, tensor.data());
            case I8, I16, I32, I64 -> throw bad("the tensor " + ModelFormatException.quote(tensor.name()) + " holds integers");
            default -> dequantized(tensor, name, arena);
        };
        if (config.modelType() == ModelType.LLAMA && name.matches(".*\\.(q|k)_proj\\.(weight|bias)")) {
            int heads = name.contains("q_proj") ? config.numAttentionHeads() : config.numKeyValueHeads();
            return halves(entry, heads, arena);
        }
        return turned ? transposed(entry, arena) : entry;
    }

    private static TensorEntry dequantized(GgufTensor tensor, String name, Arena arena) {
        long elements = tensor.data().byteSize() / tensor.type().blockBytes() * tensor.type().blockElements();
        MemorySegment floats = arena.allocate(4 * elements, 64);
        GgufBlocks.dequantize(tensor.type(), tensor.data(), floats);
        return new TensorEntry(name, StoredType.F32, tensor.shape(), floats);
    }

    /** The name that Hugging Face gives to a tensor; one that ggml does not know keeps its own, and is reported with it. */
    private String hfName(String name) {
        boolean gpt2 = architecture.equals("gpt2");
        Matcher block = BLOCK.matcher(name);
        if (block.matches()) {
            String layer = (gpt2 ? GPT2_LAYER : LLAMA_LAYER).get(block.group(2));
            return layer == null
                    ? name
                    : (gpt2 ? "transformer.h." : "model.layers.") + block.group(1) + "." + layer + "." + block.group(3);
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

    /** The rows of each head, even ones first, then odd ones. */
    private TensorEntry halves(TensorEntry entry, int heads, Arena arena) {
        return rows(entry, heads, arena, (d, headDim) -> d < headDim / 2 ? 2 * d : 2 * (d - headDim / 2) + 1);
    }

    /** The rows of each head, the first of each half together, then the second: what {@link #halves} undoes. */
    private TensorEntry neighbors(TensorEntry entry, int heads, Arena arena) {
        return rows(entry, heads, arena, (d, headDim) -> d / 2 + d % 2 * (headDim / 2));
    }

    private TensorEntry rows(TensorEntry entry, int heads, Arena arena, LongBinaryOperator source) {
        long rows = entry.shape()[0];
        if (rows == 0 || rows % (2L * heads) != 0) {
            throw bad("the tensor " + ModelFormatException.quote(entry.name()) + " has " + rows + " rows for " + heads + " heads");
        }
        long rowBytes = entry.data().byteSize() / rows;
        long headDim = rows / heads;
        MemorySegment out = arena.allocate(entry.data().byteSize(), 64);
        for (long row = 0; row < rows; row++) {
            long d = row % headDim;
            long from = row - d + source.applyAsLong(d, headDim);
            MemorySegment.copy(entry.data(), from * rowBytes, out, row * rowBytes, rowBytes);
        }
        return new TensorEntry(entry.name(), entry.typeName(), entry.shape(), out);
    }

    static TensorEntry transposed(TensorEntry entry, Arena arena) {
        long rows = entry.shape()[0];
        long cols = entry.shape()[1];
        long bytes = entry.type().bytes();
        MemorySegment out = arena.allocate(entry.data().byteSize(), 64);
        for (long r = 0; r < rows; r++) {
            for (long c = 0; c < cols; c++) {
                MemorySegment.copy(entry.data(), (r * cols + c) * bytes, out, (c * rows + r) * bytes, bytes);
            }
        }
        return new TensorEntry(entry.name(), entry.typeName(), new long[] {cols, rows}, out);
    }

    private ModelFormatException bad(String problem) {
        return new ModelFormatException(file.file(), problem);
    }

    // ---- writing ---------------------------------------------------------------------------------------------------

    /**
     * Writes a model as llama.cpp reads it.
     *
     * @param type of the matrices, F32, F16, BF16, Q8_0 or Q4_0; one whose rows are not whole blocks becomes F16, vectors stay F32
     * @param vocabulary metadata of the tokenizer
     * @throws IsthmusException if GGUF cannot say what the model is, or the file cannot be written
     */
    static void write(Path path, Checkpoint checkpoint, GgufType type, Map<String, Object> vocabulary) {
        DecoderConfig config = checkpoint.config();
        Map<String, Object> metadata = new LinkedHashMap<>(metadata(path, config));
        metadata.putAll(vocabulary);
        try (Arena arena = Arena.ofConfined()) {
            GgufModel names = new GgufModel(new Gguf(path, metadata, Map.of()));
            List<GgufTensor> tensors = new ArrayList<>();
            for (TensorEntry entry : checkpoint.tensors().values()) {
                tensors.add(names.out(entry, config, type, arena));
            }
            Rope rope = config.rope();
            RopeScaling scaling = rope == null ? null : rope.scaling();
            if (rope != null && scaling != null) {
                MemorySegment factors = arena.allocate(4L * config.headDim() / 2, 64);
                for (int i = 0; i < config.headDim() / 2; i++) {
                    double frequency = Math.pow(rope.theta(), -2.0 * i / config.headDim());
                    factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (frequency / scaling.scale(frequency)));
                }
                tensors.add(new GgufTensor(ROPE_FACTORS, GgufType.F32, new long[] {config.headDim() / 2}, factors));
            }
            Gguf.write(path, metadata, tensors);
        }
    }

    private static Map<String, Object> metadata(Path path, DecoderConfig config) {
        String architecture = switch (config.modelType()) {
            case LLAMA, MISTRAL -> "llama";
            case QWEN2 -> "qwen2";
            case QWEN3 -> "qwen3";
            case GPT2 -> "gpt2";
            default -> throw new IsthmusException("Cannot write " + path + ": a model of type "
                    + config.modelType().hfName() + " is not written as GGUF; use safetensors");
        };
        if (IntStream.range(0, config.numHiddenLayers()).anyMatch(i -> config.window(i) > 0 && config.window(i) < config.maxPositionEmbeddings())) {
            throw new IsthmusException("Cannot write " + path + ": llama.cpp reads " + architecture
                    + " without a sliding window, this model has one; use safetensors");
        }
        boolean gpt2 = architecture.equals("gpt2");
        if (gpt2 && config.hiddenAct() != Activation.GELU_NEW) {
            throw new IsthmusException("Cannot write " + path + ": llama.cpp computes GPT-2 with gelu_new, this model has "
                    + config.hiddenAct().hfName());
        }
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("general.architecture", architecture);
        metadata.put(architecture + ".vocab_size", (long) config.vocabSize());
        metadata.put(architecture + ".context_length", (long) config.maxPositionEmbeddings());
        metadata.put(architecture + ".embedding_length", (long) config.hiddenSize());
        metadata.put(architecture + ".block_count", (long) config.numHiddenLayers());
        metadata.put(architecture + ".feed_forward_length", (long) config.intermediateSize());
        metadata.put(architecture + ".attention.head_count", (long) config.numAttentionHeads());
        metadata.put(architecture + ".attention.head_count_kv", (long) config.numKeyValueHeads());
        metadata.put(
                architecture + (gpt2 ? ".attention.layer_norm_epsilon" : ".attention.layer_norm_rms_epsilon"),
                config.normEps());
        Rope rope = config.rope();
        if (rope != null) {
            metadata.put(architecture + ".attention.key_length", (long) config.headDim());
            metadata.put(architecture + ".attention.value_length", (long) config.headDim());
            metadata.put(architecture + ".rope.dimension_count", (long) config.headDim());
            metadata.put(architecture + ".rope.freq_base", rope.theta());
            if (rope.scaling() instanceof LinearScaling) {
                throw new IsthmusException("Cannot write " + path + ": linear rope scaling is not written as GGUF; use safetensors");
            }
            if (rope.scaling() instanceof Llama3Scaling scaling) {
                metadata.put(
                        ROPE_PARAMETERS,
                        List.of(
                                scaling.factor(),
                                scaling.lowFreqFactor(),
                                scaling.highFreqFactor(),
                                (double) scaling.originalMaxPositionEmbeddings()));
            }
        }
        return metadata;
    }

    private GgufTensor out(TensorEntry entry, DecoderConfig config, GgufType wanted, Arena arena) {
        TensorEntry ordered = entry;
        if (architecture.equals("llama") && entry.name().matches(".*\\.(q|k)_proj\\.(weight|bias)")) {
            int heads = entry.name().contains("q_proj") ? config.numAttentionHeads() : config.numKeyValueHeads();
            ordered = neighbors(entry, heads, arena);
        } else if (config.modelType() == ModelType.GPT2 && entry.shape().length == 2 && entry.name().contains(".c_")) {
            ordered = transposed(entry, arena);
        }
        long[] shape = ordered.shape();
        GgufType type = shape.length < 2
                ? GgufType.F32
                : shape[shape.length - 1] % wanted.blockElements() == 0 ? wanted : GgufType.F16;
        return new GgufTensor(ggufName(entry.name()), type, shape, encoded(ordered, type, arena));
    }

    /** The numbers as {@code type}; the same memory if they are of it. */
    static MemorySegment encoded(TensorEntry entry, GgufType type, Arena arena) {
        if (entry.typeName().equals(type.name())) {
            return entry.data();
        }
        float[] values = entry.toFloats();
        return switch (type) {
            case Q8_0, Q4_0 -> {
                byte[] blocks = GgufBlocks.quantize(type, values);
                yield arena.allocate(blocks.length, 64).copyFrom(MemorySegment.ofArray(blocks));
            }
            case F32 -> arena.allocate(4L * values.length, 64).copyFrom(MemorySegment.ofArray(values));
            default -> {
                MemorySegment halves = arena.allocate(2L * values.length, 64);
                for (int i = 0; i < values.length; i++) {
                    short half = type == GgufType.F16 ? Float.floatToFloat16(values[i]) : BFloat16.of(values[i]);
                    halves.setAtIndex(ValueLayout.JAVA_SHORT, i, half);
                }
                yield halves;
            }
        };
    }

    private String ggufName(String name) {
        boolean gpt2 = architecture.equals("gpt2");
        Matcher layer = Pattern.compile("(?:model\\.layers|transformer\\.h)\\.(\\d+)\\.(.+)\\.(weight|bias)").matcher(name);
        if (layer.matches()) {
            for (Map.Entry<String, String> entry : (gpt2 ? GPT2_LAYER : LLAMA_LAYER).entrySet()) {
                if (entry.getValue().equals(layer.group(2))) {
                    return "blk." + layer.group(1) + "." + entry.getKey() + "." + layer.group(3);
                }
            }
        }
        return switch (name) {
            case "model.embed_tokens.weight", "transformer.wte.weight" -> "token_embd.weight";
            case "transformer.wpe.weight" -> "position_embd.weight";
            case "model.norm.weight", "transformer.ln_f.weight" -> "output_norm.weight";
            case "transformer.ln_f.bias" -> "output_norm.bias";
            case "lm_head.weight" -> "output.weight";
            default -> throw bad("GGUF has no name for the tensor " + ModelFormatException.quote(name));
        };
    }
}
