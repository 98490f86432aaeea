package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.tensor.Rng;
import org.junit.jupiter.api.Test;

class SelectorTests {
    private static final double NONE = Double.NaN;

    @Test
    void thoseAboveAThresholdStay() {
        assertThat(Selector.atLeast(1).keep(new double[] {0.5, NONE, 1, 2}, 2))
                .containsExactly(false, false, true, true);
    }

    @Test
    void theBestOfEachGroupStays() {
        double[] rewards = {0.5, NONE, 1, 1, NONE, NONE, -3, -1};
        assertThat(Selector.best().keep(rewards, 2))
                .containsExactly(true, false, true, false, false, false, false, true);
    }

    @Test
    void groupsWithoutDifferencesAreDropped() {
        double[] rewards = {1, 1, 0, 1, 0, 0, NONE, NONE, NONE, 1};
        assertThat(Selector.informative().keep(rewards, 2))
                .containsExactly(false, false, true, true, false, false, false, false, false, false);
    }

    @Test
    void groupsThatAreTooEasyOrTooHardAreDropped() {
        double[] rewards = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, NONE};
        assertThat(Selector.meanWithin(0.2, 0.8).keep(rewards, 4))
                .containsExactly(false, false, false, false, true, true, true, true, false, false, false, false);
        assertThat(Selector.meanWithin(0.2, 0.8).keep(new double[] {1, 1, 1, 1, 0, 0, 0, 0, 0, 1}, 5))
                .as("the bounds are within")
                .containsOnly(true);
        assertThat(Selector.meanWithin(0, 1).keep(new double[] {NONE, NONE}, 2)).containsExactly(false, false);
    }

    @Test
    void theBestAndTheWorstOfEachGroupStay() {
        double[] rewards = {0.5, 0.1, 0.9, 0.3, 4, 1, NONE, 2};
        assertThat(Selector.bestAndWorst(1, 1).keep(rewards, 4))
                .containsExactly(false, true, true, false, true, false, true, false);
        assertThatThrownBy(() -> Selector.bestAndWorst(3, 2).keep(rewards, 4))
                .hasMessageContaining("Cannot keep 5 of 4 completions");
    }

    /** The best always; every other one about as often as any. */
    @Test
    void othersStayByChance() {
        double[] rewards = {0.5, 0.1, 0.9, 0.3, 0.2};
        Selector selector = Selector.bestAndRandom(1, 2, Rng.of(3));
        int[] kept = new int[5];
        for (int n = 0; n < 4000; n++) {
            boolean[] keep = selector.keep(rewards, 5);
            int count = 0;
            for (int i = 0; i < 5; i++) {
                kept[i] += keep[i] ? 1 : 0;
                count += keep[i] ? 1 : 0;
            }
            assertThat(count).isEqualTo(3);
        }
        assertThat(kept[2]).isEqualTo(4000);
        for (int i : new int[] {0, 1, 3, 4}) {
            assertThat(kept[i]).isBetween(1850, 2150);
        }
    }
}
