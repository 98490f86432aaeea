package dev.isthmus.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.tensor.Machine.Ceilings;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MeasurementTests {
    @Test
    void theMedianIsTheMiddleAndTheBestIsTheLeast() {
        assertThat(Measurement.of(5, 1, 3)).isEqualTo(new Measurement(3, 1));
    }

    @Test
    void aRunIsTimed() {
        Effort effort = new Effort(0.001, 0.002, 3, 0.1);
        Measurement m = Measurement.of(effort, () -> {
            long end = System.nanoTime() + 200_000;
            while (System.nanoTime() < end) {
                Thread.onSpinWait();
            }
        });
        assertThat(m.best()).isGreaterThanOrEqualTo(0.0002);
        assertThat(m.median()).isGreaterThanOrEqualTo(m.best());
    }

    @Test
    void aSlowRunEndsAtTheLimit() {
        int[] runs = {0};
        Measurement.of(new Effort(0, 0.001, 100, 0.02), () -> {
            runs[0]++;
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        assertThat(runs[0]).isLessThan(12);
    }

    @Test
    void theLeastTimeComesFromTheCeilingThatBinds() {
        Ceilings most = new Ceilings(100, 10, 20);
        assertThat(Needs.flops(50).on(most)).isEqualTo(new Needs.Bound(0.5, "fma"));
        assertThat(new Needs(50, 10, 0, 0).on(most)).isEqualTo(new Needs.Bound(1, "read"));
        assertThat(new Needs(50, 0, 0, 10).on(most)).isEqualTo(new Needs.Bound(1, "update"));
        // 5 / 10 for what is read; what is written is fetched first: 2 x 5 / 20.
        assertThat(Needs.memory(5, 5).on(most)).isEqualTo(new Needs.Bound(1, "read and update"));
        assertThat(new Needs(0, 1, 2, 3).bytes()).isEqualTo(9);
    }

    @Test
    void ratesAndTimesHaveTheSameFraction() {
        Needs.Bound bound = new Needs.Bound(0.5, "fma");
        for (Unit unit : List.of(Unit.MILLISECONDS, Unit.SECONDS, Unit.billions("FLOP", 3e9), Unit.tokens(7))) {
            Figure figure = new Figure("b", "l", Map.of(), 1, unit, new Measurement(2, 1), bound, null, Map.of());
            assertThat(figure.fraction()).isEqualTo(0.25);
            double ratio = figure.value() / figure.ceiling();
            assertThat(unit.perSecond() > 0 ? 1 / ratio : ratio).isCloseTo(0.25, within(1e-12));
        }
        assertThat(Unit.MILLISECONDS.of(2)).isEqualTo(2000);
        assertThat(Unit.billions("FLOP", 3e9).of(2)).isEqualTo(1.5);
        assertThat(Unit.tokens(7).of(2)).isEqualTo(3.5);
    }
}
