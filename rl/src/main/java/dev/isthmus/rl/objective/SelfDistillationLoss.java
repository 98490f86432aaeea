package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;

/**
 * Supervised learning whose targets are softened by what the model itself predicted earlier (Kim et al. 2021, PS-KD, arXiv 2006.12000,
 * eq. 4): the cross-entropy with {@code (1 - alpha) onehot(y) + alpha P_past}.
 */
public record SelfDistillationLoss(double alpha) {
    public SelfDistillationLoss {
        Require.within("alpha", 0, alpha, 1);
    }

    /** {@code alpha_T t / T} (eq. 6): the loss of epoch {@code t} of {@code T}, which trusts the past the more the further it is. */
    public static SelfDistillationLoss ofEpoch(double finalAlpha, int epoch, int epochs) {
        return new SelfDistillationLoss(finalAlpha * epoch / epochs);
    }

    /**
     * The sum of the costs of the tokens that count, a number with gradient.
     *
     * @param logits {@code [B, T, V]}, with gradient
     * @param labels {@code [B, T]}
     * @param pastLogits {@code [B, T, V]}, of the snapshot, which for PS-KD is the model at the end of the epoch before
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    public Tensor sum(Tensor logits, Tensor labels, Tensor pastLogits, Tensor mask) {
        Tensor hard = Functional.selectiveLogSoftmax(logits, labels);
        Tensor soft = pastLogits.detach().softmax(-1).mul(logits.logSoftmax(-1)).sum(-1, false);
        return Masked.sum(hard.mul(1 - alpha).add(soft.mul(alpha)).neg(), mask);
    }
}
