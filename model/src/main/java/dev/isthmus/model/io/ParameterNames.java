package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.model.DecoderConfig.ModelType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The parameters that a checkpoint of a configuration holds, under Hugging Face's names. */
public final class ParameterNames {
    /** What old versions of transformers saved beside the parameters and newer ones compute anew. */
    private static final Pattern BUFFERS =
            Pattern.compile("transformer\\.h\\.\\d+\\.attn\\.(bias|masked_bias)|.*\\.rotary_emb\\.inv_freq");

    /**
     * A parameter of a model.
     *
     * @param name its name in the checkpoint, for example {@code model.layers.0.self_attn.q_proj.weight}
     * @param shape {@code [out, in]} for a projection, except for GPT-2's, which are {@code [in, out]}
     */
    public record Parameter(String name, long[] shape) {
        /** The number of elements. */
        public long elements() {
            return Arrays.stream(shape).reduce(1, Math::multiplyExact);
        }
    }

    private final List<Parameter> parameters = new ArrayList<>();

    private ParameterNames() {}

    /** The parameters in the order of computation: embeddings, blocks, final norm, output projection unless it is tied. */
    public static List<Parameter> of(DecoderConfig config) {
        ParameterNames names = new ParameterNames();
        if (config.modelType() == ModelType.GPT2) {
            names.gpt2(config);
        } else {
            names.llamaStyle(config);
        }
        if (!config.tieWordEmbeddings()) {
            names.add("lm_head.weight", config.vocabSize(), config.hiddenSize());
        }
        return List.copyOf(names.parameters);
    }

    /** Whether a tensor belongs to the head of a classifier, such as a reward model. */
    static boolean ofClassifier(String name) {
        return name.startsWith("score.") || name.startsWith("classifier.");
    }

    /** The number of parameters of a model, a tied embedding counted once. */
    public static long count(DecoderConfig config) {
        return of(config).stream().mapToLong(Parameter::elements).sum();
    }

    /**
     * Finds the tensor of every parameter. The prefix {@code model.} or {@code transformer.}, which checkpoints of the bare
     * model lack, may be missing; saved masks, rotary frequencies, the copy of a tied embedding and the head of a
     * classifier are left out.
     *
     * @param tensors a checkpoint's tensors by name
     * @param source the checkpoint, for messages
     * @return the tensors under the names of {@link #of}, in that order
     * @throws ModelFormatException if tensors are missing, unexpected, of the wrong shape, or not floating-point
     */
    static Map<String, TensorEntry> resolve(DecoderConfig config, Map<String, TensorEntry> tensors, Path source) {
        long experts = config.experts() == null
                ? 0
                : config.experts().layers().stream().filter(sparse -> sparse).count()
                        * config.experts().numExperts();
        // Before a name is made for each of them.
        if (config.numHiddenLayers() > tensors.size() || experts > tensors.size()) {
            throw new ModelFormatException(
                    source,
                    "the configuration asks for " + config.numHiddenLayers() + " layers"
                            + (experts > 0 ? " and " + experts + " experts" : "") + ", the checkpoint holds only "
                            + tensors.size() + " tensors");
        }
        String prefix = config.modelType() == ModelType.GPT2 ? "transformer." : "model.";
        Map<String, TensorEntry> found = new LinkedHashMap<>();
        Set<String> unexpected = new TreeSet<>();
        for (Map.Entry<String, TensorEntry> tensor : tensors.entrySet()) {
            String name = tensor.getKey();
            boolean complete = name.startsWith(prefix) || name.equals("lm_head.weight");
            if (found.putIfAbsent(complete ? name : prefix + name, tensor.getValue()) != null) {
                unexpected.add(name);
            }
        }

        Map<String, TensorEntry> resolved = new LinkedHashMap<>();
        List<String> missing = new ArrayList<>();
        List<String> wrong = new ArrayList<>();
        for (Parameter parameter : of(config)) {
            TensorEntry tensor = found.remove(parameter.name);
            if (tensor == null) {
                missing.add(parameter.name);
            } else if (!Arrays.equals(tensor.shape(), parameter.shape)) {
                wrong.add(parameter.name + " has the shape " + Arrays.toString(tensor.shape()) + " instead of "
                        + Arrays.toString(parameter.shape));
            } else if (!Set.of("F64", "F32", "F16", "BF16", "Q8_0", "Q4_0").contains(tensor.typeName())) {
                wrong.add(parameter.name + " has the type " + ModelFormatException.quote(tensor.typeName()));
            } else {
                resolved.put(parameter.name, tensor);
            }
        }
        found.forEach((name, tensor) -> {
            boolean tiedCopy = config.tieWordEmbeddings() && name.equals("lm_head.weight");
            if (!tiedCopy
                    && !ofClassifier(tensor.name())
                    && !BUFFERS.matcher(name).matches()) {
                unexpected.add(tensor.name());
            }
        });
        String problems =
                List.of(few("missing", missing), few("unexpected", List.copyOf(unexpected)), few("wrong", wrong))
                        .stream()
                        .filter(text -> !text.isEmpty())
                        .collect(Collectors.joining("; "));
        if (!problems.isEmpty()) {
            throw new ModelFormatException(source, "the tensors do not fit the configuration: " + problems);
        }
        return resolved;
    }

