package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/** How sure it is that the chosen completion is better: the labels of {@link SoftDpoLoss}. */
public final class PairTargets {
    private PairTargets() {}

    /**
     * {@code sg(r(y+) - r(y-))}, {@code r(y)} being how often {@code y} is preferred to a completion of the sampling policy (DNO,
     * Rosset et al. 2024): {@code [N]}, of the scores.
     */
    public static Tensor dno(Completions chosen, Completions rejected) {
        return Autograd.noGrad(() -> chosen.scored().sub(rejected.scored()).sigmoid());
    }

    /**
     * {@code N+ / (N+ + N-)}: what label smoothing by the visit counts of two sibling steps leaves for the chosen one (Xie et al.
     * 2024, MCTS-DPO): {@code [N]}.
     */
    public static Tensor visits(Tensor chosenVisits, Tensor rejectedVisits) {
        return chosenVisits.div(chosenVisits.add(rejectedVisits));
    }

    /**
     * {@code (tau + 1) / 2}, {@code tau} being {@link #kendall Kendall's} between the ranks that this and the previous iteration's
     * model give to the completions of a prompt (CREAM, Wang et al. 2024). Its loss is {@code c L(y+, y-) + (1 - c) L(y-, y+)}
     * with {@code c} this number, per prompt or averaged over the data set.
     */
    public static double consistency(double[] rewards, double[] previousRewards) {
        return (kendall(rewards, previousRewards) + 1) / 2;
    }

    /**
     * Kendall's rank correlation, tau-a: the share of pairs that both order alike minus that which they order otherwise.
     *
     * @throws IllegalArgumentException unless both have the same length, at least 2
     */
    public static double kendall(double[] a, double[] b) {
        int n = a.length;
        if (n != b.length || n < 2) {
            throw new IllegalArgumentException(
                    "expected two lists of the same length, at least 2, found " + n + " and " + b.length);
        }
        double agreement = 0;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                agreement += Math.signum(a[i] - a[j]) * Math.signum(b[i] - b[j]);
            }
        }
        return agreement * 2 / ((double) n * (n - 1));
    }
}
