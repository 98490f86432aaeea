package dev.isthmus.tensor;

import dev.isthmus.tensor.Functional.TokenLoss;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Losses. That of classes is one call with its gradient; the others are composed, and have theirs from their parts. */
final class Losses {
    private static final int NOTHING_IGNORED = Integer.MIN_VALUE;

    private Losses() {}

    // ---- of classes -----------------------------------------------------------------------------------------------

    static TokenLoss tokenLoss(
            Tensor input, Tensor target, double temperature, boolean withEntropy, boolean inplaceBackward) {
        Tensor logits = input.alive().contiguous();
        if (target.alive().count() != Functional.rows(logits) || target.dtype() != DType.INT32) {
            throw new TensorException("tokenLoss: targets of " + target.dtype() + " " + target.layout()
                    + " for logits of " + logits.layout() + "; expected one INT32 for each row");
        }
        Tensor entropy = withEntropy ? Tensor.empty(logits.dtype(), Functional.rows(logits)) : null;
        Tensor loss = rowLoss(logits, target, 1 / temperature, 0, null, entropy, inplaceBackward);
        return new TokenLoss(loss, entropy == null ? null : entropyOf(logits, temperature, entropy));
    }

    /** {@code dH / dlogits[i] = -p[i] (log p[i] + H) / temperature}; a word of probability 0 gets none. */
    private static Tensor entropyOf(Tensor logits, double temperature, Tensor entropy) {
        return Autograd.record(
                "entropy",
                entropy,
                dEntropy -> {
                    Tensor logp = logits.detach()
                            .reshape(entropy.count(), -1)
                            .div(temperature)
                            .logSoftmax(-1);
                    Tensor surplus =
                            logp.clamp(-Float.MAX_VALUE, 0).add(entropy.detach().unsqueeze(1));
                    Tensor d = logp.exp()
                            .mul(surplus)
                            .mul(dEntropy.div(-temperature).unsqueeze(1));
                    logits.addGrad(d.reshape(logits.shape()));
                },
                logits);
    }

    /** One {@link CrossEntropy} of each row: {@code [N]}. */
    private static Tensor rowLoss(
            Tensor logits,
            Tensor target,
            double invTemperature,
            double smoothing,
            @Nullable Tensor weight,
            @Nullable Tensor entropy,
            boolean inplaceBackward) {
        int words = Functional.cols(logits);
        int rows = Functional.rows(logits);
        Tensor loss = Tensor.empty(logits.dtype(), rows);
        Tensor lse = Tensor.empty(logits.dtype(), rows);
        loss.run(new CrossEntropy(
                rows,
                words,
                logits.buffer(),
                invTemperature,
                target.buffer(),
                smoothing,
                Functional.bufferOf(weight),
                loss.buffer(),
                lse.buffer(),
                Functional.bufferOf(entropy)));
        return Autograd.record(
                "cross_entropy",
                loss,
                dLoss -> {
                    Buffer z = logits.buffer();
                    Tensor d = inplaceBackward
                            ? logits.overwriteByGrad("cross_entropy")
                            : Tensor.empty(logits.dtype(), logits.shape());
                    d.run(new CrossEntropyBackward(
                            rows,
                            words,
                            z,
                            invTemperature,
                            target.buffer(),
                            smoothing,
                            Functional.bufferOf(weight),
                            lse.buffer(),
                            dLoss.buffer(),
                            d.buffer()));
                    logits.addGrad(d);
                },
                logits);
    }

    static Tensor crossEntropy(
            Tensor input,
            Tensor target,
            @Nullable Tensor weight,
            int ignoreIndex,
            Reduction reduction,
            double smoothing) {
        if (input.dtype().isHalf()) {
            Tensor classes = Elementwise.toFloat32(weight);
            return crossEntropy(input.to(DType.FLOAT32), target, classes, ignoreIndex, reduction, smoothing)
                    .to(input.dtype());
        }
        Tensor logits = classesLast("crossEntropy", input, target);
        Tensor w = classWeight("crossEntropy", logits, weight);
        int[] index = index("crossEntropy", target, Functional.cols(logits), ignoreIndex);
        Tensor loss = rowLoss(logits, Tensor.of(index, index.length), 1, smoothing, w, null, false);
        return reduceKept(loss.reshape(target.shape()), reduction, total(index, w));
    }

