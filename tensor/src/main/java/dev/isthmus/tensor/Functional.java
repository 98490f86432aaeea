package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.Tensor.GradTarget;
import org.jspecify.annotations.Nullable;

/**
 * The operations that networks are made of, as {@code torch.nn.functional} names them.
 *
 * <p>What transformers need is one pass over memory. Their batches may be ragged: the tokens of all sequences stand one after
 * another in {@code N} rows, and {@link Ragged} says where each sequence starts. There is no padding.
 */
public final class Functional {
    /** The target that PyTorch ignores unless told otherwise. */
    private static final int IGNORE_INDEX = -100;

    private Functional() {}

    /** {@code x W^T + b}: {@code x [..., in]}, {@code weight [out, in]}, {@code bias [out]}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return MatrixProducts.linear(x, weight, bias);
    }

    /** {@code x W + b}: {@code x [..., in]}, {@code weight [in, out]}, {@code bias [out]}: GPT-2's Conv1D. */
    public static Tensor conv1d(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return MatrixProducts.conv1d(x, weight, bias);
    }

    /**
     * Adds {@code scaling (x A^T) B^T} to {@code y}, in place: the low-rank update of LoRA (Hu et al. 2022, equation 3).
     *
     * <p>{@code y} may be several products side by side, some of which are updated; their {@code A} stand one below the other, as
     * do their {@code B}.
     *
     * @param y {@code [N, out]}, changed
     * @param x {@code [N, in]}
     * @param a {@code [parts r, in]}
     * @param b {@code [sum of sizes, r]}
     * @param starts the first column of each part in {@code y}
     * @param sizes the number of columns of each part
     * @return {@code y}
     */
    public static Tensor addLowRank(Tensor y, Tensor x, Tensor a, Tensor b, double scaling, int[] starts, int[] sizes) {
        return LowRank.add(y, x, a, b, scaling, starts, sizes);
    }

    /**
     * Zeros with the probability {@code p}, and {@code x / (1 - p)} elsewhere (Srivastava et al. 2014, section 10), as PyTorch's in training.
     *
     * <p>{@code rng} says which, whatever was read of it: nothing is kept for the gradient, {@code dx = dropout(dy)} draws them again.
     *
     * @throws TensorException unless {@code 0 <= p < 1} and {@code x} holds floating-point numbers
     */
    public static Tensor dropout(Tensor x, double p, Rng rng) {
        return Elementwise.dropout(x, p, rng);
    }

    /** The two formulas of {@link #gelu}. */
    public enum Approximate {
        /** {@code x Phi(x)} with the distribution function of the normal distribution. */
        NONE,
        /** {@code x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2}. */
        TANH
    }

    /** The Gaussian error linear unit (Hendrycks and Gimpel 2016). */
    public static Tensor gelu(Tensor x, Approximate approximate) {
        return x.unary(approximate == Approximate.TANH ? UnaryOp.GELU_TANH : UnaryOp.GELU);
    }

    /** {@code x tanh(softplus(x))} (Misra 2019). */
    public static Tensor mish(Tensor x) {
        return x.unary(UnaryOp.MISH);
    }

    /** {@code log(1 + exp(beta x)) / beta}; {@code x} where {@code beta x > threshold}. PyTorch's defaults are 1 and 20. */
    public static Tensor softplus(Tensor x, double beta, double threshold) {
        return Elementwise.unary(UnaryOp.SOFTPLUS, x, beta, threshold);
    }

    /** {@code x} where positive, else {@code negativeSlope x}. */
    public static Tensor leakyRelu(Tensor x, double negativeSlope) {
        return Elementwise.unary(UnaryOp.LEAKY_RELU, x, negativeSlope, 0);
    }

    /** {@code x} where positive, else {@code alpha (exp(x) - 1)} (Clevert et al. 2016). */
    public static Tensor elu(Tensor x, double alpha) {
        return Elementwise.unary(UnaryOp.ELU, x, alpha, 0);
    }

    /** The rows of {@code table [words, C]} that {@code ids [...]} (int32 or int64) name: {@code [..., C]}. */
    public static Tensor embedding(Tensor table, Tensor ids) {
        return Indexing.embedding(table, ids);
    }

