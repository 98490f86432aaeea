package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Tensor;

/**
 * Pairs of a correct completion and one with a subtle error, compared where they differ only: {@code -log sg(beta D') - gamma lp(y+)},
 * {@code D'} over the {@linkplain TokenWeights#differing differing} tokens (Xu et al. 2024, RISE).
 *
 * <p>The loss is {@link DpoLoss} with {@code loss_type} sigmoid and sft, weights 1 and gamma, on these pairs. Unsure: whether the
 * paper's {@code lp(y+)} is a sum, as here, or an average.
 */
public final class ErrorInjection {
    private ErrorInjection() {}

    /** The pairs; the ids are those of the tokens of each row, from its first column on. */
    public static Pairs pairs(TokenLogps chosen, int[][] chosenIds, TokenLogps rejected, int[][] rejectedIds) {
        return Pairs.of(
                        chosen.sum(weights(chosen, chosenIds, rejectedIds)),
                        rejected.sum(weights(rejected, rejectedIds, chosenIds)))
                .withNll(chosen.sum().logps().mean().neg());
    }

    private static Tensor weights(TokenLogps side, int[][] ids, int[][] others) {
        int columns = (int) side.mask().size(1);
        double[] weights = new double[ids.length * columns];
        for (int n = 0; n < ids.length; n++) {
            double[] row = TokenWeights.differing(ids[n], others[n]);
            System.arraycopy(row, 0, weights, n * columns, row.length);
        }
        return Tensor.of(weights, ids.length, columns).to(side.logps().dtype());
    }
}
