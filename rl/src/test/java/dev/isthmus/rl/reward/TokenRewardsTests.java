package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.KlEstimator;
import org.junit.jupiter.api.Test;

class TokenRewardsTests {
    /** gamma 1/2: 4, 2 + 4/2, 1 + 4/2. */
    @Test
    void returnsAreDiscountedSumsOfWhatComes() {
        assertThat(TokenRewards.returns(new double[] {1, 2, 4}, 0.5)).containsExactly(3, 4, 4);
        assertThat(TokenRewards.returns(new double[0], 1)).isEmpty();
    }

    /** REINFORCE++: what is left of the KL penalty at each token, and the score, brought to mean 0 and deviation 1 over the batch. */
    @Test
    void reinforcePlusPlusIsAComposition() {
        double[] one = TokenRewards.returns(
                TokenRewards.klPenalized(new double[] {-1, -2}, new double[] {-2, -1.5}, 3, 0.5, KlEstimator.K1, 2), 1);
        // KL of the tokens 1 and -0.5: rewards -0.5 and 0.25 + 3.
        assertThat(one).containsExactly(2.75, 3.25);
        double[] two = TokenRewards.returns(
                TokenRewards.klPenalized(new double[] {-1}, new double[] {-1}, 0, 0.5, KlEstimator.K1, 1), 1);
        double[][] advantages =
                Whitening.whiten(new double[][] {one, two}, new boolean[][] {{true, true}, {true}}, true);
        // Of 2.75, 3.25 and 0: mean 2, squares 0.5625 + 1.5625 + 4 over 2.
        double deviation = Math.sqrt(3.0625 + 1e-8);
        assertThat(advantages[0]).containsExactly(new double[] {0.75 / deviation, 1.25 / deviation}, within(1e-12));
        assertThat(advantages[1]).containsExactly(new double[] {-2 / deviation}, within(1e-12));
        assertThat(Whitening.whiten(new double[][] {one}, new boolean[][] {{false, true}}, true)[0])
                .as("one alone has no deviation")
                .containsExactly(0, 0);
    }

    /** RTO: implicit rewards of a DPO model cut at 0.5, the KL penalty, and the score cut at 10, at the last token. */
    @Test
    void reinforcedTokenOptimizationIsASum() {
        double[] logps = {-1, -2};
        double[] reference = {-1.5, -2};
        double[] rewards = TokenRewards.sum(
                TokenRewards.implicit(new double[] {-0.5, -2.2}, reference, 2, 0.5),
                TokenRewards.klPenalized(logps, reference, Math.clamp(12.0, -10, 10), 0.1, KlEstimator.K1, 2));
        // 2 * (1, -0.2) cut to (0.5, -0.4), less 0.1 * (0.5, 0).
        assertThat(rewards).containsExactly(new double[] {0.45, 9.6}, within(1e-12));
        assertThat(TokenRewards.implicit(new double[] {3}, new double[] {0}, 2, Double.POSITIVE_INFINITY))
                .containsExactly(6);
        assertThatThrownBy(() -> TokenRewards.sum(logps, new double[1]))
                .hasMessageContaining("rewards of 1 tokens do not add to those of 2");
    }

    @Test
    void segmentsPayAtTheirEnds() {
        assertThat(TokenRewards.atEnds(new int[] {1, 3, 3}, new double[] {0.5, -1, 2}, 5))
                .containsExactly(0, 0.5, 0, 1, 0);
        assertThatThrownBy(() -> TokenRewards.atEnds(new int[] {5}, new double[] {1}, 5))
                .hasMessageContaining("segment 0 ends at token 5 of 5");
        assertThatThrownBy(() -> TokenRewards.atEnds(new int[] {0, 1}, new double[] {1}, 5))
                .hasMessageContaining("1 rewards of segments for 2 ends");
    }

    /** However many steps repeat what was right, clipped they never gain, and their differences sum to the first. */
    @Test
    void stepRewardsCannotBeHackedByLength() {
        double[] steps = {0.9, 0.3, 0.8, 0.8, 0.8};
        assertThat(TokenRewards.clip(steps, 0.5)).containsExactly(new double[] {0, -0.2, 0, 0, 0}, within(1e-12));
        double[] deltas = TokenRewards.delta(steps);
        assertThat(deltas).containsExactly(new double[] {0.6, -0.5, 0, 0, 0.8}, within(1e-12));
        assertThat(TokenRewards.returns(deltas, 1)).containsExactly(steps, within(1e-12));
        assertThat(steps).as("the input stays").startsWith(0.9, 0.3);
    }

    /** Two completions: outcomes 1 and 0; mean token rewards 2 and -1 are each other's baseline. */
    @Test
    void primeAddsOutcomesToReturnsOfCentredTokenRewards() {
        double[][] advantages = PrimeAdvantages.of(new double[] {1, 0}, new double[][] {{1, 3}, {-1}}, 2, 0.5);
        // (1 + 1, 3 + 1) has returns (2 + 4/2, 4), and 1 - 0 on top; (-1 - 2) and 0 - 1.
        assertThat(advantages[0]).containsExactly(5, 5);
        assertThat(advantages[1]).containsExactly(-4);
        // A constant added to all token rewards changes nothing.
        assertThat(PrimeAdvantages.of(new double[] {1, 0}, new double[][] {{8, 10}, {6}}, 2, 0.5)[0])
                .containsExactly(5, 5);
        assertThatThrownBy(() -> PrimeAdvantages.of(new double[2], new double[3][1], 2, 1))
                .hasMessageContaining("2 outcomes for the token rewards of 3");
    }
}
