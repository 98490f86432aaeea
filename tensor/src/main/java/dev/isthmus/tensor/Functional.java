package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.KernelCall.Rope;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.Tensor.GradTarget;
import org.jspecify.annotations.Nullable;

/**
 * The operations that transformers are made of, each one pass over memory, as {@code torch.nn.functional} names them.
 *
 * <p>Batches are ragged: the tokens of all sequences stand one after another in {@code N} rows, and {@link Ragged} says where
 * each sequence starts. There is no padding.
 */
public final class Functional {
    private Functional() {}

    /** {@code x W^T + b}: {@code x [..., in]}, {@code weight [out, in]}, {@code bias [out]}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return MatrixProducts.linear(x, weight, bias);
    }

    /** {@code x W + b}: {@code x [..., in]}, {@code weight [in, out]}, {@code bias [out]}: GPT-2's Conv1D. */
    public static Tensor conv1d(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return MatrixProducts.conv1d(x, weight, bias);
    }

    /** The rows of {@code table [words, C]} that {@code ids [...]} (int32 or int64) name: {@code [..., C]}. */
    public static Tensor embedding(Tensor table, Tensor ids) {
        int cols = cols(table);
        int words = rows(table);
        int rows = Math.toIntExact(ids.alive().count());
        Indexing.check("embedding", ids, words, 0);
        Tensor index = ids.to(DType.INT32).contiguous();
        Tensor y = Tensor.empty(table.alive().dtype(), Layout.with(ids.shape(), ids.rank(), cols));
        y.run(new KernelCall.Embedding(rows, cols, table.buffer(), index.buffer(), y.buffer(), false));
        return Autograd.record("embedding", y, dy -> {
            GradTarget into = table.gradInto();
            dy.run(new EmbeddingBackward(
                    rows, cols, words, index.buffer(), dy.buffer(), into.target().buffer(), into.accumulate()));
        }, table);
    }

    /** 1 at each index (int32 or int64), 0 elsewhere: {@code [..., classes]} int64. */
    public static Tensor oneHot(Tensor index, long classes) {
        return Indexing.oneHot(index, classes);
    }

    /** {@code x / sqrt(mean(x^2) + eps) weight} over the last dimension (Zhang and Sennrich 2019). */
    public static Tensor rmsNorm(Tensor input, Tensor weight, double eps) {
        Tensor x = input.alive().contiguous();
        int cols = cols(x);
        int rows = rows(x);
        requireSize("rmsNorm", weight, cols);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        Tensor rstd = Tensor.empty(x.dtype(), rows);
        y.run(new KernelCall.RmsNorm(
                rows, cols, eps, x.buffer(), cols, weight.buffer(), y.buffer(), cols, rstd.buffer()));
        return Autograd.record("rms_norm", y, dy -> {
            GradTarget dw = weight.requiresGrad() ? weight.gradInto() : null;
            GradTarget dx = x.requiresGrad() ? x.gradInto() : null;
            dy.run(new RmsNormBackward(
                    rows,
                    cols,
                    x.buffer(),
                    cols,
                    weight.buffer(),
                    rstd.buffer(),
                    dy.buffer(),
                    cols,
                    bufferOf(dx),
                    dx != null && dx.accumulate(),
                    bufferOf(dw),
                    dw != null && dw.accumulate()));
        }, x, weight);
    }

