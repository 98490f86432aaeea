package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code N} completions with labels.
 *
 * @param labels true for a good one
 * @param baseline what log-ratios or rewards are compared with: KTO's {@code z}, BCO's {@code delta}
 * @param weights {@code [N]}, what each counts, without gradient, or null for 1
 */
public record Labelled(
        Completions completions,
        boolean[] labels,
        double baseline,
        @Nullable Tensor weights) {
    public Labelled {
        if (labels.length != completions.logps().count()) {
            throw new IsthmusException("found " + labels.length + " labels for "
                    + completions.logps().count() + " completions");
        }
        Completions.sameShape("weights", weights, completions.logps());
    }

    /** 1 for a good completion, -1 for a bad one: {@code [N]}. */
    Tensor signs() {
        double[] signs = new double[labels.length];
        for (int i = 0; i < signs.length; i++) {
            signs[i] = labels[i] ? 1 : -1;
        }
        return Tensor.of(signs, signs.length).to(completions.logps().dtype());
    }

    /** The means of rewards {@code beta lr(y)} and log-probs of each label that occurs. */
    Map<String, Double> metrics(double beta) {
        return Autograd.noGrad(() -> {
            double[] rewards =
                    completions.logRatios().mul(beta).to(DType.FLOAT64).toDoubles();
            double[] logps = completions.logps().to(DType.FLOAT64).toDoubles();
            Map<String, Double> metrics = new LinkedHashMap<>();
            double chosen = put(metrics, "chosen", true, rewards, logps);
            double rejected = put(metrics, "rejected", false, rewards, logps);
            if (!Double.isNaN(chosen - rejected)) {
                metrics.put("rewards/margins", chosen - rejected);
            }
            return metrics;
        });
    }

    /** The mean reward of the label; NaN where it does not occur. */
    private double put(Map<String, Double> metrics, String side, boolean label, double[] rewards, double[] logps) {
        double reward = 0;
        double logp = 0;
        int count = 0;
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] == label) {
                reward += rewards[i];
                logp += logps[i];
                count++;
            }
        }
        if (count > 0) {
            metrics.put("rewards/" + side, reward / count);
            metrics.put("logps/" + side, logp / count);
        }
        metrics.put("count/" + side, (double) count);
        return reward / count;
    }
}
