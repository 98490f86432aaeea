package dev.isthmus.model;

import dev.isthmus.tensor.IsthmusException;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The shape of a decoder-only transformer, with the names of Hugging Face's config.json.
 *
 * <p>The components are what a configuration is free to choose; what follows from {@link #modelType} (the kind of norm,
 * where positions enter, which projections carry biases) is a method. So every value can be written as a config.json that
 * transformers loads.
 *
 * @param modelType the family
 * @param vocabSize the number of tokens
 * @param hiddenSize the width of the residual stream
 * @param intermediateSize the width inside the MLP
 * @param numHiddenLayers the number of blocks
 * @param numAttentionHeads the number of query heads
 * @param numKeyValueHeads the number of key and value heads, each shared by a group of query heads (Ainslie et al. 2023)
 * @param headDim the width of a head; for some models it is not {@code hiddenSize / numAttentionHeads}
 * @param maxPositionEmbeddings the longest sequence the model was made for; with learned positions, the longest possible
 * @param normEps added to the variance in every norm
 * @param hiddenAct the activation inside the MLP
 * @param rope the rotary positions, or null where positions are learned
 * @param attentionBias whether the query, key and value projections have biases
 * @param mlpBias whether the projections of the MLP have biases
 * @param tieWordEmbeddings whether the output projection is the embedding matrix
 * @param bosTokenId the token that begins a text
 * @param eosTokenIds the tokens that end a text; may be empty
 * @param slidingWindow which layers read only the keys just before a token, or null if none does
 * @param gemma what only Gemma's configurations choose, or null for other families
 * @param experts the mixture of experts that stands for the MLP in some layers, or null
 */