    /** 1 at each index (int32 or int64), 0 elsewhere: {@code [..., classes]} int64. */
    public static Tensor oneHot(Tensor index, long classes) {
        return Indexing.oneHot(index, classes);
    }

    /** {@code x / sqrt(mean(x^2) + eps) weight} over the last dimension (Zhang and Sennrich 2019). */
    public static Tensor rmsNorm(Tensor x, @Nullable Tensor weight, double eps) {
        return Norms.rmsNorm(x, weight, eps);
    }

    /** {@code (x - mean) / sqrt(var + eps) weight + bias} over the last dimension (Ba et al. 2016). */
    public static Tensor layerNorm(Tensor x, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        return Norms.layerNorm(x, new long[] {x.size(-1)}, weight, bias, eps);
    }

    /** The same over the last dimensions, whose sizes are {@code normalizedShape}, as are those of weight and bias. */
    public static Tensor layerNorm(
            Tensor x, long[] normalizedShape, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        return Norms.layerNorm(x, normalizedShape, weight, bias, eps);
    }

    /** {@code 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))}, GPT-2's {@code gelu_new}. */
    public static Tensor geluTanh(Tensor x) {
        return x.unary(UnaryOp.GELU_TANH);
    }

    /** {@code x Phi(x)}, the exact GELU. */
    public static Tensor gelu(Tensor x) {
        return x.unary(UnaryOp.GELU);
    }

