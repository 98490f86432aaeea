package dev.isthmus.rl.objective.supervised;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Numbers worked out from the formulas; where RWR, AWR and sharpening lead is in the tests of optima. */
class SupervisedTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor of(double... values) {
        return Tensor.of(values, values.length);
    }

    @Test
    void imitation() {
        Completions y = Completions.of(of(-1, -4), null, of(1, 3));
        assertThat(new ImitationLoss(0).compute(y, null).loss().item()).isCloseTo(5.0 / 4, within(1e-12));
        assertThat(new ImitationLoss(0).compute(y, of(2, 0.5)).loss().item()).isCloseTo(4.0 / 4, within(1e-12));
        LossResult conditional = new ImitationLoss(0.1).compute(y.withSeqKl(of(0.2, 0.6)), of(2, 0.5));
        assertThat(conditional.loss().item()).isCloseTo(4.0 / 4 + 0.1 * 0.8 / 4, within(1e-12));
        assertThat(conditional.metrics()).containsOnlyKeys("nll_loss", "kl");
        assertThat(conditional.metrics().get("nll_loss")).isCloseTo(1.25, within(1e-12));
        assertThat(conditional.metrics().get("kl")).isCloseTo(0.2, within(1e-12));
        GradCheck.check(
                t -> new ImitationLoss(0.3)
                        .compute(Completions.of(t[0], null, of(2, 3, 1)).withSeqKl(t[1]), of(1, 0.5, 2))
                        .loss(),
                Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 3),
                Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 3));
        assertThatThrownBy(() -> new ImitationLoss(0.1).compute(y, null))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("KL divergence");
    }

    @Test
    void weightsOfRewards() {
        double[] weights = SampleWeights.rewardWeighted(new double[] {1, 2, 5000, 5000 + Math.log(3)}, 2, 0.5);
        double e = Math.exp(-2);
        assertThat(weights)
                .containsExactly(new double[] {2 * e / (1 + e), 2 / (1 + e), 2.0 / 10, 2 * 9.0 / 10}, within(1e-9));
        assertThat(SampleWeights.rewardWeighted(new double[] {Double.NaN, 1, Double.NaN, Double.NaN}, 2, 1))
                .containsExactly(0, 1, 0, 0);
        assertThat(SampleWeights.advantageWeighted(new double[] {0.5, -1, 9}, 0.5, 20))
                .containsExactly(new double[] {Math.E, Math.exp(-2), 20}, within(1e-12));
        assertThatThrownBy(() -> SampleWeights.rewardWeighted(new double[3], 2, 1))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("num_generations 2");
        assertThatThrownBy(() -> SampleWeights.rewardWeighted(new double[2], 2, 0))
                .hasMessageContaining("tau");
    }

    @Test
    void rewardTokensAreThoseOfQuantiles() {
        RewardTokens thirds = new RewardTokens(new int[] {7, 8, 9}, new double[] {5, 1, 4, 2, 6, 3});
        double[] rewards = {1, 2, 3, 4, 5, 6, 0, 99};
        int[] levels = {0, 0, 1, 1, 2, 2, 0, 2};
        for (int i = 0; i < rewards.length; i++) {
            assertThat(thirds.level(rewards[i])).as("level of %s", rewards[i]).isEqualTo(levels[i]);
        }
        for (double[] verified : new double[][] {{0, 0, 0, 1}, {0, 1, 1, 1}, {0, 1}}) {
            RewardTokens goodOrBad = new RewardTokens(new int[] {3, 4}, verified);
            assertThat(goodOrBad.level(0)).isZero();
            assertThat(goodOrBad.level(1)).isEqualTo(1);
        }
    }

    @Test
    void rewardTokensStandBeforePrompts() {
        RewardTokens tokens = new RewardTokens(new int[] {3, 4}, new double[] {0, 1});
        Example bad = tokens.condition(new Example(new int[] {10, 11, 12}, 2), 0);
        assertThat(bad.tokens()).containsExactly(3, 10, 11, 12);
        assertThat(bad.promptLength()).isEqualTo(3);
        assertThat(tokens.best(new int[] {10, 11})).containsExactly(4, 10, 11);
        assertThatThrownBy(() -> new RewardTokens(new int[] {3}, new double[] {1, Double.NaN}))
                .isInstanceOf(IsthmusException.class);
    }
}
