package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Self-improving robust preference optimization (Choi et al. 2024): one model answers, and revises an answer.
 *
 * <p>With {@code rd(a|b)} the log-ratio of {@code a} as a revision of {@code b} and {@code rd(b)} short for {@code rd(y+|b) -
 * rd(y-|b)}: {@code (1 - alpha) L + alpha L_rev}, where
 *
 * <pre>
 * L_rev = (1/2 - beta rd(y-))^2 + (1/2 - beta rd(y+))^2
 * L     = (1/2 - beta/2 [D + rd(y+|y-) - rd(y-|y+)])^2
 * </pre>
 *
 * <p>Both hold exactly at the optimum of the min-max problem; the weight {@code alpha} is from memory of the paper.
 */
public record SrpoLoss(double beta, double alpha) {
    public SrpoLoss {
        Require.positive("beta", beta);
        Require.notNegative("alpha", alpha);
    }

    /**
     * The loss.
     *
     * @param pairs both completions as answers to the prompt
     * @param ofChosen both as revisions of the chosen one, {@code rd(.|y+)}
     * @param ofRejected both as revisions of the rejected one, {@code rd(.|y-)}
     */
    public LossResult compute(Pairs pairs, Pairs ofChosen, Pairs ofRejected) {
        Tensor revision = fromHalf(ofRejected.margins().mul(beta))
                .add(fromHalf(ofChosen.margins().mul(beta)));
        Tensor better = ofRejected.chosen().logRatios().sub(ofChosen.rejected().logRatios());
        Tensor answer = fromHalf(pairs.margins().add(better).mul(beta / 2));
        Tensor loss = pairs.mean(answer.mul(1 - alpha).add(revision.mul(alpha)));
        Map<String, Double> metrics = new LinkedHashMap<>(PairMetrics.ofLogRatios(pairs, beta));
        metrics.put("loss/answer", pairs.mean(answer.detach()).item());
        metrics.put("loss/revision", pairs.mean(revision.detach()).item());
        return new LossResult(loss, metrics);
    }

    /** {@code (1/2 - x)^2}. */
    private static Tensor fromHalf(Tensor x) {
        return x.sub(0.5).square();
    }
}