    /** {@code silu(gate) up} of {@code gateUp [..., 2F]}, whose columns are first the gate and then up: {@code [..., F]}. */
    public static Tensor swiGlu(Tensor gateUp) {
        if (gateUp.dtype().isHalf()) {
            return swiGlu(gateUp.to(DType.FLOAT32)).to(gateUp.dtype());
        }
        Tensor x = gateUp.alive().contiguous();
        int cols = cols(x) / 2;
        int rows = rows(x);
        if (x.size(-1) % 2 != 0) {
            throw new TensorException("swiGlu: " + x.layout() + "; expected as many columns for the gate as for up");
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = cols;
        Tensor y = Tensor.empty(x.dtype(), shape);
        y.run(new SwiGlu(rows, cols, x.buffer(), y.buffer()));
        return Autograd.record(
                "swiglu",
                y,
                dy -> {
                    Tensor dx = Tensor.empty(x.dtype(), x.shape());
                    dx.run(new SwiGluBackward(rows, cols, x.buffer(), dy.buffer(), dx.buffer()));
                    x.addGrad(dx);
                },
                x);
    }

    // ---- attention ------------------------------------------------------------------------------------------------

    /**
     * Rotates the first {@code R <= D} features of {@code x [..., D]} by their position (Su et al. 2021): {@code [..., D]}.
     *
     * @param cos {@code [positions, R / 2]}, one angle for each pair of features; {@code sin} likewise
     * @param position the position of each row, of a shape that expands to that of {@code x} without its last dimension: {@code
     *     [T]} for {@code x [B, H, T, D]}
     * @param interleaved pairs {@code (2j, 2j + 1)}, as in GPT-J and llama2.c; otherwise {@code (j, j + R / 2)}, as in GPT-NeoX
     *     and Hugging Face
     */
    public static Tensor rotary(Tensor x, Tensor cos, Tensor sin, Tensor position, boolean interleaved) {
        return Rotary.rotary(x, cos, sin, position, interleaved);
    }

    /**
     * Rotates the first {@code heads} heads of {@code x [N, >= heads * headDim]} in place (Su et al. 2021).
     *
     * @param cos {@code [positions, headDim / 2]}; {@code sin} likewise
     * @param position {@code [N]} int32, each token's position
     * @param interleaved pairs {@code (2j, 2j + 1)}, as in llama2.c; otherwise {@code (j, j + headDim / 2)}, as in Hugging Face
     */
    public static Tensor rotaryInPlace(
            Tensor x, int heads, int headDim, Tensor cos, Tensor sin, Tensor position, boolean interleaved) {
        return Rotary.inPlace(x, heads, headDim, cos, sin, position, interleaved);
    }

    /**
     * Attention within each sequence, of {@code qkv [N, (heads + 2 kvHeads) headDim]} whose columns are the query heads, the key
     * heads and the value heads: {@code [N, heads headDim]} (Vaswani et al. 2017, eq. 1).
     */
    public static Tensor attention(Tensor qkv, Ragged ragged, Heads heads) {
        return ScaledDotProduct.packed(qkv, ragged, heads);
    }

    /** {@code softmax(q k^T / sqrt(D)) v} of {@code q, k, v [B, H, T, D]}. */
    public static Tensor scaledDotProductAttention(Tensor q, Tensor k, Tensor v, boolean isCausal) {
        return ScaledDotProduct.attention(q, k, v, null, isCausal, null, false);
    }

    /**
     * {@code softmax(scale q k^T + mask) v}: {@code [B, H, Tq, Dv]} (Vaswani et al. 2017, eq. 1).
     *
     * <p>A query that sees no key gets zeros.
     *
     * @param q {@code [B, H, Tq, D]}
     * @param k {@code [B, Hkv, Tk, D]}; {@code v [B, Hkv, Tk, Dv]}
     * @param attnMask of a shape that expands to {@code [B, H, Tq, Tk]}: floating-point numbers are added to the scores, {@code
     *     BOOL} is true where a query sees a key
     * @param isCausal whether query {@code i} sees only the keys up to {@code Tk - Tq + i}: the last query stands at the last
     *     key, as with a cache (PyTorch puts the first query at the first key); may be joined with a mask
     * @param scale null for {@code 1 / sqrt(D)}
     * @param enableGqa whether {@code H} may be a multiple of {@code Hkv}: query head {@code h} reads key head {@code h / (H /
     *     Hkv)}
     */
    public static Tensor scaledDotProductAttention(
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor attnMask,
            boolean isCausal,
            @Nullable Double scale,
            boolean enableGqa) {
        return ScaledDotProduct.attention(q, k, v, attnMask, isCausal, scale, enableGqa);
    }

    // ---- losses ---------------------------------------------------------------------------------------------------

    /** What {@link #tokenLoss} computes for each token. */
    public record TokenLoss(Tensor loss, @Nullable Tensor entropy) {}

    /**
     * {@code -log softmax(logits / temperature)[target]} for each row: {@code [N]}; 0 where the target is negative.
     *
     * @param logits {@code [N, V]}
     * @param target {@code [N]} int32
     * @param withEntropy whether to compute each row's entropy, {@code [N]}, whose gradient costs nothing where it is not asked for
     */
    public static TokenLoss tokenLoss(Tensor logits, Tensor target, double temperature, boolean withEntropy) {
        return tokenLoss(logits, target, temperature, withEntropy, false);
    }

    /**
     * The same.
     *
     * @param inplaceBackward whether the backward pass may put the gradient of the logits in their place, which takes half of the memory
     *     and is faster; who reads them afterwards gets a {@link TensorException}. It does not if the graph is retained, or if the logits
     *     are no result of an operation.
     */
    public static TokenLoss tokenLoss(
            Tensor logits, Tensor target, double temperature, boolean withEntropy, boolean inplaceBackward) {
        return Losses.tokenLoss(logits, target, temperature, withEntropy, inplaceBackward);
    }

    /** The mean of {@code -log softmax(logits)[target]} over the targets that are not -100. */
    public static Tensor crossEntropy(Tensor logits, Tensor target) {
        return Losses.crossEntropy(logits, target, null, IGNORE_INDEX, Reduction.MEAN, 0);
    }

    /**
     * {@code -sum_c q[c] weight[c] log softmax(logits)[c]} with {@code q = (1 - labelSmoothing) onehot(target) + labelSmoothing /
     * C}, and 0 where the target is ignored.
     *
     * <p>The mean divides by the sum of the weights of the targets that are not ignored; it is NaN if there are none.
     *
     * @param logits {@code [C]}, {@code [N, C]} or {@code [N, C, d1, ...]}
     * @param target classes, {@code []}, {@code [N]} or {@code [N, d1, ...]}
     * @param weight {@code [C]}, or null for ones; carries no gradient
     * @param ignoreIndex the target that counts nothing
     */
    public static Tensor crossEntropy(
            Tensor logits,
            Tensor target,
            @Nullable Tensor weight,
            int ignoreIndex,
            Reduction reduction,
            double labelSmoothing) {
        return Losses.crossEntropy(logits, target, weight, ignoreIndex, reduction, labelSmoothing);
    }

    /** {@code -weight[target] logProbs[target]}; shapes and the mean as in {@link #crossEntropy}. */
    public static Tensor nllLoss(
            Tensor logProbs, Tensor target, @Nullable Tensor weight, int ignoreIndex, Reduction reduction) {
        return Losses.nllLoss(logProbs, target, weight, ignoreIndex, reduction);
    }

    /**
     * The mean cross-entropy of each next token, as Hugging Face's {@code ForCausalLMLoss}: logits {@code [B, T, V]} at {@code t}
     * against {@code labels [B, T]} at {@code t + 1}, but for those that are -100.
     */
    public static Tensor causalLmLoss(Tensor logits, Tensor labels) {
        return Losses.causalLmLoss(logits, labels, IGNORE_INDEX);
    }

    /** {@code log softmax(logits)[index]}: of {@code logits [..., V]} and {@code index [...]}, {@code [...]}; TRL's name. */
    public static Tensor selectiveLogSoftmax(Tensor logits, Tensor index) {
        return Losses.selectiveLogSoftmax(logits, index);
    }

    /** {@code -sum p log p} with {@code p = softmax(logits)}: of {@code [..., V]}, {@code [...]}; TRL's name. */
    public static Tensor entropyFromLogits(Tensor logits) {
        return Losses.entropyFromLogits(logits);
    }

    /**
     * {@code -weight (posWeight t log sigmoid(x) + (1 - t) log(1 - sigmoid(x)))} of logits {@code x} and targets {@code t} of
     * one shape, computed without overflow.
     *
     * @param weight of a shape that expands to that of the logits, or null for ones; {@code posWeight} likewise
     */
    public static Tensor binaryCrossEntropyWithLogits(
            Tensor logits, Tensor target, @Nullable Tensor weight, Reduction reduction, @Nullable Tensor posWeight) {
        return Losses.binaryCrossEntropyWithLogits(logits, target, weight, reduction, posWeight);
    }

    /** {@code (input - target)^2}. */
    public static Tensor mseLoss(Tensor input, Tensor target, Reduction reduction) {
        return Losses.mseLoss(input, target, reduction);
    }

    /** {@code d^2 / 2} where {@code |d| <= delta}, else {@code delta (|d| - delta / 2)}, {@code d = input - target} (Huber 1964). */
    public static Tensor huberLoss(Tensor input, Tensor target, Reduction reduction, double delta) {
        return Losses.huberLoss(input, target, reduction, delta);
    }

    /** {@code d^2 / (2 beta)} where {@code |d| <= beta}, else {@code |d| - beta / 2}, {@code d = input - target} (Girshick 2015). */
    public static Tensor smoothL1Loss(Tensor input, Tensor target, Reduction reduction, double beta) {
        return Losses.smoothL1Loss(input, target, reduction, beta);
    }

    /**
     * {@code target (log target - input)}: {@code KL(target || exp(input))}, element by element before the reduction.
     *
     * @param input logarithms of probabilities
     * @param target probabilities, or their logarithms if {@code logTarget}
     */
    public static Tensor klDiv(Tensor input, Tensor target, Reduction reduction, boolean logTarget) {
        return Losses.klDiv(input, target, reduction, logTarget);
    }

    // ---- for the classes of the rules -----------------------------------------------------------------------------

    static @Nullable Buffer bufferOf(@Nullable Tensor t) {
        return t == null ? null : t.alive().buffer();
    }

    static @Nullable Buffer bufferOf(@Nullable GradTarget into) {
        return into == null ? null : into.target().buffer();
    }

    static int cols(Tensor x) {
        return Layout.intSize(x.size(-1));
    }

    static int rows(Tensor x) {
        return Layout.intSize(x.count() / Math.max(1, x.size(-1)));
    }
}
