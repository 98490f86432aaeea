package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What values of actions and states learn from transitions that some policy made, any policy: {@code (r + gamma V(s') - Q(s, a))^2}, and
 * {@code |tau - 1[Q'(s, a) < V(s)]| (Q'(s, a) - V(s))^2}, a target network's {@code Q'}.
 *
 * <p>With an expectile {@code tau} above 1/2 V is more than the mean over the actions in the data, and near their maximum as tau comes
 * to 1: implicit Q-learning. Actions are
 *
 * <ul>
 *   <li>tokens in ILQL (Snell et al. 2023, arXiv 2206.11871), which adds {@code cql_scale} times {@code -log softmax(Q)(a)}, and
 *       a language model's loss ({@link IlqlLoss});
 *   <li>utterances in ArCHer (Zhou et al. 2024, arXiv 2402.19446), whose tokens then learn by {@link Surrogate.Reinforce} with the
 *       advantage {@code Q - V} of their utterance;
 *   <li>tokens in B-Coder ({@link DuelingValues}), which has no loss of V of its own.
 * </ul>
 */
public record QValueLoss(double gamma, double tau, double cqlScale) {
    public QValueLoss {
        Require.within("gamma", 0, gamma, 1);
        Require.within("tau", 0, tau, 1);
        Require.notNegative("cql_scale", cqlScale);
    }

    /** The constants of ILQL's published code. */
    public static QValueLoss ilql() {
        return new QValueLoss(0.99, 0.7, 0.1);
    }

    /** ArCHer's: V is the mean of Q. */
    public static QValueLoss archer(double gamma) {
        return new QValueLoss(gamma, 0.5, 0);
    }

    /**
     * Transitions {@code [B, T]}; of several Q networks the target is the least.
     *
     * @param q {@code Q(s, a)} of each network, with gradient
     * @param targetQ {@code Q'(s, a)} of each target network; null if V learns nothing
     * @param values {@code V(s)}, with gradient; null if V learns nothing
     * @param nextValues {@code V(s')}, held constant
     * @param ends 1 where the episode ends with the action, so that {@code V(s')} is 0
     * @param qLogps {@code log softmax(Q)(a)} of each network, with gradient, or null if {@code cql_scale} is 0
     * @param mask 1 for the actions that count
     */
    public record Inputs(
            List<Tensor> q,
            @Nullable List<Tensor> targetQ,
            @Nullable Tensor values,
            Tensor nextValues,
            Tensor rewards,
            Tensor ends,
            @Nullable List<Tensor> qLogps,
            Tensor mask) {
        /** {@code Q'(s, a) - V(s)} by the least of the target networks, with V's gradient; null if V learns nothing. */
        @Nullable
        Tensor advantages() {
            return targetQ == null || values == null
                    ? null
                    : targetQ.stream()
                            .map(Tensor::detach)
                            .reduce(Tensor::minimum)
                            .orElseThrow()
                            .sub(values);
        }
    }

    /**
     * The loss, a mean over the actions that count; metrics under trlX's keys.
     *
     * @throws IsthmusException if {@code cql_scale} is above 0 and there are no log-probabilities
     */
    public LossResult compute(Inputs in) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        Tensor target = Autograd.noGrad(() ->
                in.nextValues.detach().mul(in.ends.neg().add(1)).mul(gamma).add(in.rewards));
        Tensor loss = sum(in.q.stream()
                .map(q -> Masked.mean(q.sub(target).square(), in.mask))
                .toList());
        metrics.put("losses/loss_q", loss.item());
        for (int i = 0; i < in.q.size(); i++) {
            metrics.put(
                    "qvalues/" + i + "/mean",
                    Masked.mean(in.q.get(i).detach(), in.mask).item());
        }
        Tensor advantages = in.advantages();
        if (advantages != null && in.values != null) {
            Tensor value = Masked.mean(expectile(advantages, tau), in.mask);
            loss = loss.add(value);
            metrics.put("losses/loss_v", value.item());
            metrics.put("values/mean", Masked.mean(in.values.detach(), in.mask).item());
        }
        if (cqlScale != 0) {
            if (in.qLogps == null) {
                throw new IsthmusException(
                        "cql_scale is " + cqlScale + ", so the loss needs log softmax(Q) of the actions.");
            }
            Tensor cql = sum(in.qLogps.stream()
                    .map(logps -> Masked.mean(logps, in.mask).neg())
                    .toList());
            loss = loss.add(cql.mul(cqlScale));
            metrics.put("losses/loss_cql", cql.item());
        }
        return new LossResult(loss, metrics);
    }

    /**
     * {@code log pi(a|s) + beta (Q(s, a) - V(s))}, the logits of ILQL's policy.
     *
     * @param logits {@code [..., V]}, of the policy that is guided
     * @param q {@code [..., V]}
     * @param values {@code [...]}
     */
    public static Tensor guide(Tensor logits, Tensor q, Tensor values, double beta) {
        return logits.logSoftmax(-1).add(q.sub(values.unsqueeze(-1)).mul(beta));
    }

    /** {@code |tau - 1[d < 0]| d^2} (Newey and Powell 1987). */
    static Tensor expectile(Tensor difference, double tau) {
        Tensor below = difference.detach().lt(0);
        Tensor weight = Tensor.fullLike(below.to(difference.dtype()), 1 - tau)
                .where(below, Tensor.fullLike(below.to(difference.dtype()), tau));
        return difference.square().mul(weight);
    }

    private static Tensor sum(List<Tensor> parts) {
        return parts.stream().reduce(Tensor::add).orElseThrow();
    }
}
