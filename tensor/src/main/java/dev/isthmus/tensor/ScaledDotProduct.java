package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Attention (Vaswani et al. 2017, eq. 1) and its gradients, which stand at {@link AttentionBackward}.
 *
 * <p>Without a mask, and with as many queries as keys, it is one call that keeps no probabilities. The rest is composed of
 * products and a softmax.
 */
final class ScaledDotProduct {
    private ScaledDotProduct() {}

    // ---- one call -------------------------------------------------------------------------------------------------

    /** Of {@code qkv [N, (heads + 2 kvHeads) headDim]}. */
    static Tensor packed(Tensor input, Ragged ragged, Heads heads) {
        Tensor qkv = input.alive().contiguous();
        int width = heads.heads() * heads.headDim();
        int kv = heads.kvHeads() * heads.headDim();
        int ld = width + 2 * kv;
        if (Functional.cols(qkv) != ld || Functional.rows(qkv) != ragged.rows()) {
            throw new TensorException(
                    "attention: qkv of " + qkv.layout() + "; expected [" + ragged.rows() + ", " + ld + "]");
        }
        Buffer q = qkv.buffer();
        Buffer k = q.plus(width);
        Buffer v = k.plus(kv);
        Tensor out = Tensor.empty(qkv.dtype(), ragged.rows(), width);
        Tensor lse = Tensor.empty(qkv.dtype(), ragged.rows(), heads.heads());
        out.run(new Attention(ragged, heads, q, ld, k, ld, v, ld, out.buffer(), width, lse.buffer()));
        return Autograd.record(
                "attention",
                out,
                dOut -> {
                    Tensor d = Tensor.empty(qkv.dtype(), qkv.shape());
                    Buffer query = qkv.buffer();
                    Buffer dq = d.buffer();
                    d.run(new AttentionBackward(
                            ragged,
                            heads,
                            query,
                            ld,
                            query.plus(width),
                            ld,
                            query.plus(width + kv),
                            ld,
                            out.buffer(),
                            dOut.buffer(),
                            width,
                            lse.buffer(),
                            dq,
                            dq.plus(width),
                            dq.plus(width + kv)));
                    qkv.addGrad(d);
                },
                qkv);
    }

    /** Of {@code q [B, H, Tq, D]} and {@code k, v [B, Hkv, Tk, D]}. */
    static Tensor attention(
            Tensor q, Tensor k, Tensor v, @Nullable Tensor mask, boolean causal, @Nullable Double scale, boolean gqa) {
        requireShapes(q.alive(), k.alive(), v.alive(), gqa);
        if (q.dtype().isHalf()) {
            Tensor additive = mask != null && mask.dtype().isHalf() ? mask.to(DType.FLOAT32) : mask;
            return attention(
                            q.to(DType.FLOAT32), k.to(DType.FLOAT32), v.to(DType.FLOAT32), additive, causal, scale, gqa)
                    .to(q.dtype());
        }
        double factor = scale == null ? 1 / Math.sqrt(q.size(-1)) : scale;
        boolean square = q.size(2) == k.size(2) && k.size(3) == v.size(3);
        return mask == null && square ? fused(q, k, v, causal, factor) : composed(q, k, v, mask, causal, factor);
    }

    /**
     * The call reads the heads of a token side by side. That is how {@code linear(x).reshape(B, T, H, D).transpose(1, 2)} lies;
     * where the heads lie apart, each is a sequence of its own.
     */
    private static Tensor fused(Tensor q, Tensor k, Tensor v, boolean causal, double scale) {
        int batch = Layout.intSize(q.size(0));
        int heads = Layout.intSize(q.size(1));
        int kvHeads = Layout.intSize(k.size(1));
        int length = Layout.intSize(q.size(2));
        int headDim = Layout.intSize(q.size(3));
        boolean apart = q.layout().isContiguous()
                && k.layout().isContiguous()
                && v.layout().isContiguous();
        if (apart && heads == kvHeads) {
            return fused(q, k, v, equal(batch * heads, length), new Heads(1, 1, headDim, scale, causal));
        }
        return fused(
                        q.transpose(1, 2).contiguous(),
                        k.transpose(1, 2).contiguous(),
                        v.transpose(1, 2).contiguous(),
                        equal(batch, length),
                        new Heads(heads, kvHeads, headDim, scale, causal))
                .transpose(1, 2);
    }

