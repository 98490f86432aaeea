package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.model.DecoderConfig.Gemma;
import dev.isthmus.model.DecoderConfig.LinearScaling;
import dev.isthmus.model.DecoderConfig.Llama3Scaling;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.model.DecoderConfig.SlidingWindow;
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
import java.util.stream.IntStream;

/** Writes models as GGUF files that llama.cpp runs; {@link GgufModel} says what differs from Hugging Face's. */
final class GgufWriter {
    private final Path path;
    private final DecoderConfig config;
    private final GgufArchitecture architecture;
    private final Map<String, Object> metadata = new LinkedHashMap<>();

    private GgufWriter(Path path, DecoderConfig config) {
        this.path = path;
        this.config = config;
        this.architecture = GgufArchitecture.of(config.modelType());
    }

    /**
     * Writes a model.
     *
     * @param type of the matrices, F32, F16, BF16, Q8_0 or Q4_0; one whose rows are not whole blocks becomes F16, vectors stay F32
     * @param vocabulary metadata of the tokenizer
     * @throws IsthmusException if GGUF cannot say what the model is, or the file cannot be written
     */
    static void write(Path path, Checkpoint checkpoint, GgufType type, Map<String, Object> vocabulary) {
        GgufWriter writer = new GgufWriter(path, checkpoint.config());
        writer.configuration();
        writer.metadata.putAll(vocabulary);
        try (Arena arena = Arena.ofConfined()) {
            Gguf.write(path, writer.metadata, writer.tensors(checkpoint, type, arena));
        }
    }

    // ---- configuration ---------------------------------------------------------------------------------------------

    private void configuration() {
        boolean gpt2 = architecture == GgufArchitecture.GPT2;
        if (gpt2 && config.hiddenAct() != Activation.GELU_NEW) {
            throw cannot("computes GPT-2 with gelu_new", config.hiddenAct().hfName());
        }
        metadata.put("general.architecture", architecture.ggufName());
        put("vocab_size", config.vocabSize());
        put("context_length", config.maxPositionEmbeddings());
        put("embedding_length", config.hiddenSize());
        put("block_count", config.numHiddenLayers());
        put("feed_forward_length", config.intermediateSize());
        put("attention.head_count", config.numAttentionHeads());
        put("attention.head_count_kv", config.numKeyValueHeads());
        put(gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", config.normEps());
        if (config.rope() != null) {
            rope(config.rope());
        }
        if (config.gemma() != null) {
            gemma(config.gemma());
        } else if (IntStream.range(0, config.numHiddenLayers())
                .anyMatch(i -> config.window(i) > 0 && config.window(i) < config.maxPositionEmbeddings())) {
            throw cannot("reads " + architecture.ggufName() + " without a sliding window", "one");
        }
        if (config.experts() != null) {
            experts(config.experts());
        }
    }

    private void rope(Rope rope) {
        put("attention.key_length", config.headDim());
        put("attention.value_length", config.headDim());
        put("rope.dimension_count", config.headDim());
        put("rope.freq_base", rope.theta());
        switch (rope.scaling()) {
            case null -> {}
            case LinearScaling linear -> {
                metadata.put(key("rope.scaling.type"), "linear");
                put("rope.scaling.factor", linear.factor());
            }
            case Llama3Scaling scaling ->
                metadata.put(
                        GgufArchitecture.ROPE_PARAMETERS,
                        List.of(scaling.factor(), scaling.lowFreqFactor(), scaling.highFreqFactor(), (double)
                                scaling.originalMaxPositionEmbeddings()));
        }
    }

    private void gemma(Gemma gemma) {
        boolean gemma3 = architecture == GgufArchitecture.GEMMA3;
        double scalar = gemmaScalar(
                architecture,
                config.numHiddenLayers(),
                config.hiddenSize(),
                config.numAttentionHeads(),
                config.headDim());
        if (gemma.queryPreAttnScalar() != scalar) {
            throw cannot(
                    "divides scores by the root of " + scalar, "query_pre_attn_scalar " + gemma.queryPreAttnScalar());
        }
        if (config.hiddenAct() != Activation.GELU_NEW) {
            throw cannot("computes Gemma with gelu_new", config.hiddenAct().hfName());
        }
        if (gemma3 && (gemma.attnLogitSoftcapping() != 0 || gemma.finalLogitSoftcapping() != 0)) {
            throw cannot("computes Gemma 3 without soft-capping", "it");
        }
        if (!gemma3) {
            if (gemma.attnLogitSoftcapping() == 0 || gemma.finalLogitSoftcapping() == 0) {
                throw cannot("computes Gemma 2 with soft-capping", "none");
            }
            put("attn_logit_softcapping", gemma.attnLogitSoftcapping());
            put("final_logit_softcapping", gemma.finalLogitSoftcapping());
        }
        Rope local = gemma.localRope();
        if (local != null) {
            if (local.scaling() != null) {
                throw cannot("does not scale the positions of layers with a window", "such a scaling");
            }
            put("rope.freq_base_swa", local.theta());
        }
        SlidingWindow window = config.slidingWindow();
        int pattern = gemma3 ? 6 : 2;
        boolean usual = window != null
                && IntStream.range(0, config.numHiddenLayers())
                        .allMatch(i -> window.layers().get(i) == (i % pattern < pattern - 1));
        if (window == null || !usual) {
            throw cannot("reads all keys in every layer that is a multiple of " + pattern, "other layer_types");
        }
        put("attention.sliding_window", window.size());
    }

    /** The number by whose root llama.cpp divides the scores of Gemma: files do not say it. */
    static double gemmaScalar(GgufArchitecture architecture, int layers, int hidden, int heads, int headDim) {
        boolean largest = layers == (architecture == GgufArchitecture.GEMMA2 ? 46 : 62);
        return largest ? hidden / heads : headDim;
    }

    private void experts(Experts experts) {
        boolean qwen2 = architecture == GgufArchitecture.QWEN2MOE;
        if (experts.normTopkProb() == qwen2) {
            throw cannot("computes " + architecture.ggufName() + " with norm_topk_prob " + !qwen2, qwen2 + " there");
        }
        if (experts.layers().contains(false)) {
            throw cannot("wants experts in every layer", "some without");
        }
        put("expert_count", experts.numExperts());
        put("expert_used_count", experts.numExpertsPerTok());
        if (architecture != GgufArchitecture.LLAMA) {
            put("expert_feed_forward_length", experts.moeIntermediateSize());
        }
        if (qwen2) {
            put("expert_shared_feed_forward_length", experts.sharedExpertIntermediateSize());
        }
    }

    private IsthmusException cannot(String llamaCpp, String found) {
        return new IsthmusException(
                "Cannot write " + path + ": llama.cpp " + llamaCpp + ", this model has " + found + "; use safetensors");
    }

    private String key(String name) {
        return architecture.ggufName() + "." + name;
    }

    private void put(String name, long value) {
        metadata.put(key(name), value);
    }

    private void put(String name, double value) {
        metadata.put(key(name), value);
    }

    // ---- tensors ---------------------------------------------------------------------------------------------------

    private List<GgufTensor> tensors(Checkpoint checkpoint, GgufType type, Arena arena) {
        Map<String, List<TensorEntry>> parts = new LinkedHashMap<>();
        for (TensorEntry entry : checkpoint.tensors().values()) {
            parts.computeIfAbsent(GgufArchitecture.allExperts(entry.name()), _ -> new ArrayList<>())
                    .add(entry);
        }
        List<GgufTensor> tensors = new ArrayList<>();
        parts.forEach((name, entries) -> tensors.add(tensor(name, entries, type, arena)));
        Rope rope = config.rope();
        if (rope != null && rope.scaling() instanceof Llama3Scaling scaling) {
            int half = config.headDim() / 2;
            MemorySegment factors = arena.allocate(4L * half, 64);
            for (int i = 0; i < half; i++) {
                double frequency = Math.pow(rope.theta(), -2.0 * i / config.headDim());
                factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (frequency / scaling.scale(frequency)));
            }
            tensors.add(new GgufTensor(GgufArchitecture.ROPE_FACTORS, GgufType.F32, new long[] {half}, factors));
        }
        return tensors;
    }