    static Tensor nllLoss(Tensor input, Tensor target, @Nullable Tensor weight, int ignoreIndex, Reduction reduction) {
        Tensor logProbs = classesLast("nllLoss", input, target);
        Tensor w = classWeight("nllLoss", logProbs, weight);
        int[] index = index("nllLoss", target, Functional.cols(logProbs), ignoreIndex);
        double[] weights = weights(index, w);
        long n = index.length;
        Tensor kept = Tensor.of(index, n).ge(0);
        Tensor place = Tensor.of(Arrays.stream(index).map(t -> Math.max(t, 0)).toArray(), n, 1);
        Tensor loss = logProbs.reshape(n, -1)
                .gather(1, place)
                .reshape(n)
                .where(kept, Tensor.zeros(logProbs.dtype()))
                .mul(Tensor.of(weights, n).to(logProbs.dtype()).neg());
        return reduceKept(loss.reshape(target.shape()), reduction, total(index, w));
    }

    /** Logits of {@code [C]}, {@code [N, C]} or {@code [N, C, d1, ...]} with the classes last, as rows. */
    private static Tensor classesLast(String op, Tensor input, Tensor target) {
        Elementwise.requireFloat(op, input.alive());
        int rank = input.rank();
        int classes = Math.min(1, rank - 1);
        if (rank == 0 || !Arrays.equals(target.alive().shape(), Layout.without(input.shape(), classes))) {
            throw new TensorException(op + ": targets of " + target.layout() + " for logits of " + input.layout()
                    + "; expected [C] and [], [N, C] and [N], or [N, C, d1, ...] and [N, d1, ...]");
        }
        int[] order = new int[rank];
        Arrays.setAll(order, d -> d < classes ? d : d == rank - 1 ? classes : d + 1);
        return input.permute(order).contiguous();
    }

    private static @Nullable Tensor classWeight(String op, Tensor logits, @Nullable Tensor weight) {
        if (weight == null) {
            return null;
        }
        Elementwise.requireSameType(op, logits, weight.alive());
        if (weight.count() != logits.size(-1)) {
            throw new TensorException(
                    op + ": class weights of " + weight.layout() + " for " + logits.size(-1) + " classes");
        }
        return weight.detach().contiguous();
    }

    /** The targets, -1 for those to ignore. */
    private static int[] index(String op, Tensor target, int classes, int ignoreIndex) {
        int[] index = target.toInts();
        for (int i = 0; i < index.length; i++) {
            if (index[i] == ignoreIndex) {
                index[i] = -1;
            } else if (index[i] < 0 || index[i] >= classes) {
                throw new TensorException(op + ": target " + index[i] + " is outside of " + classes
                        + " classes and not the ignored index " + ignoreIndex);
            }
        }
        return index;
    }

    /** What each target counts in a mean. */
    private static double[] weights(int[] index, @Nullable Tensor weight) {
        double[] w = weight == null ? null : weight.toDoubles();
        return Arrays.stream(index)
                .mapToDouble(t -> t < 0 ? 0 : w == null ? 1 : w[t])
                .toArray();
    }

    private static double total(int[] index, @Nullable Tensor weight) {
        return Arrays.stream(weights(index, weight)).sum();
    }

    private static Tensor reduceKept(Tensor loss, Reduction reduction, double kept) {
        return reduction == Reduction.MEAN ? loss.sum().mul(1 / kept) : reduce(loss, reduction);
    }

    /** The labels move to the token before them; the last token of a row has none. */
    static Tensor causalLmLoss(Tensor logits, Tensor labels, int ignoreIndex) {
        if (logits.alive().rank() != 3 || !Arrays.equals(labels.alive().shape(), Layout.without(logits.shape(), 2))) {
            throw new TensorException("causalLmLoss: labels of " + labels.layout() + " for logits of " + logits.layout()
                    + "; expected [B, T] and [B, T, V]");
        }
        int[] next = labels.toInts();
        int length = Layout.intSize(labels.size(1));
        for (int i = 0; i < next.length; i++) {
            next[i] = i % length == length - 1 ? ignoreIndex : next[i + 1];
        }
        Tensor rows = logits.reshape(next.length, logits.size(2));
        return crossEntropy(rows, Tensor.of(next, next.length), null, ignoreIndex, Reduction.MEAN, 0);
    }

