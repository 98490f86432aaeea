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
import dev.isthmus.model.io.Gguf.GgufTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.LongBinaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Models in GGUF files, under Hugging Face's names.
 *
 * <p>Beside the names, four things differ: the rows of the query and key projections of Llama, which ggml rotates as neighbors {@code
 * (2i, 2i + 1)} and Hugging Face as {@code (i, i + headDim / 2)}; GPT-2's projections, which ggml stores transposed; the weights of
 * Gemma's norms, to which ggml adds one; and the experts of a layer, which are one tensor in ggml.
 */
final class GgufModel {
    private final Gguf file;
    private final GgufArchitecture architecture;

    private GgufModel(Gguf file) {
        this.file = file;
        String name = file.string("general.architecture");
        this.architecture = GgufArchitecture.named(name == null ? "" : name)
                .orElseThrow(() -> bad("the architecture " + ModelFormatException.quote(name == null ? "" : name)
                        + " is not known; known are "
                        + String.join(
                                ", ",
                                Arrays.stream(GgufArchitecture.values())
                                        .map(GgufArchitecture::ggufName)
                                        .toList())));
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
            if (!tensor.name().equals(GgufArchitecture.ROPE_FACTORS)) {
                for (TensorEntry entry : model.entries(tensor, config, arena)) {
                    tensors.put(entry.name(), entry);
                }
            }
        }
        return new Checkpoint(config, ParameterNames.resolve(config, tensors, file.file()));
    }

    // ---- configuration ---------------------------------------------------------------------------------------------

    private DecoderConfig config() {
        int experts = integer("expert_count", 0);
        ModelType type = architecture.modelType(experts > 0);
        boolean gpt2 = type == ModelType.GPT2;
        int hidden = needed("embedding_length");
        int layers = needed("block_count");
        if (layers > file.tensors().size()) {
            throw bad(layers + " layers in " + file.tensors().size() + " tensors");
        }
        int heads = needed("attention.head_count");
        int headDim = integer("attention.key_length", hidden / Math.max(1, heads));
        if (integer("attention.value_length", headDim) != headDim
                || integer("rope.dimension_count", headDim) != headDim) {
            throw bad("heads whose values, or rotated part, are of another width than their keys are not known");
        }
        GgufTensor embedding = file.tensors().get("token_embd.weight");
        if (embedding == null || embedding.shape().length != 2) {
            throw bad("there is no matrix token_embd.weight");
        }
        Rope rope = gpt2 ? null : new Rope(file.number(key("rope.freq_base"), 10000), ropeScaling(headDim));
        OptionalInt eos = file.integer("tokenizer.ggml.eos_token_id");
        return new DecoderConfig(
                type,
                Math.toIntExact(embedding.shape()[0]),
                hidden,
                needed("feed_forward_length"),
                layers,
                heads,
                integer("attention.head_count_kv", heads),
                headDim,
                needed("context_length"),
                rounded(file.number(
                        key(gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
                        architecture.isGemma() ? 1e-6 : 1e-5)),
                gpt2 || architecture.isGemma() ? Activation.GELU_NEW : Activation.SILU,
                rope,
                gpt2 || file.tensors().containsKey("blk.0.attn_q.bias"),
                gpt2 || file.tensors().containsKey("blk.0.ffn_up.bias"),
                !file.tensors().containsKey("output.weight"),
                file.integer("tokenizer.ggml.bos_token_id"),
                eos.stream().boxed().toList(),
                slidingWindow(layers),
                architecture.isGemma() ? gemma(layers, hidden, heads, headDim) : null,
                experts > 0 ? experts(type, layers, experts) : null);
    }

    /** Only Gemma's: what llama.cpp computes without a window has none. */
    private @Nullable SlidingWindow slidingWindow(int layers) {
        if (!architecture.isGemma()) {
            return null;
        }
        int size = integer("attention.sliding_window", 4096);
        if (file.metadata().get(key("attention.sliding_window_pattern")) instanceof List<?> named) {
            if (named.size() != layers || !named.stream().allMatch(Boolean.class::isInstance)) {
                throw bad("attention.sliding_window_pattern does not name every layer");
            }
            return new SlidingWindow(
                    size, named.stream().map(Boolean.class::cast).toList());
        }
        int pattern = integer("attention.sliding_window_pattern", architecture == GgufArchitecture.GEMMA2 ? 2 : 6);
        if (pattern < 1) {
            throw bad("an attention.sliding_window_pattern of " + pattern);
        }
        return new SlidingWindow(
                size,
                IntStream.range(0, layers)
                        .mapToObj(i -> i % pattern < pattern - 1)
                        .toList());
    }

    private Gemma gemma(int layers, int hidden, int heads, int headDim) {
        boolean gemma3 = architecture == GgufArchitecture.GEMMA3;
        return new Gemma(
                GgufWriter.gemmaScalar(architecture, layers, hidden, heads, headDim),
                rounded(file.number(key("attn_logit_softcapping"), gemma3 ? 0 : 50)),
                rounded(file.number(key("final_logit_softcapping"), gemma3 ? 0 : 30)),
                gemma3 ? new Rope(file.number(key("rope.freq_base_swa"), 10000), null) : null);
    }

    private Experts experts(ModelType type, int layers, int count) {
        GgufTensor inner = file.tensors().values().stream()
                .filter(tensor -> tensor.name().endsWith(".ffn_gate_exps.weight") && tensor.shape().length == 3)
                .findFirst()
                .orElseThrow(() -> bad("there are no tensors ffn_gate_exps for its " + count + " experts"));
        GgufTensor shared = file.tensors().values().stream()
                .filter(tensor -> tensor.name().endsWith(".ffn_gate_shexp.weight") && tensor.shape().length == 2)
                .findFirst()
                .orElse(null);
        return new Experts(
                count,
                needed("expert_used_count"),
                Math.toIntExact(inner.shape()[1]),
                shared == null ? 0 : Math.toIntExact(shared.shape()[0]),
                type != ModelType.QWEN2_MOE,
                0.001,
                IntStream.range(0, layers)
                        .mapToObj(i -> file.tensors().containsKey("blk." + i + ".ffn_gate_inp.weight"))
                        .toList());
    }

    /** The number that was meant: metadata are float32, and 1e-5 in float32 is not 1e-5. */
    private static double rounded(double value) {
        return Double.parseDouble(Float.toString((float) value));
    }

    /** ggml stores the factors of llama3's scaling, not its parameters: ours, then those of the published models are tried. */
    private @Nullable RopeScaling ropeScaling(int headDim) {
        String kind = file.string(key("rope.scaling.type"));
        if ("linear".equals(kind)) {
            return new LinearScaling(rounded(file.number(key("rope.scaling.factor"), 1)));
        }
        if (kind != null && !kind.equals("none")) {
            throw bad("rope scaling of the type " + ModelFormatException.quote(kind) + " is not known");
        }
        GgufTensor factors = file.tensors().get(GgufArchitecture.ROPE_FACTORS);
        if (factors == null) {
            return null;
        }
        double theta = file.number(key("rope.freq_base"), 10000);
        float[] stored =
                new TensorEntry(GgufArchitecture.ROPE_FACTORS, "F32", factors.shape(), factors.data()).toFloats();
        List<Llama3Scaling> candidates =
                new ArrayList<>(List.of(new Llama3Scaling(8, 1, 4, 8192), new Llama3Scaling(32, 1, 4, 8192)));
        if (file.metadata().containsKey(GgufArchitecture.ROPE_PARAMETERS)) {
            List<Double> p = file.list(GgufArchitecture.ROPE_PARAMETERS, Double.class);
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
        OptionalInt value = file.integer(key(key));
        if (value.isEmpty()) {
            throw bad("expected a whole number at '" + key(key) + "'");
        }
        return value.getAsInt();
    }

    private int integer(String key, int absent) {
        return file.metadata().containsKey(key(key)) ? needed(key) : absent;
    }

    private String key(String name) {
        return architecture.ggufName() + "." + name;
    }

    // ---- tensors ---------------------------------------------------------------------------------------------------

    private List<TensorEntry> entries(GgufTensor tensor, DecoderConfig config, Arena arena) {
        String name = architecture.hfName(tensor.name());
        long[] shape = tensor.shape();
        boolean turned = architecture.transposes(name, shape);
        TensorEntry entry = switch (tensor.type()) {
            case F32, F64, F16, BF16 -> new TensorEntry(name, tensor.type().name(), shape, tensor.data());
            case Q8_0, Q4_0 ->
                turned || shape.length < 2
                        ? dequantized(tensor, name, arena)
                        : new TensorEntry(name, tensor.type().name(), shape, tensor.data());
            case I8, I16, I32, I64 ->
                throw bad("the tensor " + ModelFormatException.quote(tensor.name()) + " holds integers");
            default -> dequantized(tensor, name, arena);
        };
        if (name.contains(".experts.*.")) {
            return experts(entry, config);
        }
        if (name.endsWith(".shared_expert_gate.weight") && shape.length == 1) {
            return List.of(new TensorEntry(name, entry.typeName(), new long[] {1, shape[0]}, entry.data()));
        }
        if (architecture.rotatesNeighbors(name)) {
            int heads = name.contains("q_proj") ? config.numAttentionHeads() : config.numKeyValueHeads();
            return List.of(halves(entry, heads, arena));
        }
        if (turned) {
            return List.of(transposed(entry, arena));
        }
        float added = architecture.added(name);
        return List.of(added == 0 ? entry : plus(entry, -added, arena));
    }

    private static TensorEntry dequantized(GgufTensor tensor, String name, Arena arena) {
        long elements = tensor.data().byteSize()
                / tensor.type().blockBytes()
                * tensor.type().blockElements();
        MemorySegment floats = arena.allocate(4 * elements, 64);
        GgufBlocks.dequantize(tensor.type(), tensor.data(), floats);
        return new TensorEntry(name, StoredType.F32, tensor.shape(), floats);
    }

    /** Each expert's part of a tensor {@code [experts, out, in]}. */
    private List<TensorEntry> experts(TensorEntry all, DecoderConfig config) {
        long[] shape = all.shape();
        int count = config.experts() == null ? 0 : config.experts().numExperts();
        if (shape.length != 3 || shape[0] != count || count > all.data().byteSize()) {
            throw bad("the tensor " + ModelFormatException.quote(all.name()) + " has the shape "
                    + Arrays.toString(shape) + " for " + count + " experts");
        }
        long bytes = all.data().byteSize() / count;
        List<TensorEntry> each = new ArrayList<>(count);
        for (int e = 0; e < count; e++) {
            each.add(new TensorEntry(
                    all.name().replace("*", Integer.toString(e)),
                    all.typeName(),
                    new long[] {shape[1], shape[2]},
                    all.data().asSlice(e * bytes, bytes)));
        }
        return each;
    }

    /** A tensor with {@code addend} added to each element, as float32. */
    static TensorEntry plus(TensorEntry entry, float addend, Arena arena) {
        float[] values = entry.toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] += addend;
        }
        MemorySegment out = arena.allocate(4L * values.length, 64).copyFrom(MemorySegment.ofArray(values));
        return new TensorEntry(entry.name(), StoredType.F32, entry.shape(), out);
    }

    /** The rows of each head, even ones first, then odd ones. */
    private TensorEntry halves(TensorEntry entry, int heads, Arena arena) {
        return rows(
                file.file(), entry, heads, arena, (d, headDim) -> d < headDim / 2 ? 2 * d : 2 * (d - headDim / 2) + 1);
    }

    /** The rows of each head, the first of each half together, then the second: what {@link #halves} undoes. */
    static TensorEntry neighbors(Path file, TensorEntry entry, int heads, Arena arena) {
        return rows(file, entry, heads, arena, (d, headDim) -> d / 2 + d % 2 * (headDim / 2));
    }

    private static TensorEntry rows(Path file, TensorEntry entry, int heads, Arena arena, LongBinaryOperator source) {
        long rows = entry.shape()[0];
        if (rows == 0 || rows % (2L * heads) != 0) {
            throw new ModelFormatException(
                    file,
                    "the tensor " + ModelFormatException.quote(entry.name()) + " has " + rows + " rows for " + heads
                            + " heads");
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
}
