package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A loss of pairs plus a push away from what the reference writes, so that the policy looks elsewhere: {@code L + c mean(max(lr(y~),
 * -floor))}, {@code y~} completions of the reference.
 *
 * <p>XPO is {@code c = alpha} (Xie et al. 2024, algorithm 1; it writes {@code lp}, which differs by a constant), SELM {@code c =
 * alpha beta} (Zhang et al. 2024, as in its trainer). Without a floor the loss has no lower bound: where {@code c} is not small
 * beside the preference term, the policy leaves {@code y~} for ever. {@code exploration/collapsed} is the share of completions at the
 * floor, where the push has ended.
 *
 * @param coefficient {@code c}
 * @param floor how many nats {@code y~} may lose against the reference; infinite for the papers' form
 */
public record ExplorationLoss(PairLoss pairLoss, double coefficient, double floor) {
    public ExplorationLoss {
        Require.notNegative("alpha", coefficient);
        if (!(floor > 0)) {
            throw new IsthmusException("the floor must be above 0, found " + floor);
        }
    }

    /** XPO with TRL's defaults for the rest: {@code alpha} is 1e-5 there. */
    public static ExplorationLoss xpo(PairLoss pairLoss, double alpha) {
        return new ExplorationLoss(pairLoss, alpha, Double.POSITIVE_INFINITY);
    }

    /** SELM; its {@code alpha} is 0.001. */
    public static ExplorationLoss selm(double beta, double alpha) {
        return new ExplorationLoss(DpoLoss.of(DpoLossType.SIGMOID, beta), alpha * beta, Double.POSITIVE_INFINITY);
    }

    /** This loss with a floor. */
    public ExplorationLoss withFloor(double floor) {
        return new ExplorationLoss(pairLoss, coefficient, floor);
    }

    /** The loss of {@code pairs} and of the reference's completions {@code explored}. */
    public LossResult compute(Pairs pairs, Completions explored) {
        LossResult preference = pairLoss.compute(pairs);
        Tensor logRatios = explored.logRatios();
        Tensor exploration = logRatios.clampMin(-floor).mean().mul(coefficient);
        Map<String, Double> metrics = new LinkedHashMap<>(preference.metrics());
        metrics.put("loss/dpo", preference.loss().detach().item());
        metrics.put("loss/xpo", exploration.detach().item());
        metrics.put(
                "exploration/collapsed",
                Autograd.noGrad(
                        () -> logRatios.le(-floor).to(logRatios.dtype()).mean().item()));
        return new LossResult(preference.loss().add(exploration), metrics);
    }
}