    /** {@code (x - mean) / sqrt(var + eps) weight + bias} over the last dimension (Ba et al. 2016). */
    public static Tensor layerNorm(Tensor input, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        Tensor x = input.alive().contiguous();
        int cols = cols(x);
        int rows = rows(x);
        requireSize("layerNorm", weight, cols);
        requireSize("layerNorm", bias, cols);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        Tensor mean = Tensor.empty(x.dtype(), rows);
        Tensor rstd = Tensor.empty(x.dtype(), rows);
        y.run(new KernelCall.LayerNorm(
                rows, cols, eps, x.buffer(), bufferOf(weight), bufferOf(bias), y.buffer(), mean.buffer(), rstd.buffer()));
        Tensor w = weight == null ? x : weight;
        Tensor b = bias == null ? x : bias;
        return Autograd.record("layer_norm", y, dy -> {
            GradTarget dw = weight != null && weight.requiresGrad() ? weight.gradInto() : null;
            GradTarget db = bias != null && bias.requiresGrad() ? bias.gradInto() : null;
            GradTarget dx = x.requiresGrad() ? x.gradInto() : null;
            dy.run(new LayerNormBackward(
                    rows,
                    cols,
                    x.buffer(),
                    bufferOf(weight),
                    mean.buffer(),
                    rstd.buffer(),
                    dy.buffer(),
                    bufferOf(dx),
                    dx != null && dx.accumulate(),
                    bufferOf(dw),
                    dw != null && dw.accumulate(),
                    bufferOf(db),
                    db != null && db.accumulate()));
        }, x, w, b);
    }

    /** {@code 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))}, GPT-2's {@code gelu_new}. */
    public static Tensor geluTanh(Tensor x) {
        return x.unary(UnaryOp.GELU_TANH);
    }

    /** {@code x Phi(x)}, the exact GELU. */
    public static Tensor gelu(Tensor x) {
        return x.unary(UnaryOp.GELU);
    }

    /** {@code silu(gate) up} of {@code gateUp [N, 2F]}, whose columns are first the gate and then up: {@code [N, F]}. */
    public static Tensor swiGlu(Tensor input) {
        Tensor x = input.alive().contiguous();
        int cols = cols(x) / 2;
        int rows = rows(x);
        Tensor y = Tensor.empty(x.dtype(), rows, cols);
        y.run(new SwiGlu(rows, cols, x.buffer(), y.buffer()));
        return Autograd.record("swiglu", y, dy -> {
            Tensor dx = Tensor.empty(x.dtype(), x.shape());
            dx.run(new SwiGluBackward(rows, cols, x.buffer(), dy.buffer(), dx.buffer()));
            x.addGrad(dx);
        }, x);
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
        if (!x.alive().layout().isContiguous() || cols(x) < heads * headDim) {
            throw new TensorException("rotaryInPlace: " + heads + " heads of " + headDim + " in a tensor of " + x.layout());
        }
        if (x.requiresGrad() && x.node() == null) {
            throw new TensorException("rotaryInPlace: a parameter cannot be changed in place");
        }
        Tensor before = new Tensor(x.storage(), x.layout());
        before.setNode(x.node());
        x.run(rope(x, heads, headDim, cos, sin, position, interleaved, false));
        // The rotated tensor takes the place of x in the graph. Its gradient is rotated back where it lies, which no one else
        // may see: hence a copy if it is shared.
        return Autograd.record("rotary", x, dy -> {
            before.addGrad(dy);
            x.releaseGrad();
            Tensor dx = before.gradInto().target();
            dx.run(rope(dx, heads, headDim, cos, sin, position, interleaved, true));
        }, before);
    }

    private static Rope rope(
            Tensor x, int heads, int headDim, Tensor cos, Tensor sin, Tensor position, boolean interleaved, boolean inverse) {
        return new Rope(
                rows(x),
                heads,
                headDim,
                x.buffer(),
                cols(x),
                cos.buffer(),
                sin.buffer(),
                position.buffer(),
                interleaved,
                inverse);
    }

