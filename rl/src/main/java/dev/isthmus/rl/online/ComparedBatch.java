package dev.isthmus.rl.online;

import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.rl.objective.preference.Pairs;
import dev.isthmus.rl.objective.preference.WinRates;
import dev.isthmus.tensor.Tensor;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/** A micro-batch of completions of which each two belong together, the policy's own first. */
record ComparedBatch(RolloutBatch batch, double missingEosPenalty) {
    static final int FIRST = 0;
    static final int SECOND = 1;

    /** {@code P(y > y')} by the model of Bradley and Terry, of two scores. */
    static double probability(double score, double other) {
        return 1 / (1 + StrictMath.exp(other - score));
    }

    /** All completions, against the reference, with their scores. */
    Completions all() {
        return Completions.of(
                        sums(batch.logps()),
                        sums(batch.refLogps()),
                        batch.mask().sum(1, false))
                .withScores(batch.ofRollouts(r -> r.score(missingEosPenalty)));
    }

    /** {@code [B]}: the log-probs of the completions under the policy that wrote them. */
    Tensor oldLogps() {
        return sums(batch.oldLogps());
    }

    /** {@code [B]}: how probably each completion beats the other one of its prompt. */
    Tensor winRates() {
        double[] rates = new double[batch.rollouts().size()];
        for (int i = 0; i < rates.length; i += 2) {
            double wins = probability(
                    batch.rollouts().get(i).score(missingEosPenalty),
                    batch.rollouts().get(i + 1).score(missingEosPenalty));
            double[] both = WinRates.amongOthers(new double[][] {{0, wins}, {1 - wins, 0}});
            System.arraycopy(both, 0, rates, i, 2);
        }
        return Tensor.of(rates, rates.length).to(batch.mask().dtype());
    }

    /** The first or the second completions of all prompts. */
    Completions written(int which) {
        return chosen(all(), _ -> which);
    }

    /** The better completions, the first where both are as good, and the worse ones. */
    Pairs pairs(Completions all) {
        return Pairs.of(chosen(all, this::better), chosen(all, i -> 1 - better(i)));
    }

    private int better(int pair) {
        double first = batch.rollouts().get(2 * pair).score(missingEosPenalty);
        return first >= batch.rollouts().get(2 * pair + 1).score(missingEosPenalty) ? FIRST : SECOND;
    }

    private Tensor sums(Tensor perToken) {
        return perToken.mul(batch.mask()).sum(1, false);
    }

    private Completions chosen(Completions all, IntUnaryOperator which) {
        int[] rows = IntStream.range(0, batch.rollouts().size() / 2)
                .map(i -> 2 * i + which.applyAsInt(i))
                .toArray();
        Tensor index = Tensor.of(rows, rows.length);
        return Completions.of(
                        all.logps().indexSelect(0, index),
                        all.reference().indexSelect(0, index),
                        all.lengths().indexSelect(0, index))
                .withScores(all.scored().indexSelect(0, index));
    }
}
