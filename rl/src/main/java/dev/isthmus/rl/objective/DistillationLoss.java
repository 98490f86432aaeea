package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The divergence of a student's next-token distribution {@code p} from a teacher's {@code q}: the generalized Jensen-Shannon
 * divergence of GKD (Agarwal et al. 2024, arXiv 2306.13649, eq. 1).
 *
 * <p>{@code beta KL(q || m) + (1 - beta) KL(p || m)} with {@code m = beta q + (1 - beta) p}; at beta 0 the forward divergence {@code
 * KL(q || p)}, at 1 the reverse {@code KL(p || q)}, which are its limits after division by beta and 1 - beta. On completions that
 * the student sampled this is on-policy distillation; the gradient does not pass through sampling.
 *
 * @param temperature what both logits are divided by
 */
public record DistillationLoss(double beta, double temperature) {
    private static final long TOKENS_AT_ONCE = 128;

    public DistillationLoss {
        Require.within("beta", 0, beta, 1);
        Require.positive("temperature", temperature);
    }

    /** TRL's defaults. */
    public static DistillationLoss defaults() {
        return new DistillationLoss(0.5, 0.9);
    }

    /**
     * The sum of the divergences of the tokens that count, a number with gradient; a trainer divides it by the tokens of its
     * step.
     *
     * @param studentLogits {@code [B, T, V]}, with gradient
     * @param teacherLogits {@code [B, T, V]}
     * @param mask {@code [B, T]}, 1 for the tokens that count
     */
    public Tensor sum(Tensor studentLogits, Tensor teacherLogits, Tensor mask) {
        return Masked.sum(perToken(studentLogits, teacherLogits), mask);
    }

    /** {@code [B, T]}: the divergence at each token. */
    public Tensor perToken(Tensor studentLogits, Tensor teacherLogits) {
        Tensor student = studentLogits.div(temperature).logSoftmax(-1);
        Tensor teacher = teacherLogits.div(temperature).logSoftmax(-1);
        if (beta == 0) {
            return divergence(teacher, student);
        }
        if (beta == 1) {
            return divergence(student, teacher);
        }
        Tensor mixture = Tensor.stack(0, student.add(StrictMath.log1p(-beta)), teacher.add(StrictMath.log(beta)))
                .logsumexp(0, false);
        return divergence(teacher, mixture)
                .mul(beta)
                .add(divergence(student, mixture).mul(1 - beta));
    }

    /**
     * {@code [T]}: the divergence at each token, some tokens at once. What is computed on the way is freed, and computed again for the
     * gradient, so that no distribution of the teacher is kept.
     *
     * @param studentLogits {@code [T, V]}, with gradient
     * @param teacherHidden {@code [T, C]}, the last hidden states of the teacher
     * @param teacherHead its logits {@code [N, V]} of hidden states {@code [N, C]}
     */
    public Tensor perToken(Tensor studentLogits, Tensor teacherHidden, UnaryOperator<Tensor> teacherHead) {
        List<Tensor> parts = new ArrayList<>();
        for (long from = 0; from < studentLogits.size(0); from += TOKENS_AT_ONCE) {
            long to = Math.min(from + TOKENS_AT_ONCE, studentLogits.size(0));
            Tensor hidden = teacherHidden.detach().slice(0, from, to);
            parts.add(Autograd.checkpoint(
                    student -> perToken(student[0], Autograd.noGrad(() -> teacherHead.apply(hidden))),
                    studentLogits.slice(0, from, to)));
        }
        return Tensor.cat(0, parts.toArray(Tensor[]::new));
    }

    /** {@code KL(p || q)} over the last dimension, of log-probabilities. */
    static Tensor divergence(Tensor logP, Tensor logQ) {
        return logP.exp().mul(logP.sub(logQ)).sum(-1, false);
    }
}