    private void llamaStyle(DecoderConfig config) {
        int hidden = config.hiddenSize();
        int queries = config.querySize();
        int keys = config.keyValueSize();
        int inner = config.intermediateSize();
        add("model.embed_tokens.weight", config.vocabSize(), hidden);
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            String layer = "model.layers." + i;
            add(layer + ".input_layernorm.weight", hidden);
            linear(layer + ".self_attn.q_proj", config.attentionBias(), queries, hidden);
            linear(layer + ".self_attn.k_proj", config.attentionBias(), keys, hidden);
            linear(layer + ".self_attn.v_proj", config.attentionBias(), keys, hidden);
            linear(layer + ".self_attn.o_proj", config.outputBias(), hidden, queries);
            if (config.qkNorm()) {
                add(layer + ".self_attn.q_norm.weight", config.headDim());
                add(layer + ".self_attn.k_norm.weight", config.headDim());
            }
            add(layer + ".post_attention_layernorm.weight", hidden);
            if (config.postNorms()) {
                add(layer + ".pre_feedforward_layernorm.weight", hidden);
            }
            if (config.sparse(i)) {
                experts(config, Objects.requireNonNull(config.experts()), layer);
            } else {
                mlp(config, layer + ".mlp.", inner, "gate_proj", "up_proj", "down_proj");
            }
            if (config.postNorms()) {
                add(layer + ".post_feedforward_layernorm.weight", hidden);
            }
        }
        add("model.norm.weight", hidden);
    }

    private void mlp(DecoderConfig config, String prefix, int inner, String gate, String up, String down) {
        linear(prefix + gate, config.mlpBias(), inner, config.hiddenSize());
        linear(prefix + up, config.mlpBias(), inner, config.hiddenSize());
        linear(prefix + down, config.mlpBias(), config.hiddenSize(), inner);
    }

    private void experts(DecoderConfig config, Experts experts, String layer) {
        boolean mixtral = config.modelType() == ModelType.MIXTRAL;
        String prefix = layer + (mixtral ? ".block_sparse_moe." : ".mlp.");
        add(prefix + "gate.weight", experts.numExperts(), config.hiddenSize());
        for (int e = 0; e < experts.numExperts(); e++) {
            String expert = prefix + "experts." + e + ".";
            if (mixtral) {
                mlp(config, expert, experts.moeIntermediateSize(), "w1", "w3", "w2");
            } else {
                mlp(config, expert, experts.moeIntermediateSize(), "gate_proj", "up_proj", "down_proj");
            }
        }
        if (experts.sharedExpertIntermediateSize() > 0) {
            mlp(
                    config,
                    prefix + "shared_expert.",
                    experts.sharedExpertIntermediateSize(),
                    "gate_proj",
                    "up_proj",
                    "down_proj");
            add(prefix + "shared_expert_gate.weight", 1, config.hiddenSize());
        }
    }

    private void gpt2(DecoderConfig config) {
        int hidden = config.hiddenSize();
        add("transformer.wte.weight", config.vocabSize(), hidden);
        add("transformer.wpe.weight", config.maxPositionEmbeddings(), hidden);
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            String layer = "transformer.h." + i;
            layerNorm(layer + ".ln_1", hidden);
            conv1d(layer + ".attn.c_attn", hidden, 3 * hidden);
            conv1d(layer + ".attn.c_proj", hidden, hidden);
            layerNorm(layer + ".ln_2", hidden);
            conv1d(layer + ".mlp.c_fc", hidden, config.intermediateSize());
            conv1d(layer + ".mlp.c_proj", config.intermediateSize(), hidden);
        }
        layerNorm("transformer.ln_f", hidden);
    }

    private void linear(String name, boolean bias, long out, long in) {
        add(name + ".weight", out, in);
        if (bias) {
            add(name + ".bias", out);
        }
    }

    private void conv1d(String name, long in, long out) {
        add(name + ".weight", in, out);
        add(name + ".bias", out);
    }

    private void layerNorm(String name, long size) {
        add(name + ".weight", size);
        add(name + ".bias", size);
    }

    private void add(String name, long... shape) {
        parameters.add(new Parameter(name, shape));
    }

    private static String few(String what, List<String> items) {
        if (items.isEmpty()) {
            return "";
        }
        String shown = items.stream().limit(3).map(ParameterNames::shown).collect(Collectors.joining(", "));
        return what + ": " + shown + (items.size() > 3 ? " and " + (items.size() - 3) + " more" : "");
    }

    private static String shown(String item) {
        String quoted = ModelFormatException.quote(item);
        return quoted.substring(1, quoted.length() - 1);
    }
}