    static Tensor selectiveLogSoftmax(Tensor logits, Tensor index) {
        long[] shape = Layout.without(logits.shape(), logits.rank() - 1);
        if (!Arrays.equals(shape, index.alive().shape())) {
            throw new TensorException("selectiveLogSoftmax: an index of " + index.layout() + " into logits of "
                    + logits.layout() + "; expected the same sizes but the last");
        }
        Tensor rows = logits.reshape(-1, logits.size(-1));
        return crossEntropy(rows, index.reshape(-1), null, NOTHING_IGNORED, Reduction.NONE, 0)
                .neg()
                .reshape(shape);
    }

    /** {@code -sum p log p}; a word of probability 0 adds 0. */
    static Tensor entropyFromLogits(Tensor logits) {
        Tensor logp = logits.logSoftmax(-1);
        return logp.exp().mul(logp.clamp(-Float.MAX_VALUE, 0)).sum(-1, false).neg();
    }

    // ---- of numbers -----------------------------------------------------------------------------------------------

    /** {@code weight ((1 - t) x - (1 + (posWeight - 1) t) log sigmoid(x))}. */
    static Tensor binaryCrossEntropyWithLogits(
            Tensor x, Tensor target, @Nullable Tensor weight, Reduction reduction, @Nullable Tensor posWeight) {
        requireSameShape("binaryCrossEntropyWithLogits", x, target);
        Tensor positive =
                posWeight == null ? null : posWeight.sub(1).mul(target).add(1);
        Tensor logSigmoid = x.logsigmoid();
        Tensor loss = target.neg().add(1).mul(x).sub(positive == null ? logSigmoid : positive.mul(logSigmoid));
        return reduce(weight == null ? loss : loss.mul(weight), reduction);
    }

    static Tensor mseLoss(Tensor input, Tensor target, Reduction reduction) {
        requireSameShape("mseLoss", input, target);
        return reduce(input.sub(target).square(), reduction);
    }

    /** With {@code d = input - target} and {@code c = clamp(d, -delta, delta)}: {@code c (d - c / 2)}. */
    static Tensor huberLoss(Tensor input, Tensor target, Reduction reduction, double delta) {
        requireSameShape("huberLoss", input, target);
        if (!(delta > 0)) {
            throw new TensorException("huberLoss: delta is " + delta + "; expected a positive number");
        }
        Tensor d = input.sub(target);
        Tensor c = d.clamp(-delta, delta);
        return reduce(c.mul(d.sub(c.mul(0.5))), reduction);
    }

    /** The Huber loss divided by {@code beta}, and the distance where {@code beta} is 0. */
    static Tensor smoothL1Loss(Tensor input, Tensor target, Reduction reduction, double beta) {
        if (beta == 0) {
            requireSameShape("smoothL1Loss", input, target);
            return reduce(input.sub(target).abs(), reduction);
        }
        return huberLoss(input, target, reduction, beta).mul(1 / beta);
    }

    /** {@code t (log t - input)}, 0 where {@code t} is; {@code exp(t) (t - input)} for the logarithms of probabilities. */
    static Tensor klDiv(Tensor input, Tensor target, Reduction reduction, boolean logTarget) {
        requireSameShape("klDiv", input, target);
        if (logTarget) {
            return reduce(target.exp().mul(target.sub(input)), reduction);
        }
        Tensor positive = target.where(target.gt(0), Tensor.full(target.dtype(), 1));
        return reduce(target.mul(positive.log().sub(input)), reduction);
    }

    private static Tensor reduce(Tensor loss, Reduction reduction) {
        return switch (reduction) {
            case NONE -> loss;
            case MEAN -> loss.mean();
            case SUM -> loss.sum();
            case BATCHMEAN -> loss.sum().mul(1.0 / loss.size(0));
        };
    }

    private static void requireSameShape(String op, Tensor input, Tensor target) {
        Elementwise.requireSameType(op, input.alive(), target.alive());
        if (!Arrays.equals(input.shape(), target.shape())) {
            throw new TensorException(op + ": a target of " + target.layout() + " for an input of " + input.layout());
        }
    }
}