    private static Tensor fused(Tensor q, Tensor k, Tensor v, Ragged ragged, Heads heads) {
        long ldq = (long) heads.heads() * heads.headDim();
        long ldk = (long) heads.kvHeads() * heads.headDim();
        Tensor out = Tensor.empty(q.dtype(), q.shape());
        Tensor lse = Tensor.empty(q.dtype(), ragged.rows(), heads.heads());
        out.run(new Attention(
                ragged, heads, q.buffer(), ldq, k.buffer(), ldk, v.buffer(), ldk, out.buffer(), ldq, lse.buffer()));
        return Autograd.record(
                "scaled_dot_product_attention",
                out,
                dOut -> {
                    Tensor dq = Tensor.empty(q.dtype(), q.shape());
                    Tensor dk = Tensor.empty(k.dtype(), k.shape());
                    Tensor dv = Tensor.empty(v.dtype(), v.shape());
                    dOut.run(new AttentionBackward(
                            ragged,
                            heads,
                            q.buffer(),
                            ldq,
                            k.buffer(),
                            ldk,
                            v.buffer(),
                            ldk,
                            out.buffer(),
                            dOut.buffer(),
                            ldq,
                            lse.buffer(),
                            dq.buffer(),
                            dk.buffer(),
                            dv.buffer()));
                    q.addGrad(dq);
                    k.addGrad(dk);
                    v.addGrad(dv);
                },
                q,
                k,
                v);
    }

    private static Ragged equal(int count, int length) {
        int[] starts = new int[count + 1];
        Arrays.setAll(starts, i -> Math.multiplyExact(i, length));
        return new Ragged(starts);
    }

    // ---- with masks, or queries at the end of more keys -------------------------------------------------------------

    /** {@code softmax(scale q k^T + bias) v}; the query heads that share a key head are rows of one product. */
    private static Tensor composed(Tensor q, Tensor k, Tensor v, @Nullable Tensor mask, boolean causal, double scale) {
        long batch = q.size(0);
        long heads = q.size(1);
        long queries = q.size(2);
        long keys = k.size(2);
        long rows = heads / k.size(1) * queries;
        Tensor scores = q.mul(scale)
                .reshape(batch, k.size(1), rows, q.size(3))
                .matmul(k.transpose(2, 3))
                .reshape(batch, heads, queries, keys);
        Tensor bias = bias(scores, mask, causal);
        Tensor p = bias == null ? scores.softmax(-1) : maskedSoftmax(scores, bias);
        return p.reshape(batch, k.size(1), rows, keys).matmul(v).reshape(batch, heads, queries, v.size(3));
    }

    /** Minus infinity where a query does not see a key, and what a mask of numbers adds elsewhere. */
    private static @Nullable Tensor bias(Tensor scores, @Nullable Tensor mask, boolean causal) {
        Tensor hidden = Tensor.full(scores.dtype(), Double.NEGATIVE_INFINITY);
        Tensor bias = mask;
        if (mask != null && mask.dtype() == DType.BOOL) {
            bias = Tensor.zeros(scores.dtype()).where(mask, hidden);
        }
        if (causal) {
            long queries = scores.size(2);
            long keys = scores.size(3);
            Tensor future = hidden.expand(queries, keys).triu(keys - queries + 1);
            bias = bias == null ? future : bias.add(future);
        }
        if (bias != null
                && !Arrays.equals(
                        Layout.broadcast("scaledDotProductAttention", scores.shape(), bias.shape()), scores.shape())) {
            throw new TensorException(
                    "scaledDotProductAttention: a mask of " + bias.layout() + " for scores of " + scores.layout());
        }
        return bias;
    }

    /** A query that sees nothing gets probabilities of 0, as in PyTorch; its softmax is taken of numbers that are finite. */
    private static Tensor maskedSoftmax(Tensor scores, Tensor bias) {
        Tensor zero = Tensor.zeros(scores.dtype());
        Tensor sees = bias.detach().max(-1, true).gt(Double.NEGATIVE_INFINITY);
        return scores.add(bias.where(sees, zero)).softmax(-1).where(sees, zero);
    }

    private static void requireShapes(Tensor q, Tensor k, Tensor v, boolean gqa) {
        Elementwise.requireSameType("scaledDotProductAttention", q, k);
        Elementwise.requireSameType("scaledDotProductAttention", q, v);
        boolean fits = q.rank() == 4
                && k.rank() == 4
                && v.rank() == 4
                && Arrays.equals(Arrays.copyOf(k.shape(), 3), Arrays.copyOf(v.shape(), 3))
                && q.size(0) == k.size(0)
                && q.size(3) == k.size(3)
                && (gqa ? q.size(1) % Math.max(1, k.size(1)) == 0 : q.size(1) == k.size(1));
        if (!fits) {
            throw new TensorException(
                    "scaledDotProductAttention: q of " + q.layout() + ", k of " + k.layout() + ", v of "
                            + v.layout() + "; expected [B, H, Tq, D], [B, Hkv, Tk, D] and [B, Hkv, Tk, Dv], where H is "
                            + (gqa ? "a multiple of Hkv" : "Hkv (enableGqa allows a multiple)"));
        }
    }
}