    /** One tensor, or one of all experts of a layer, {@code [experts, out, in]}. */
    private GgufTensor tensor(String name, List<TensorEntry> parts, GgufType wanted, Arena arena) {
        String ggufName = architecture
                .ggufName(name)
                .orElseThrow(() -> new IsthmusException("Cannot write " + path + ": GGUF has no name for the tensor "
                        + ModelFormatException.quote(name) + "; use safetensors"));
        List<TensorEntry> ordered =
                parts.stream().map(part -> ordered(part, arena)).toList();
        long[] shape = ordered.getFirst().shape();
        // The gate of the shared expert is a vector there; the choice of experts stays exact.
        boolean vector = shape.length < 2 || name.endsWith("shared_expert_gate.weight");
        boolean exact = vector || ggufName.endsWith("ffn_gate_inp.weight");
        GgufType type =
                exact ? GgufType.F32 : shape[shape.length - 1] % wanted.blockElements() == 0 ? wanted : GgufType.F16;
        long[] stored = vector ? new long[] {shape[shape.length - 1]} : shape;
        if (!name.contains(".experts.*.")) {
            return new GgufTensor(ggufName, type, stored, encoded(ordered.getFirst(), type, arena));
        }
        List<MemorySegment> data =
                ordered.stream().map(part -> encoded(part, type, arena)).toList();
        long bytes = data.getFirst().byteSize();
        MemorySegment all = arena.allocate(bytes * data.size(), 64);
        for (int e = 0; e < data.size(); e++) {
            MemorySegment.copy(data.get(e), 0, all, e * bytes, bytes);
        }
        return new GgufTensor(ggufName, type, new long[] {data.size(), shape[0], shape[1]}, all);
    }

    private TensorEntry ordered(TensorEntry entry, Arena arena) {
        String name = entry.name();
        if (architecture.rotatesNeighbors(name)) {
            int heads = name.contains("q_proj") ? config.numAttentionHeads() : config.numKeyValueHeads();
            return GgufModel.neighbors(path, entry, heads, arena);
        }
        if (architecture.transposes(name, entry.shape())) {
            return GgufModel.transposed(entry, arena);
        }
        float added = architecture.added(name);
        return added == 0 ? entry : GgufModel.plus(entry, added, arena);
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
}
