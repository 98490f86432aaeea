package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.Require;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/**
 * What beta is multiplied by for each pair, so that clear pairs count more: {@code 1 + w (1 - exp(-k m))}, {@code m} the margin of the
 * scores, at least 0 (Zhang et al. 2025, MM-RLHF). Unsure: which {@code w} and {@code k} its authors take.
 *
 * @param w how much larger beta gets at most, relatively
 * @param k how fast
 */
public record DynamicBeta(double w, double k) {
    public DynamicBeta {
        Require.notNegative("dynamic_beta_w", w);
        Require.positive("dynamic_beta_k", k);
    }

    /** The factors {@code [N]} of pairs whose completions have scores. */
    Tensor factors(Pairs pairs) {
        return Autograd.noGrad(() -> pairs.chosen()
                .scored()
                .sub(pairs.rejected().scored())
                .clampMin(0)
                .mul(-k)
                .expm1()
                .mul(-w)
                .add(1));
    }
}
