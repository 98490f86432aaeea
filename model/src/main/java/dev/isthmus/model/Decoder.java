package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.DecoderConfig.Norm;
import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.model.FeedForward.Mlp;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only transformer: Llama, Mistral, Mixtral, Qwen, Gemma or GPT-2, as its configuration says.
 *
 * <p>Each block adds attention and an MLP to the residual stream, each on a normalized copy (pre-norm): {@code h += attn(norm(h));
 * h += mlp(norm(h))}; Gemma normalizes what is added, too. One forward pass serves training, prompt processing and decoding; they differ in how a token looks
 * at the others, which is the {@code attend} argument of {@link #hidden}.
 */
public final class Decoder {
    private static final double INITIALIZER_RANGE = 0.02;

    private final DecoderConfig config;
    private final DType dtype;
    private final List<Parameter> parameters;
    private final @Nullable Map<String, StoredWeight> stored;
    private final Embedding embedding;
    private final @Nullable Tensor positionEmbedding;
    private final List<Block> blocks;
    private final NormWeights finalNorm;
    private final Linear head;
    private final @Nullable RotaryTable rotary;
    private final @Nullable RotaryTable localRotary;
    private final ModuleHooks hooks;
    private final List<Adapter> adapters;
    private final Decoder base;
    private boolean gradientCheckpointing;

    /** Sees what a forward pass computes on its way. */
    @FunctionalInterface
    public interface Trace {
        /** Given the embeddings, and the residual stream after each block, {@code [N, C]}. */
        void state(Tensor hidden);

        /** Given the logits of the router of each layer that has experts, {@code [N, experts]}. */
        default void routerLogits(Tensor logits) {}
    }

    private record NormWeights(
            String name, Tensor weight, @Nullable Tensor bias) {
        NormWeights frozen() {
            return new NormWeights(name, weight.detach(), bias == null ? null : bias.detach());
        }
    }

    private record Block(
            String name,
            NormWeights attentionNorm,
            Linear qkv,
            @Nullable Tensor qNorm,
            @Nullable Tensor kNorm,
            Linear output,
            @Nullable NormWeights afterAttention,
            NormWeights mlpNorm,
            FeedForward mlp,
            @Nullable NormWeights afterMlp) {
        /** The same with other projections. */
        Block map(UnaryOperator<Linear> f) {
            return new Block(
                    name,
                    attentionNorm,
                    f.apply(qkv),
                    qNorm,
                    kNorm,
                    f.apply(output),
                    afterAttention,
                    mlpNorm,
                    mlp.map(f),
                    afterMlp);
        }

        /** The same with frozen norms. */
        Block frozen() {
            return new Block(
                    name,
                    attentionNorm.frozen(),
                    qkv,
                    qNorm == null ? null : qNorm.detach(),
                    kNorm == null ? null : kNorm.detach(),
                    output,
                    afterAttention == null ? null : afterAttention.frozen(),
                    mlpNorm.frozen(),
                    mlp,
                    afterMlp == null ? null : afterMlp.frozen());
        }
    }

    /** A model in the current scope whose weights are undefined until they are loaded or {@link #initialize}d. */
    public Decoder(DecoderConfig config, DType dtype) {
        this(config, dtype, null);
    }

    /**
     * A model for inference whose matrices are used as files hold them; its other parameters, float32, are undefined until they
     * are loaded.
     *
     * @param stored the matrices that are multiplied, each {@code [out, in]}, under their Hugging Face names
     * @throws IsthmusException if one is missing or of another size
     */
    public Decoder(DecoderConfig config, Map<String, StoredWeight> stored) {
        this(config, DType.FLOAT32, stored);
    }

    private Decoder(DecoderConfig config, DType dtype, @Nullable Map<String, StoredWeight> stored) {
        this.config = config;
        this.dtype = dtype;
        this.stored = stored;
        hooks = new ModuleHooks();
        boolean gpt2 = config.norm() == Norm.LAYER_NORM;
        ParameterMaker make = new ParameterMaker(dtype, stored);
        embedding = make.embedding(
                gpt2 ? "transformer.wte" : "model.embed_tokens", config.vocabSize(), config.hiddenSize());
        positionEmbedding =
                gpt2 ? make.table("transformer.wpe", config.maxPositionEmbeddings(), config.hiddenSize()) : null;
        blocks = new ArrayList<>();
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            blocks.add(gpt2 ? gpt2Block(make, "transformer.h." + i) : llamaBlock(make, i));
        }
        finalNorm = norm(make, gpt2 ? "transformer.ln_f" : "model.norm");
        head = config.tieWordEmbeddings()
                ? new Linear(new String[] {"lm_head"}, new int[] {config.vocabSize()}, embedding.matrix(), null)
                : make.linear(false, config.hiddenSize(), "lm_head", config.vocabSize());
        parameters = List.copyOf(make.parameters);
        Rope rope = config.rope();
        Rope local = config.gemma() == null ? null : config.gemma().localRope();
        rotary = rope == null ? null : new RotaryTable(config, rope, dtype);
        localRotary = local == null ? rotary : new RotaryTable(config, local, dtype);
        adapters = List.of();
        base = this;
    }

    /** {@code model} with its matrices laid out for decoding. */
    private Decoder(Decoder model) {
        config = model.config;
        dtype = model.dtype;
        stored = model.stored;
        hooks = model.hooks;
        parameters = model.parameters;
        embedding = model.embedding;
        positionEmbedding = model.positionEmbedding;
        blocks = model.blocks.stream().map(block -> block.map(Linear::pack)).toList();
        finalNorm = model.finalNorm;
        head = model.head.pack();
        rotary = model.rotary;
        localRotary = model.localRotary;
        adapters = model.adapters;
        base = model.base;
    }

    /** {@code base} with frozen weights, changed by adapters. */
    private Decoder(Decoder base, List<Adapter> adapters) {
        config = base.config;
        dtype = base.dtype;
        stored = base.stored;
        hooks = base.hooks;
        parameters = base.parameters;
        embedding = base.embedding.frozen();
        positionEmbedding = base.positionEmbedding == null ? null : base.positionEmbedding.detach();
        blocks = base.blocks.stream()
                .map(block -> block.frozen().map(linear -> linear.with(adapters)))
                .toList();
        finalNorm = base.finalNorm.frozen();
        head = base.head.with(List.of());
        rotary = base.rotary;
        localRotary = base.localRotary;
        this.adapters = List.copyOf(adapters);
        this.base = base;
    }

    /**
     * This model with its weights frozen and changed by adapters, which are what is trained; nothing is copied. They act together,
     * one after the other, on the sequences of a batch that does not {@linkplain TokenBatch#withAdapters pick} one for each.
     *
     * @throws IsthmusException if it has adapters already
     */
    public Decoder with(Adapter... added) {
        if (!adapters.isEmpty()) {
            throw new IsthmusException("this model has adapters; add them all at once to its base()");
        }
        return new Decoder(this, List.of(added));
    }

    /** The model without its adapters: the reference of a policy that they train. Itself if it has none. */
    public Decoder base() {
        return base;
    }

    /** The adapters that change this model. */
    public List<Adapter> adapters() {
        return adapters;
    }

    /** A copy in the current scope of this model without adapters, their changes added to its weights. */
    public Decoder merged() {
        Decoder copy = base.copy();
        adapters.forEach(adapter -> adapter.merge(copy));
        return copy;
    }

    /** All projections but the output head, in the order of computation. */
    List<Linear> linears() {
        List<Linear> linears = new ArrayList<>();
        for (Block block : blocks) {
            block.map(linear -> {
                linears.add(linear);
                return linear;
            });
        }
        return linears;
    }

    private Block llamaBlock(ParameterMaker make, int layer) {
        String name = "model.layers." + layer;
        String prefix = name + ".";
        int hidden = config.hiddenSize();
        int q = config.querySize();
        int kv = config.keyValueSize();
        boolean post = config.postNorms();
        String attention = prefix + "self_attn.";
        NormWeights attentionNorm = norm(make, prefix + "input_layernorm");
        Linear qkv = make.joined(
                config.attentionBias(),
                hidden,
                new String[] {attention + "q_proj", attention + "k_proj", attention + "v_proj"},
                q,
                kv,
                kv);
        Tensor qNorm = config.qkNorm() ? make.vector(attention + "q_norm.weight", config.headDim()) : null;
        Tensor kNorm = config.qkNorm() ? make.vector(attention + "k_norm.weight", config.headDim()) : null;
        Linear output = make.linear(config.outputBias(), q, attention + "o_proj", hidden);
        NormWeights afterAttention = post ? norm(make, prefix + "post_attention_layernorm") : null;
        NormWeights mlpNorm = norm(make, prefix + (post ? "pre_feedforward_layernorm" : "post_attention_layernorm"));
        FeedForward mlp = config.sparse(layer)
                ? experts(make, prefix, Objects.requireNonNull(config.experts()))
                : mlp(make, prefix + "mlp.", config.intermediateSize());
        NormWeights afterMlp = post ? norm(make, prefix + "post_feedforward_layernorm") : null;
        return new Block(name, attentionNorm, qkv, qNorm, kNorm, output, afterAttention, mlpNorm, mlp, afterMlp);
    }

    private Mlp mlp(ParameterMaker make, String prefix, int inner) {
        return mlp(make, inner, prefix + "gate_proj", prefix + "up_proj", prefix + "down_proj");
    }

    private Mlp mlp(ParameterMaker make, int inner, String gate, String up, String down) {
        boolean bias = config.mlpBias();
        int hidden = config.hiddenSize();
        Linear gateUp = make.joined(bias, hidden, new String[] {gate, up}, inner, inner);
        return new Mlp(gateUp, make.linear(bias, inner, down, hidden), config.hiddenAct(), true);
    }

    private MixtureOfExperts experts(ParameterMaker make, String layer, Experts sizes) {
        boolean mixtral = config.modelType() == ModelType.MIXTRAL;
        int hidden = config.hiddenSize();
        String prefix = layer + (mixtral ? "block_sparse_moe." : "mlp.");
        Linear router = make.linear(false, hidden, prefix + "gate", sizes.numExperts());
        List<Mlp> experts = new ArrayList<>();
        for (int e = 0; e < sizes.numExperts(); e++) {
            String expert = prefix + "experts." + e + ".";
            int inner = sizes.moeIntermediateSize();
            experts.add(
                    mixtral ? mlp(make, inner, expert + "w1", expert + "w3", expert + "w2") : mlp(make, expert, inner));
        }
        int shared = sizes.sharedExpertIntermediateSize();
        return new MixtureOfExperts(
                sizes,
                router,
                experts,
                shared == 0 ? null : mlp(make, prefix + "shared_expert.", shared),
                shared == 0 ? null : make.linear(false, hidden, prefix + "shared_expert_gate", 1));
    }

    private Block gpt2Block(ParameterMaker make, String name) {
        String prefix = name + ".";
        int width = config.hiddenSize();
        NormWeights attentionNorm = norm(make, prefix + "ln_1");
        Linear qkv = make.conv1d(prefix + "attn.c_attn", width, 3 * width);
        Linear output = make.conv1d(prefix + "attn.c_proj", width, width);
        NormWeights mlpNorm = norm(make, prefix + "ln_2");
        Linear up = make.conv1d(prefix + "mlp.c_fc", width, config.intermediateSize());
        Linear down = make.conv1d(prefix + "mlp.c_proj", config.intermediateSize(), width);
        Mlp mlp = new Mlp(up, down, config.hiddenAct(), false);
        return new Block(name, attentionNorm, qkv, null, null, output, null, mlpNorm, mlp, null);
    }

    private NormWeights norm(ParameterMaker make, String name) {
        Tensor weight = make.vector(name + ".weight", config.hiddenSize());
        boolean bias = config.norm() == Norm.LAYER_NORM;
        return new NormWeights(name, weight, bias ? make.vector(name + ".bias", config.hiddenSize()) : null);
    }

    /**
     * Fills the weights as GPT-2 does: normal with deviation 0.02, the projections into the residual stream divided by {@code
     * sqrt(2 layers)} (Radford et al. 2019, section 2.3); norms 1 (Gemma keeps their distance to 1), biases 0.
     */
    public Decoder initialize(Rng rng) {
        double residual = INITIALIZER_RANGE / Math.sqrt(2.0 * config.numHiddenLayers());
        for (Parameter p : parameters) {
            if (p.name().endsWith(".bias")) {
                p.value().fill(0);
            } else if (p.tensor().rank() == 1) {
                p.value().fill(config.zeroCenteredNorm() ? 0 : 1);
            } else {
                boolean intoResidual = p.name().matches(".*\\.(o_proj|down_proj|c_proj|w2)\\.weight");
                double std = intoResidual ? residual : INITIALIZER_RANGE;
                p.value()
                        .copyFrom(Tensor.randn(
                                dtype, rng.split(p.name()), std, p.value().shape()));
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

    /** The type of the weights, or, where they are stored, of what is computed with them. */
    public DType dtype() {
        return dtype;
    }

    /** All weights under their Hugging Face names, tied ones once; without those that are {@linkplain #stored() stored}. */
    public List<Parameter> parameters() {
        return parameters;
    }

    /** What is trained: all weights, or the numbers of the adapters if there are any, under PEFT's names. */
    public List<Parameter> trainable() {
        return adapters.isEmpty()
                ? parameters
                : adapters.stream().flatMap(a -> a.parameters().stream()).toList();
    }

    /** The tensors that an optimizer trains: fewer than {@link #trainable()}, as some hold several of those. */
    public List<Tensor> trained() {
        LinkedHashSet<Tensor> tensors = new LinkedHashSet<>();
        trainable().forEach(p -> tensors.add(p.tensor()));
        return List.copyOf(tensors);
    }

    /** The matrices that are used as files hold them; empty if all are tensors. */
    public Map<String, StoredWeight> stored() {
        return stored == null ? Map.of() : Collections.unmodifiableMap(stored);
    }

    /** The number of trained numbers. */
    public long size() {
        return trained().stream().mapToLong(Tensor::count).sum();
    }

    /**
     * A copy in the current scope of what is trained: with adapters, these are copied and the weights shared. Stored weights, which
     * nothing changes, are shared as well.
     */
    public Decoder copy() {
        if (!adapters.isEmpty()) {
            return base.with(adapters.stream().map(Adapter::copy).toArray(Adapter[]::new));
        }
        Decoder copy = new Decoder(config, dtype, stored);
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

    /**
     * Whether a block keeps nothing but its result for the backward pass, and computes the rest again: the same gradients, bit for
     * bit, in more time and less memory.
     */
    public void setGradientCheckpointing(boolean on) {
        gradientCheckpointing = on;
    }

    /** The heads of the attention of a layer. */
    public Heads heads(int layer) {
        DecoderConfig.Gemma gemma = config.gemma();
        return new Heads(
                config.numAttentionHeads(),
                config.numKeyValueHeads(),
                config.headDim(),
                1 / Math.sqrt(gemma == null ? config.headDim() : gemma.queryPreAttnScalar()),
                true,
                config.window(layer),
                gemma == null ? 0 : gemma.attnLogitSoftcapping());
    }

    /** The final normalized hidden states {@code [N, C]} of whole sequences. */
    public Tensor hidden(TokenBatch batch) {
        return hidden(batch, null);
    }

    /**
     * The final normalized hidden states {@code [N, C]} of whole sequences.
     *
     * @param trace sees what is computed on the way; or null
     */
    public Tensor hidden(TokenBatch batch, @Nullable Trace trace) {
        return hidden(batch, (layer, qkv) -> batch.attend(qkv, heads(layer)), trace);
    }

    /**
     * The final normalized hidden states {@code [N, C]}.
     *
     * @param attend given the index of a block and {@code qkv [N, (heads + 2 kvHeads) headDim]} with rotated queries and keys,
     *     returns what each token took from the others, {@code [N, heads headDim]}
     */
    public Tensor hidden(TokenBatch batch, BiFunction<Integer, Tensor, Tensor> attend, @Nullable Trace trace) {
        boolean gpt2 = positionEmbedding != null;
        AdapterRows rows = rows(batch);
        requireWords(batch.ids().toInts());
        Tensor words = embedding.forward(batch.ids());
        if (config.gemma() != null) {
            words = words.mul(Math.sqrt(config.hiddenSize()));
        }
        Tensor h = hooks.see(gpt2 ? "transformer.wte" : "model.embed_tokens", "", words);
        if (positionEmbedding != null) {
            Tensor positions = Functional.embedding(positionEmbedding, batch.positions());
            h = h.add(hooks.see("transformer.wpe", "", positions));
        }
        for (int i = 0; i < blocks.size(); i++) {
            int layer = i;
            if (trace != null) {
                trace.state(h);
            }
            h = gradientCheckpointing && trace == null
                    ? Autograd.checkpoint(x -> block(layer, x[0], batch, rows, attend, null), h)
                    : block(layer, h, batch, rows, attend, trace);
        }
        if (trace != null) {
            trace.state(h);
        }
        return norm(finalNorm, h);
    }

    /** A tokenizer may know more tokens than the model, as long as none of them is read. */
    private void requireWords(int[] ids) {
        for (int id : ids) {
            if (id < 0 || id >= config.vocabSize()) {
                throw new IsthmusException("token " + id + " has no row in the embedding of this model, which knows "
                        + config.vocabSize() + " (vocab_size); its tokenizer knows more, or is that of another model");
            }
        }
    }

    private @Nullable AdapterRows rows(TokenBatch batch) {
        int[] picked = batch.adapters();
        if (picked == null) {
            return null;
        }
        int[] rows = new int[batch.tokens()];
        for (int i = 0; i < picked.length; i++) {
            if (picked[i] >= adapters.size()) {
                throw new IsthmusException(
                        "a sequence asks for adapter " + picked[i] + " of a model with " + adapters.size());
            }
            Arrays.fill(rows, batch.ragged().starts()[i], batch.ragged().starts()[i + 1], picked[i]);
        }
        return new AdapterRows(rows);
    }

    private Tensor block(
            int layer,
            Tensor x,
            TokenBatch batch,
            @Nullable AdapterRows rows,
            BiFunction<Integer, Tensor, Tensor> attend,
            @Nullable Trace trace) {
        Block block = blocks.get(layer);
        Tensor qkv = rotated(layer, block.qkv.forward(norm(block.attentionNorm, x), rows, hooks), batch.positions());
        Tensor attended = block.output.forward(attend.apply(layer, qkv), rows, hooks);
        attended = hooks.see(block.name, positionEmbedding != null ? ".attn" : ".self_attn", attended);
        Tensor h = x.add(block.afterAttention == null ? attended : norm(block.afterAttention, attended));
        Tensor inner = hooks.see(block.name, ".mlp", block.mlp.forward(norm(block.mlpNorm, h), rows, hooks, trace));
        h = h.add(block.afterMlp == null ? inner : norm(block.afterMlp, inner));
        return hooks.see(block.name, "", h);
    }

    /** The logits {@code [N, V]} of hidden states {@code [N, C]}. */
    public Tensor logits(Tensor hidden) {
        Tensor logits = head.forward(hidden, null, hooks);
        double cap = config.gemma() == null ? 0 : config.gemma().finalLogitSoftcapping();
        return cap == 0 ? logits : logits.mul(1 / cap).tanh().mul(cap);
    }

    /**
     * What a trainer adds, times {@link Experts#routerAuxLossCoef}, so that all experts are used: {@code E sum_e f_e P_e}, where
     * {@code f_e} is the number of times that expert e is picked and {@code P_e} the sum of its probabilities, both divided by the
     * number of tokens (Fedus et al. 2022, eq. 4).
     *
     * @param routerLogits what {@link Trace#routerLogits} was given for each layer, {@code [N, E]}
     * @throws IsthmusException if the model has no experts
     */
    public Tensor loadBalancingLoss(List<Tensor> routerLogits) {
        if (config.experts() == null || routerLogits.isEmpty()) {
            throw new IsthmusException(config.modelType().hfName() + " has no layer with experts to balance");
        }
        return MixtureOfExperts.loadBalancingLoss(routerLogits, config.experts());
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
                ? rmsNorm(x, weights.weight)
                : Functional.layerNorm(x, weights.weight, weights.bias, config.normEps());
        return hooks.see(weights.name, "", y);
    }

    private Tensor rmsNorm(Tensor x, Tensor weight) {
        return Functional.rmsNorm(x, config.zeroCenteredNorm() ? weight.add(1) : weight, config.normEps());
    }

    private Tensor rotated(int layer, Tensor joined, Tensor positions) {
        RotaryTable table = config.window(layer) > 0 ? localRotary : rotary;
        if (table == null) {
            return joined;
        }
        Block block = blocks.get(layer);
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
        return table.rotate(qkv, config.numAttentionHeads() + config.numKeyValueHeads(), positions);
    }

    private Tensor headNorm(Tensor x, Tensor weight) {
        Tensor heads = x.reshape(-1, config.headDim());
        return rmsNorm(heads, weight).reshape(x.shape());
    }
}
