package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.model.DecoderConfig.Norm;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only transformer: Llama, Mistral, Qwen2, Qwen3 or GPT-2, as its configuration says.
 *
 * <p>Each block adds attention and an MLP to the residual stream, each on a normalized copy (pre-norm): {@code h += attn(norm(h));
 * h += mlp(norm(h))}. One forward pass serves training, prompt processing and decoding; they differ in how a token looks
 * at the others, which is the {@code attend} argument of {@link #hidden}.
 */
public final class Decoder {
    private static final double INITIALIZER_RANGE = 0.02;

    private final DecoderConfig config;
    private final DType dtype;
    private final List<Parameter> parameters;
    private final Tensor embedding;
    private final @Nullable Tensor positionEmbedding;
    private final List<Block> blocks;
    private final NormWeights finalNorm;
    private final Linear head;
    private final @Nullable RotaryTable rotary;

    private final ModuleHooks hooks;

    private record NormWeights(String name, Tensor weight, @Nullable Tensor bias) {}

    private record Block(
            String name,
            NormWeights attentionNorm,
            Linear qkv,
            @Nullable Tensor qNorm,
            @Nullable Tensor kNorm,
            Linear output,
            NormWeights mlpNorm,
            Linear up,
            Linear down) {
        Block pack() {
            return new Block(
                    name, attentionNorm, qkv.pack(), qNorm, kNorm, output.pack(), mlpNorm, up.pack(), down.pack());
        }
    }

    /** A model in the current scope whose weights are undefined until they are loaded or {@link #initialize}d. */
    public Decoder(DecoderConfig config, DType dtype) {
        this.config = config;
        this.dtype = dtype;
        hooks = new ModuleHooks();
        ParameterMaker make = new ParameterMaker(config, dtype);
        embedding = make.weight(make.gpt2 ? "transformer.wte" : "model.embed_tokens", config.vocabSize(), config.hiddenSize());
        positionEmbedding = make.gpt2
                ? make.weight("transformer.wpe", config.maxPositionEmbeddings(), config.hiddenSize())
                : null;
        blocks = new ArrayList<>();
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            blocks.add(make.gpt2 ? gpt2Block(make, "transformer.h." + i) : llamaBlock(make, "model.layers." + i));
        }
        finalNorm = make.norm(make.gpt2 ? "transformer.ln_f" : "model.norm");
        Tensor headWeight = config.tieWordEmbeddings()
                ? embedding
                : make.weight("lm_head", config.vocabSize(), config.hiddenSize());
        head = new Linear(
                new String[] {"lm_head"}, new int[] {config.vocabSize()}, headWeight, null, false, null);
        parameters = List.copyOf(make.parameters);
        rotary = config.rope() == null ? null : new RotaryTable(config, dtype);
    }

    private Decoder(Decoder trained) {
        config = trained.config;
        dtype = trained.dtype;
        hooks = trained.hooks;
        parameters = trained.parameters;
        embedding = trained.embedding;
        positionEmbedding = trained.positionEmbedding;
        blocks = trained.blocks.stream().map(Block::pack).toList();
        finalNorm = trained.finalNorm;
        head = trained.head.pack();
        rotary = trained.rotary;
    }

    private Block llamaBlock(ParameterMaker make, String name) {
        String prefix = name + ".";
        int q = config.querySize();
        int kv = config.keyValueSize();
        String attention = prefix + "self_attn.";
        NormWeights attentionNorm = make.norm(prefix + "input_layernorm");
        Linear qkv = make.joined(
                config.attentionBias(),
                config.hiddenSize(),
                new String[] {attention + "q_proj", attention + "k_proj", attention + "v_proj"},
                q,
                kv,
                kv);
        Tensor qNorm = config.qkNorm() ? make.vector(attention + "q_norm.weight", config.headDim()) : null;
        Tensor kNorm = config.qkNorm() ? make.vector(attention + "k_norm.weight", config.headDim()) : null;
        Linear output = make.joined(
                config.outputBias(), q, new String[] {attention + "o_proj"}, config.hiddenSize());
        NormWeights mlpNorm = make.norm(prefix + "post_attention_layernorm");
        int inner = config.intermediateSize();
        Linear up = make.joined(
                config.mlpBias(),
                config.hiddenSize(),
                new String[] {prefix + "mlp.gate_proj", prefix + "mlp.up_proj"},
                inner,
                inner);
        Linear down = make.joined(config.mlpBias(), inner, new String[] {prefix + "mlp.down_proj"}, config.hiddenSize());
        return new Block(name, attentionNorm, qkv, qNorm, kNorm, output, mlpNorm, up, down);
    }

    private Block gpt2Block(ParameterMaker make, String name) {
        String prefix = name + ".";
        int width = config.hiddenSize();
        NormWeights attentionNorm = make.norm(prefix + "ln_1");
        Linear qkv = make.conv1d(prefix + "attn.c_attn", width, 3 * width);
        Linear output = make.conv1d(prefix + "attn.c_proj", width, width);
        NormWeights mlpNorm = make.norm(prefix + "ln_2");
        Linear up = make.conv1d(prefix + "mlp.c_fc", width, config.intermediateSize());
        Linear down = make.conv1d(prefix + "mlp.c_proj", config.intermediateSize(), width);
        return new Block(name, attentionNorm, qkv, null, null, output, mlpNorm, up, down);
    }

    /** Makes the weights, trained tensors and names side by side, in the order of a Hugging Face checkpoint. */
    private static final class ParameterMaker {
        final List<Parameter> parameters = new ArrayList<>();
        final DecoderConfig config;
        final DType dtype;
        final boolean gpt2;

        ParameterMaker(DecoderConfig config, DType dtype) {
            this.config = config;
            this.dtype = dtype;
            gpt2 = config.norm() == Norm.LAYER_NORM;
        }

        Tensor vector(String name, int size) {
            Tensor t = Tensor.empty(dtype, size).requireGrad();
            parameters.add(new Parameter(name, t, 0, size));
            return t;
        }

        Tensor weight(String name, int rows, int cols) {
            Tensor t = Tensor.empty(dtype, rows, cols).requireGrad();
            parameters.add(new Parameter(name + ".weight", t, 0, rows));
            return t;
        }

        NormWeights norm(String name) {
            Tensor weight = vector(name + ".weight", config.hiddenSize());
            return new NormWeights(name, weight, gpt2 ? vector(name + ".bias", config.hiddenSize()) : null);
        }

        Linear conv1d(String name, int in, int out) {
            Tensor weight = weight(name, in, out);
            return new Linear(new String[] {name}, new int[] {out}, weight, vector(name + ".bias", out), true, null);
        }

        /** Several projections of one input as one tensor. */
        Linear joined(boolean withBias, int in, String[] names, int... out) {
            int rows = 0;
            for (int n : out) {
                rows += n;
            }
            Tensor weight = Tensor.empty(dtype, rows, in).requireGrad();
            Tensor bias = withBias ? Tensor.empty(dtype, rows).requireGrad() : null;
            int start = 0;
            for (int i = 0; i < names.length; i++) {
                parameters.add(new Parameter(names[i] + ".weight", weight, start, out[i]));
                if (bias != null) {
                    parameters.add(new Parameter(names[i] + ".bias", bias, start, out[i]));
                }
                start += out[i];
            }
            return new Linear(names, out, weight, bias, false, null);
        }
    }

    /**
     * Fills the weights as GPT-2 does: normal with deviation 0.02, the projections into the residual stream divided by {@code
     * sqrt(2 layers)} (Radford et al. 2019, section 2.3); norms 1, biases 0.
     */
    public Decoder initialize(Rng rng) {
        double residual = INITIALIZER_RANGE / Math.sqrt(2.0 * config.numHiddenLayers());
        for (Parameter p : parameters) {
            if (p.name().endsWith(".bias")) {
                p.value().fill(0);
            } else if (p.tensor().rank() == 1) {
                p.value().fill(1);
            } else {
                boolean intoResidual = p.name().matches(".*\\.(o_proj|down_proj|c_proj)\\.weight");
                double std = intoResidual ? residual : INITIALIZER_RANGE;
                p.value().copyFrom(Tensor.randn(dtype, rng.split(p.name()), std, p.value().shape()));
            }
        }
        return this;
    }

    /** The configuration. */
    public DecoderConfig config() {
        return config;
    }

    /** Where one registers to see what each module computes, and its gradient. */
    public ModuleHooks hooks() {
        return hooks;
    }

    /** The type of the weights. */
    public DType dtype() {
        return dtype;
    }

    /** All weights under their Hugging Face names, tied ones once. */
    public List<Parameter> parameters() {
        return parameters;
    }

    /** The tensors that an optimizer trains: fewer than {@link #parameters()}, as some hold several of those. */
    public List<Tensor> trained() {
        LinkedHashSet<Tensor> tensors = new LinkedHashSet<>();
        parameters.forEach(p -> tensors.add(p.tensor()));
        return List.copyOf(tensors);
    }

    /** The number of trained numbers. */
    public long size() {
        return trained().stream().mapToLong(Tensor::count).sum();
    }

    /** A copy in the current scope. */
    public Decoder copy() {
        Decoder copy = new Decoder(config, dtype);
        List<Tensor> from = trained();
        List<Tensor> to = copy.trained();
        for (int i = 0; i < from.size(); i++) {
            to.get(i).copyFrom(from.get(i));
        }
        return copy;
    }

    /** This model with its matrices laid out for decoding, in the current scope: the same numbers, but no gradients. */
    public Decoder packed() {
        return new Decoder(this);
    }

    /** The heads of every attention. */
    public Heads heads() {
        return new Heads(
                config.numAttentionHeads(),
                config.numKeyValueHeads(),
                config.headDim(),
                1 / Math.sqrt(config.headDim()),
                true);
    }

    /** The final normalized hidden states {@code [N, C]} of whole sequences. */
    public Tensor hidden(TokenBatch batch) {
        return hidden(batch, null);
    }

    /**
     * The final normalized hidden states {@code [N, C]} of whole sequences.
     *
     * @param states given the embeddings and the residual stream after each block, {@code [N, C]}; or null
     */
    public Tensor hidden(TokenBatch batch, @Nullable Consumer<Tensor> states) {
        Heads heads = heads();
        return hidden(batch, (_, qkv) -> Functional.attention(qkv, batch.ragged(), heads), states);
    }

    /**
     * The final normalized hidden states {@code [N, C]}.
     *
     * @param attend given the index of a block and {@code qkv [N, (heads + 2 kvHeads) headDim]} with rotated queries and keys,
     *     returns what each token took from the others, {@code [N, heads headDim]}
     */
    public Tensor hidden(
            TokenBatch batch, BiFunction<Integer, Tensor, Tensor> attend, @Nullable Consumer<Tensor> states) {
        boolean gpt2 = positionEmbedding != null;
        Tensor h = hooks.see(gpt2 ? "transformer.wte" : "model.embed_tokens", "", Functional.embedding(embedding, batch.ids()));
        if (positionEmbedding != null) {
            Tensor positions = Functional.embedding(positionEmbedding, batch.positions());
            h = h.add(hooks.see("transformer.wpe", "", positions));
        }
        for (int i = 0; i < blocks.size(); i++) {
            Block block = blocks.get(i);
            if (states != null) {
                states.accept(h);
            }
            Tensor qkv = rotated(block, block.qkv.forward(norm(block.attentionNorm, h), hooks), batch.positions());
            Tensor attended = block.output.forward(attend.apply(i, qkv), hooks);
            h = h.add(hooks.see(block.name, gpt2 ? ".attn" : ".self_attn", attended));
            Tensor inner = activation(block.up.forward(norm(block.mlpNorm, h), hooks));
            h = h.add(hooks.see(block.name, ".mlp", block.down.forward(inner, hooks)));
            h = hooks.see(block.name, "", h);
        }
        if (states != null) {
            states.accept(h);
        }
        return norm(finalNorm, h);
    }

    /** The logits {@code [N, V]} of hidden states {@code [N, C]}. */
    public Tensor logits(Tensor hidden) {
        return head.forward(hidden, hooks);
    }

    /**
     * Throws if a sequence is longer than the model can read.
     *
     * @throws IsthmusException naming both lengths
     */
    public void requireLength(int tokens) {
        if (tokens > config.maxPositionEmbeddings()) {
            throw new IsthmusException("a sequence of " + tokens + " tokens is longer than the model's "
                    + config.maxPositionEmbeddings() + " positions (max_position_embeddings)");
        }
    }

    private Tensor norm(NormWeights weights, Tensor x) {
        Tensor y = config.norm() == Norm.RMS_NORM
                ? Functional.rmsNorm(x, weights.weight, config.normEps())
                : Functional.layerNorm(x, weights.weight, weights.bias, config.normEps());
        return hooks.see(weights.name, "", y);
    }

    private Tensor activation(Tensor x) {
        if (config.gatedMlp()) {
            return Functional.swiGlu(x);
        }
        return config.hiddenAct() == Activation.GELU_NEW ? Functional.geluTanh(x) : Functional.gelu(x);
    }

    private Tensor rotated(Block block, Tensor joined, Tensor positions) {
        if (rotary == null) {
            return joined;
        }
        Tensor qkv = joined;
        if (block.qNorm != null && block.kNorm != null) {
            int q = config.querySize();
            int kv = config.keyValueSize();
            qkv = Tensor.cat(
                    1,
                    headNorm(qkv.narrow(1, 0, q), block.qNorm),
                    headNorm(qkv.narrow(1, q, kv), block.kNorm),
                    qkv.narrow(1, q + kv, kv));
        }
        return rotary.rotate(qkv, config.numAttentionHeads() + config.numKeyValueHeads(), positions);
    }

    private Tensor headNorm(Tensor x, Tensor weight) {
        Tensor heads = x.reshape(-1, config.headDim());
        return Functional.rmsNorm(heads, weight, config.normEps()).reshape(x.shape());
    }
}