    /**
     * Attention within each sequence, of {@code qkv [N, (heads + 2 kvHeads) headDim]} whose columns are the query heads, the key
     * heads and the value heads: {@code [N, heads headDim]} (Vaswani et al. 2017, eq. 1).
     */
    public static Tensor attention(Tensor input, Ragged ragged, Heads heads) {
        Tensor qkv = input.alive().contiguous();
        int width = heads.heads() * heads.headDim();
        int kv = heads.kvHeads() * heads.headDim();
        int ld = width + 2 * kv;
        if (cols(qkv) != ld || rows(qkv) != ragged.rows()) {
            throw new TensorException("attention: qkv of " + qkv.layout() + "; expected [" + ragged.rows() + ", " + ld + "]");
        }
        Buffer q = qkv.buffer();
        Buffer k = q.plus(width);
        Buffer v = k.plus(kv);
        Tensor out = Tensor.empty(qkv.dtype(), ragged.rows(), width);
        Tensor lse = Tensor.empty(qkv.dtype(), ragged.rows(), heads.heads());
        out.run(new Attention(ragged, heads, q, ld, k, ld, v, ld, out.buffer(), width, lse.buffer()));
        return Autograd.record("attention", out, dOut -> {
            Tensor d = Tensor.empty(qkv.dtype(), qkv.shape());
            Buffer dq = d.buffer();
            d.run(new AttentionBackward(
                    ragged,
                    heads,
                    q,
                    ld,
                    k,
                    ld,
                    v,
                    ld,
                    out.buffer(),
                    dOut.buffer(),
                    width,
                    lse.buffer(),
                    dq,
                    dq.plus(width),
                    dq.plus(width + kv)));
            qkv.addGrad(d);
        }, qkv);
    }

    /** What {@link #tokenLoss} computes for each token. */
    public record TokenLoss(Tensor loss, @Nullable Tensor entropy) {}

    /**
     * {@code -log softmax(logits / temperature)[target]} for each row: {@code [N]}; 0 where the target is negative.
     *
     * @param logits {@code [N, V]}
     * @param target {@code [N]} int32
     * @param withEntropy whether to compute each row's entropy, {@code [N]}, which carries no gradient
     */
    public static TokenLoss tokenLoss(Tensor input, Tensor target, double temperature, boolean withEntropy) {
        Tensor logits = input.alive().contiguous();
        int words = cols(logits);
        int rows = rows(logits);
        if (target.alive().count() != rows || target.dtype() != DType.INT32) {
            throw new TensorException("tokenLoss: targets of " + target.dtype() + " " + target.layout() + " for logits of "
                    + logits.layout() + "; expected one INT32 for each row");
        }
        Tensor loss = Tensor.empty(logits.dtype(), rows);
        Tensor lse = Tensor.empty(logits.dtype(), rows);
        Tensor entropy = withEntropy ? Tensor.empty(logits.dtype(), rows) : null;
        loss.run(new CrossEntropy(
                rows, words, logits.buffer(), 1 / temperature, target.buffer(), loss.buffer(), lse.buffer(), bufferOf(entropy)));
        Autograd.record("token_loss", loss, dLoss -> {
            Tensor d = Tensor.empty(logits.dtype(), logits.shape());
            d.run(new CrossEntropyBackward(
                    rows,
                    words,
                    logits.buffer(),
                    1 / temperature,
                    target.buffer(),
                    lse.buffer(),
                    dLoss.buffer(),
                    d.buffer()));
            logits.addGrad(d);
        }, logits);
        return new TokenLoss(loss, entropy);
    }

    private static @Nullable Buffer bufferOf(@Nullable Tensor t) {
        return t == null ? null : t.alive().buffer();
    }

    private static @Nullable Buffer bufferOf(@Nullable GradTarget into) {
        return into == null ? null : into.target().buffer();
    }

    private static int cols(Tensor x) {
        return Math.toIntExact(x.size(-1));
    }

    private static int rows(Tensor x) {
        return Math.toIntExact(x.count() / Math.max(1, x.size(-1)));
    }

    private static void requireSize(String op, @Nullable Tensor weight, int cols) {
        if (weight != null && weight.alive().count() != cols) {
            throw new TensorException(op + ": a weight of " + weight.layout() + " for rows of " + cols);
        }
    }
}