public record DecoderConfig(
        ModelType modelType,
        int vocabSize,
        int hiddenSize,
        int intermediateSize,
        int numHiddenLayers,
        int numAttentionHeads,
        int numKeyValueHeads,
        int headDim,
        int maxPositionEmbeddings,
        double normEps,
        Activation hiddenAct,
        @Nullable Rope rope,
        boolean attentionBias,
        boolean mlpBias,
        boolean tieWordEmbeddings,
        OptionalInt bosTokenId,
        List<Integer> eosTokenIds,
        @Nullable SlidingWindow slidingWindow,
        @Nullable Gemma gemma,
        @Nullable Experts experts) {

    /** The families of models that can be built, with the names of {@code model_type}. */
    public enum ModelType {
        LLAMA("LlamaForCausalLM"),
        MISTRAL("MistralForCausalLM"),
        QWEN2("Qwen2ForCausalLM"),
        QWEN3("Qwen3ForCausalLM"),
        GEMMA2("Gemma2ForCausalLM"),
        GEMMA3_TEXT("Gemma3ForCausalLM"),
        MIXTRAL("MixtralForCausalLM"),
        QWEN2_MOE("Qwen2MoeForCausalLM"),
        QWEN3_MOE("Qwen3MoeForCausalLM"),
        GPT2("GPT2LMHeadModel");

        private final String architecture;

        ModelType(String architecture) {
            this.architecture = architecture;
        }

        /** The name in {@code model_type}. */
        public String hfName() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** The class in transformers. */
        public String architecture() {
            return architecture;
        }

        /** Whether it is one of the Gemma family. */
        public boolean isGemma() {
            return this == GEMMA2 || this == GEMMA3_TEXT;
        }

        /** Whether experts stand for the MLP in some of its layers. */
        public boolean hasExperts() {
            return this == MIXTRAL || this == QWEN2_MOE || this == QWEN3_MOE;
        }
    }

    /** The kinds of normalization. */
    public enum Norm {
        /** Zhang and Sennrich 2019: a scale only. */
        RMS_NORM,
        /** Ba et al. 2016: a scale and a bias. */
        LAYER_NORM
    }

    /** The activations inside the MLP, with the names of {@code hidden_act}. */
    public enum Activation {
        /** {@code x sigmoid(x)}. */
        SILU,
        /** The tanh approximation of GELU. */
        GELU_NEW,
        /** {@code x Phi(x)}, with the error function (Hendrycks and Gimpel 2016). */
        GELU;

        /** The name in {@code hidden_act} and {@code activation_function}. */
        public String hfName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * Rotary positions (Su et al. 2021), rotating the pairs {@code (i, i + headDim / 2)}.
     *
     * @param theta the base of the wavelengths
     * @param scaling the stretching of long wavelengths, or null for none
     */
    public record Rope(double theta, @Nullable RopeScaling scaling) {
        public Rope {
            check(theta > 0 && theta < Double.POSITIVE_INFINITY, "rope_theta must be positive, found " + theta);
        }
    }

    /** How rotary frequencies are stretched for sequences longer than the model was first trained for. */
    public sealed interface RopeScaling {
        /** What a frequency becomes. */
        double scale(double frequency);
    }

    /** All frequencies divided by {@code factor}, {@code rope_type: linear} (Chen et al. 2023). */
    public record LinearScaling(double factor) implements RopeScaling {
        public LinearScaling {
            check(factor >= 1 && factor < Double.POSITIVE_INFINITY, "rope factor must be at least 1, found " + factor);
        }

        @Override
        public double scale(double frequency) {
            return frequency / factor;
        }
    }

    /**
     * Attention to no more than the last {@code size} keys (Beltagy et al. 2020, section 3.1).
     *
     * @param size the number of keys, the token's own among them
     * @param layers for each layer whether it has the window; the others read all keys
     */
    public record SlidingWindow(int size, List<Boolean> layers) {
        public SlidingWindow {
            positive("sliding_window", size);
            layers = List.copyOf(layers);
        }
    }

    /**
     * What only Gemma's configurations choose.
     *
     * @param queryPreAttnScalar scores are divided by its square root
     * @param attnLogitSoftcapping a score {@code s} becomes {@code cap tanh(s / cap)}; 0 for none
     * @param finalLogitSoftcapping the same for the logits of the next token
     * @param localRope the rotary positions of the layers with a window, or null where they are those of all layers
     */
    public record Gemma(
            double queryPreAttnScalar,
            double attnLogitSoftcapping,
            double finalLogitSoftcapping,
            @Nullable Rope localRope) {
        public Gemma {
            check(
                    queryPreAttnScalar > 0 && queryPreAttnScalar < Double.POSITIVE_INFINITY,
                    "query_pre_attn_scalar must be positive, found " + queryPreAttnScalar);
            cap("attn_logit_softcapping", attnLogitSoftcapping);
            cap("final_logit_softcapping", finalLogitSoftcapping);
        }

        private static void cap(String key, double value) {
            check(value >= 0 && value < Double.POSITIVE_INFINITY, key + " must be positive, found " + value);
        }
    }

    /**
     * Experts that stand for the MLP (Shazeer et al. 2017; Fedus et al. 2022).
     *
     * @param numExperts the number of experts in a layer
     * @param numExpertsPerTok how many of them read a token
     * @param moeIntermediateSize the width inside an expert
     * @param sharedExpertIntermediateSize the width inside the expert that reads every token; 0 if there is none
     * @param normTopkProb whether the weights of a token's experts are made to sum to 1
     * @param routerAuxLossCoef the weight of the load-balancing loss in training
     * @param layers for each layer whether it has experts; the others have an MLP
     */
    public record Experts(
            int numExperts,
            int numExpertsPerTok,
            int moeIntermediateSize,
            int sharedExpertIntermediateSize,
            boolean normTopkProb,
            double routerAuxLossCoef,
            List<Boolean> layers) {
        public Experts {
            positive("num_experts", numExperts);
            positive("num_experts_per_tok", numExpertsPerTok);
            positive("moe_intermediate_size", moeIntermediateSize);
            check(
                    numExpertsPerTok <= numExperts,
                    "num_experts_per_tok " + numExpertsPerTok + " is more than " + numExperts + " experts");
            check(sharedExpertIntermediateSize >= 0, "shared_expert_intermediate_size is negative");
            layers = List.copyOf(layers);
        }
    }

    /**
     * The scaling of rotary frequencies of Llama 3.1, {@code rope_type: llama3}.
     *
     * @param factor divides the frequencies whose wavelength is longer than {@code original / lowFreqFactor}
     * @param lowFreqFactor where the divided frequencies end and the interpolated ones begin
     * @param highFreqFactor where the interpolated frequencies end; shorter wavelengths stay as they are
     * @param originalMaxPositionEmbeddings the length the model was first trained for
     */
    public record Llama3Scaling(
            double factor, double lowFreqFactor, double highFreqFactor, int originalMaxPositionEmbeddings)
            implements RopeScaling {
        public Llama3Scaling {
            check(factor >= 1 && factor < Double.POSITIVE_INFINITY, "rope factor must be at least 1, found " + factor);
            check(
                    lowFreqFactor > 0 && highFreqFactor > lowFreqFactor && highFreqFactor < Double.POSITIVE_INFINITY,
                    "rope high_freq_factor " + highFreqFactor + " must be above low_freq_factor " + lowFreqFactor
                            + " and both positive");
            check(
                    originalMaxPositionEmbeddings > 0,
                    "rope original_max_position_embeddings must be positive, found " + originalMaxPositionEmbeddings);
        }

        /** What becomes of a frequency in radians a position. */
        public double scale(double frequency) {
            double wavelength = 2 * Math.PI / frequency;
            double smooth =
                    (originalMaxPositionEmbeddings / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
            double kept = Math.clamp(smooth, 0, 1);
            return (1 - kept) * frequency / factor + kept * frequency;
        }
    }

    public DecoderConfig {
        positive("vocab_size", vocabSize);
        positive("hidden_size", hiddenSize);
        positive("intermediate_size", intermediateSize);
        positive("num_hidden_layers", numHiddenLayers);
        positive("num_attention_heads", numAttentionHeads);
        positive("num_key_value_heads", numKeyValueHeads);
        positive("head_dim", headDim);
        positive("max_position_embeddings", maxPositionEmbeddings);
        // Every matrix then has fewer than 2^31 rows and columns, and sizes in bytes fit a long.
        check(
                (long) numAttentionHeads * headDim <= Integer.MAX_VALUE / 3,
                "num_attention_heads " + numAttentionHeads + " times head_dim " + headDim + " is too large");
        check(
                numAttentionHeads % numKeyValueHeads == 0,
                "num_attention_heads " + numAttentionHeads + " is not a multiple of num_key_value_heads "
                        + numKeyValueHeads);
        check(normEps > 0 && normEps < 1, "the norm's eps must be between 0 and 1, found " + normEps);
        boolean gpt2 = modelType == ModelType.GPT2;
        check(gpt2 == (rope == null), modelType.hfName() + (gpt2 ? " has learned" : " needs rotary") + " positions");
        if (gpt2) {
            check(
                    numKeyValueHeads == numAttentionHeads && headDim * numAttentionHeads == hiddenSize,
                    "gpt2 needs n_embd = n_head times the width of a head, and as many key heads as query heads");
            check(attentionBias && mlpBias, "gpt2 has biases in every projection");
        } else {
            check(headDim % 2 == 0, "head_dim must be even for rotary positions, found " + headDim);
            check(
                    hiddenAct == Activation.SILU || modelType.isGemma(),
                    modelType.hfName() + " needs hidden_act silu, found " + hiddenAct.hfName());
            check(attentionBias || modelType != ModelType.QWEN2, "qwen2 has biases in its attention");
            check(
                    !attentionBias || modelType != ModelType.MISTRAL && modelType != ModelType.MIXTRAL,
                    modelType.hfName() + " has no biases in its attention");
            check(!mlpBias || modelType == ModelType.LLAMA, modelType.hfName() + " has no biases in its MLP");
        }
        check(
                modelType.isGemma() == (gemma != null),
                modelType.hfName() + " and the settings of gemma do not go together");
        check(modelType.hasExperts() == (experts != null), modelType.hfName() + " and experts do not go together");
        check(
                slidingWindow == null || slidingWindow.layers.size() == numHiddenLayers,
                "layer_types must name every layer");
        check(experts == null || experts.layers.size() == numHiddenLayers, "experts must be told for every layer");
        bosTokenId.ifPresent(id -> token("bos_token_id", id, vocabSize));
        eosTokenIds = List.copyOf(eosTokenIds);
        eosTokenIds.forEach(id -> token("eos_token_id", id, vocabSize));
    }

    /** A configuration without windows, experts and what only Gemma has. */
    public DecoderConfig(
            ModelType modelType,
            int vocabSize,
            int hiddenSize,
            int intermediateSize,
            int numHiddenLayers,
            int numAttentionHeads,
            int numKeyValueHeads,
            int headDim,
            int maxPositionEmbeddings,
            double normEps,
            Activation hiddenAct,
            @Nullable Rope rope,
            boolean attentionBias,
            boolean mlpBias,
            boolean tieWordEmbeddings,
            OptionalInt bosTokenId,
            List<Integer> eosTokenIds) {
        this(
                modelType,
                vocabSize,
                hiddenSize,
                intermediateSize,
                numHiddenLayers,
                numAttentionHeads,
                numKeyValueHeads,
                headDim,
                maxPositionEmbeddings,
                normEps,
                hiddenAct,
                rope,
                attentionBias,
                mlpBias,
                tieWordEmbeddings,
                bosTokenId,
                eosTokenIds,
                null,
                null,
                null);
    }

    /** A Llama-style model: RMSNorm, rotary positions with base 10,000, SwiGLU, no biases. */
    public static DecoderConfig llama(
            int vocabSize,
            int hiddenSize,
            int intermediateSize,
            int numHiddenLayers,
            int numAttentionHeads,
            int numKeyValueHeads,
            int maxPositionEmbeddings,
            boolean tieWordEmbeddings) {
        positive("num_attention_heads", numAttentionHeads);
        check(
                hiddenSize % numAttentionHeads == 0,
                "hidden_size " + hiddenSize + " is not a multiple of num_attention_heads " + numAttentionHeads);
        return new DecoderConfig(
                ModelType.LLAMA,
                vocabSize,
                hiddenSize,
                intermediateSize,
                numHiddenLayers,
                numAttentionHeads,
                numKeyValueHeads,
                hiddenSize / numAttentionHeads,
                maxPositionEmbeddings,
                1e-5,
                Activation.SILU,
                new Rope(10000, null),
                false,
                false,
                tieWordEmbeddings,
                OptionalInt.empty(),
                List.of());
    }

    /** A GPT-2-style model: LayerNorm, learned positions, GELU in an MLP four times as wide, tied embeddings. */
    public static DecoderConfig gpt2(
            int vocabSize, int hiddenSize, int numHiddenLayers, int numAttentionHeads, int maxPositionEmbeddings) {
        positive("n_head", numAttentionHeads);
        return new DecoderConfig(
                ModelType.GPT2,
                vocabSize,
                hiddenSize,
                (int) Math.min(4L * hiddenSize, Integer.MAX_VALUE),
                numHiddenLayers,
                numAttentionHeads,
                numAttentionHeads,
                hiddenSize / numAttentionHeads,
                maxPositionEmbeddings,
                1e-5,
                Activation.GELU_NEW,
                null,
                true,
                true,
                true,
                OptionalInt.empty(),
                List.of());
    }

    /** This configuration with other tokens for the begin and the end of a text. */
    public DecoderConfig withTokens(OptionalInt bos, List<Integer> eos) {
        return with(tieWordEmbeddings, bos, eos);
    }

    /** This configuration with the embeddings of tokens as output head. */
    public DecoderConfig withTiedWordEmbeddings() {
        return with(true, bosTokenId, eosTokenIds);
    }

    private DecoderConfig with(boolean tied, OptionalInt bos, List<Integer> eos) {
        return new DecoderConfig(
                modelType,
                vocabSize,
                hiddenSize,
                intermediateSize,
                numHiddenLayers,
                numAttentionHeads,
                numKeyValueHeads,
                headDim,
                maxPositionEmbeddings,
                normEps,
                hiddenAct,
                rope,
                attentionBias,
                mlpBias,
                tied,
                bos,
                eos,
                slidingWindow,
                gemma,
                experts);
    }

    /** The kind of norm. */
    public Norm norm() {
        return modelType == ModelType.GPT2 ? Norm.LAYER_NORM : Norm.RMS_NORM;
    }

    /** Whether a norm multiplies by {@code 1 + weight} rather than by the weight. */
    public boolean zeroCenteredNorm() {
        return modelType.isGemma();
    }

    /** Whether what attention and the MLP add to the residual stream is normalized too. */
    public boolean postNorms() {
        return modelType.isGemma();
    }

    /** How many keys a token of a layer sees, its own and those just before it; 0 for all. */
    public int window(int layer) {
        return slidingWindow != null && slidingWindow.layers.get(layer) ? slidingWindow.size : 0;
    }

    /** Whether a layer has experts in place of an MLP. */
    public boolean sparse(int layer) {
        return experts != null && experts.layers.get(layer);
    }

    /** Whether the MLP is {@code down(act(gate(x)) * up(x))} (SwiGLU, Shazeer 2020) rather than {@code down(act(up(x)))}. */
    public boolean gatedMlp() {
        return modelType != ModelType.GPT2;
    }

    /** Whether the output projection of attention has a bias. */
    public boolean outputBias() {
        return attentionBias && modelType != ModelType.QWEN2 && modelType != ModelType.QWEN2_MOE;
    }

    /** Whether queries and keys are normalized in each head before the rotation. */
    public boolean qkNorm() {
        return modelType == ModelType.QWEN3 || modelType == ModelType.QWEN3_MOE || modelType == ModelType.GEMMA3_TEXT;
    }

    /** The width of all query heads together. */
    public int querySize() {
        return numAttentionHeads * headDim;
    }

    /** The width of all key heads, or all value heads, together. */
    public int keyValueSize() {
        return numKeyValueHeads * headDim;
    }

    private static void positive(String key, int value) {
        check(value > 0, key + " must be positive, found " + value);
    }

    private static void token(String key, int id, int vocabSize) {
        check(id >= 0 && id < vocabSize, key + " " + id + " is outside the vocabulary of " + vocabSize);
    }

    private static void check(boolean condition, String problem) {
        if (!condition) {
            throw new IsthmusException(problem);
        }
    }
}
