package dev.isthmus.rl.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.eval.OverOptimization.Point;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Whether a reward model can be trusted, and how far. */
class RewardReportsTests {
    /** Bins [0, 1/2) and [1/2, 1]: (0.2, wrong), (0.4, right); (0.6, wrong), (0.8, right), (1, right). */
    @Test
    void calibrationByHand() {
        var calibration =
                Calibration.of(new double[] {0.6, 0.2, 0.8, 0.4, 1}, new boolean[] {false, false, true, true, true}, 2);
        assertThat(calibration.n()).isEqualTo(5);
        assertThat(calibration.accuracy()).isEqualTo(0.6);
        // |1 - 0.6| and |2 - 2.4| over 5.
        assertThat(calibration.ece()).isCloseTo(0.16, within(1e-12));
        assertThat(calibration.brier()).isCloseTo((0.36 + 0.04 + 0.04 + 0.36) / 5, within(1e-12));
        // Of six pairs of right and wrong, (0.4, 0.6) alone is the wrong way round.
        assertThat(calibration.auroc()).isCloseTo(5 / 6.0, within(1e-12));
        assertThat(Calibration.of(new double[] {0.5, 0.5, 0.5}, new boolean[] {true, false, true}, 10)
                        .auroc())
                .isEqualTo(0.5);
        assertThat(Calibration.of(new double[] {0.9}, new boolean[] {true}, 10).auroc())
                .isNaN();
        assertThatThrownBy(() -> Calibration.of(new double[2], new boolean[1], 10))
                .hasMessageContaining("found 2 and 1");
    }

    /** Margins ln 3 and -ln 3: certain with 3/4 of both, right in one. */
    @Test
    void aRewardModelIsAsSureAsItsMargins() {
        double margin = Math.log(3);
        var calibration = Calibration.ofPairs(new double[] {margin, 1}, new double[] {0, 1 + margin}, 10);
        assertThat(calibration.accuracy()).isEqualTo(0.5);
        assertThat(calibration.ece()).isCloseTo(0.25, within(1e-12));
        assertThat(calibration.brier()).isCloseTo((1 / 16.0 + 9 / 16.0) / 2, within(1e-12));
        assertThat(calibration.auroc()).isEqualTo(0.5);
    }

    @Test
    void overOptimizationIsSeen() {
        var run = new OverOptimization(List.of(
                new Point(20, 3, 0.4),
                new Point(0, 0, 0),
                new Point(5, 1, 0.8),
                new Point(10, 2, 1),
                new Point(40, 4, -1)));
        assertThat(run.points().getFirst()).isEqualTo(new Point(0, 0, 0));
        assertThat(run.peak()).isEqualTo(new Point(10, 2, 1));
        assertThat(run.lost()).isEqualTo(2);
        assertThat(run.hacked()).isTrue();
        assertThat(run.goldAt(15)).isCloseTo(0.7, within(1e-12));
        assertThat(run.goldAt(-1)).isZero();
        assertThat(run.goldAt(5)).isEqualTo(0.8);
        assertThat(run.goldAt(99)).isEqualTo(-1);
        assertThat(run.lines())
                .last()
                .isEqualTo("gold is highest at kl 10.000; the last point has 2.0000 less at more proxy reward");
        var healthy = new OverOptimization(List.of(new Point(0, 0, 0), new Point(3, 1, 1)));
        assertThat(healthy.hacked()).isFalse();
        assertThat(healthy.lost()).isZero();
        assertThat(healthy.lines()).last().isEqualTo("gold is highest at kl 3.000; the last point has all of it");
        assertThatThrownBy(() -> new OverOptimization(List.of())).hasMessageContaining("at least one point");
    }
}
