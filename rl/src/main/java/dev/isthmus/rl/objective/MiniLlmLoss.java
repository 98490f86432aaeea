package dev.isthmus.rl.objective;

import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Distillation of completions that the student sampled, by policy gradient on the reverse divergence (Gu et al. 2024, MiniLLM, arXiv
 * 2306.08543), with TRL's names.
 *
 * <p>A token earns {@code r_t = log q(y_t) - log p(y_t)}, teacher {@code q}, student {@code p}; its advantage is {@code sum_{s >= t}
 * gamma^(s - t) r_s}, divided by {@code sum_{s >= t} gamma^(s - t)} if lengths are normalized, added to that of other rewards. With the
 * single step decomposition the divergence {@code KL(p || q)} at each token is added, which has a gradient without variance. As in TRL
 * {@code r_t} stays in the advantage then, where the paper takes it out. Unlike TRL's, advantages without length normalization do not
 * fade with {@code gamma^t}.
 *
 * @param policyGradient the loss that the advantages go into
 * @param kdTemperature what both logits are divided by
 */
public record MiniLlmLoss(
        GrpoLoss policyGradient,
        boolean rklAdvantage,
        boolean singleStepDecomposition,
        double kdTemperature,
        double gamma,
        boolean lengthNormalization) {
    public MiniLlmLoss {
        Require.positive("kd_temperature", kdTemperature);
        Require.within("gamma", 0, gamma, 1);
    }

    /** TRL's defaults. */
    public static MiniLlmLoss defaults() {
        return new MiniLlmLoss(GrpoLoss.defaults(), true, true, 1, 0, true);
    }

    /**
     * The loss of a micro-batch.
     *
     * @param in what a policy gradient needs; its advantages {@code [B]} or {@code [B, T]} are those of other rewards, 0 if there are
     *     none
     * @param tokens {@code [B, T]}, the completions
     * @param studentLogits {@code [B, T, V]}, with gradient
     * @param teacherLogits {@code [B, T, V]}
     */
    public LossResult compute(GrpoLoss.Inputs in, Tensor tokens, Tensor studentLogits, Tensor teacherLogits) {
        Tensor mask = in.batch().mask();
        Tensor advantages = Masked.column(in.advantages());
        if (rklAdvantage) {
            Tensor divergence = Autograd.noGrad(() -> advantages(
                    Functional.selectiveLogSoftmax(studentLogits.detach().div(kdTemperature), tokens),
                    Functional.selectiveLogSoftmax(teacherLogits.detach().div(kdTemperature), tokens),
                    mask));
            advantages = advantages.add(divergence);
        }
        LossResult gradient = policyGradient.compute(
                new GrpoLoss.Inputs(in.logps(), in.oldLogps(), in.refLogps(), advantages, in.entropies(), in.batch()));
        if (!singleStepDecomposition) {
            return gradient;
        }
        Tensor steps = new DistillationLoss(1, kdTemperature).perToken(studentLogits, teacherLogits);
        Tensor single = policyGradient.normalizer().tokenMean(steps, in.batch());
        Map<String, Double> metrics = new LinkedHashMap<>(gradient.metrics());
        metrics.put("single_step_loss", single.item());
        return new LossResult(gradient.loss().add(single), metrics);
    }

    /** {@code [B, T]}: the advantages by the reverse divergence alone, without gradient; 0 where the mask is 0. */
    public Tensor advantages(Tensor studentLogps, Tensor teacherLogps, Tensor mask) {
        int columns = (int) mask.size(1);
        double[] counted = mask.toDoubles();
        double[] student = studentLogps.toDoubles();
        double[] teacher = teacherLogps.toDoubles();
        var advantages = new double[counted.length];
        for (int start = 0; start < counted.length; start += columns) {
            var rewards = new double[columns];
            var ones = new double[columns];
            for (int t = 0; t < columns; t++) {
                if (counted[start + t] != 0) {
                    rewards[t] = teacher[start + t] - student[start + t];
                    ones[t] = 1;
                }
            }
            System.arraycopy(advantages(rewards, ones, gamma, lengthNormalization), 0, advantages, start, columns);
        }
        return Tensor.of(advantages, mask.shape()).to(mask.dtype());
    }

    /**
     * The advantages of the tokens of one completion.
     *
     * @param rewards {@code log q - log p} of each token, 0 for those that do not count
     * @param counted 1 for the tokens that count
     */
    public static double[] advantages(double[] rewards, double[] counted, double gamma, boolean lengthNormalization) {
        double[] returns = TokenRewards.returns(rewards, gamma);
        double[] lengths = TokenRewards.returns(counted, gamma);
        for (int t = 0; t < returns.length; t++) {
            returns[t] = counted[t] == 0 ? 0 : lengthNormalization ? returns[t] / lengths[t] : returns[t];
        }
        return returns;
    }
}
