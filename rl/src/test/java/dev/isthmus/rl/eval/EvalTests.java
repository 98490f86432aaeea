package dev.isthmus.rl.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Verdict;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class EvalTests {
    @Test
    void passAtKByHand() {
        assertThat(Metrics.passAtK(4, 1, 1)).isEqualTo(0.25);
        assertThat(Metrics.passAtK(4, 1, 2)).isCloseTo(0.5, within(1e-15));
        // 1 - C(2,2) / C(4,2) = 5/6.
        assertThat(Metrics.passAtK(4, 2, 2)).isCloseTo(5 / 6.0, within(1e-15));
        assertThat(Metrics.passAtK(4, 3, 2)).isEqualTo(1);
        assertThat(Metrics.passAtK(4, 0, 4)).isEqualTo(0);
        assertThat(Metrics.passAtK(4, 4, 1)).isEqualTo(1);
        assertThatThrownBy(() -> Metrics.passAtK(4, 1, 5)).isInstanceOf(IsthmusException.class);
        assertThatThrownBy(() -> Metrics.passAtK(4, 5, 1)).isInstanceOf(IsthmusException.class);
        assertThatThrownBy(() -> Metrics.passAtK(4, 1, 0)).isInstanceOf(IsthmusException.class);
    }

    @Test
    void passAtKStaysExactWhereBinomialsOverflow() {
        for (int c : new int[] {0, 1, 17, 500, 1900}) {
            for (int k : new int[] {1, 64, 777, 2000}) {
                assertThat(Metrics.passAtK(2000, c, k)).isCloseTo(exact(2000, c, k), within(1e-12));
            }
        }
    }

    private static double exact(int n, int c, int k) {
        var none = new BigDecimal(binomial(n - c, k)).divide(new BigDecimal(binomial(n, k)), MathContext.DECIMAL64);
        return BigDecimal.ONE.subtract(none).doubleValue();
    }

    private static BigInteger binomial(int n, int k) {
        var result = BigInteger.ONE;
        for (int i = 0; i < k; i++) {
            result = result.multiply(BigInteger.valueOf(n - i)).divide(BigInteger.valueOf(i + 1L));
        }
        return result;
    }

    @Test
    void votesAreCountedAndTiesShared() {
        assertThat(vote("7 7 8")).isEqualTo(1);
        assertThat(vote("8 8 7")).isEqualTo(0);
        assertThat(vote("8 7")).isEqualTo(0.5);
        assertThat(vote("8 7 9")).isCloseTo(1 / 3.0, within(1e-15));
        assertThat(vote("8 8 7 7 9")).isEqualTo(0.5).isEqualTo(vote("7 9 8 7 8"));
        assertThat(vote("x x x 7")).isEqualTo(1);
        assertThat(vote("x x")).isEqualTo(0);
        // Blocks of two: 7 7 | 7 8 | 8 9, and one sample left over.
        assertThat(Metrics.majAtK(verdicts("7 7 7 8 8 9 7"), 2)).isCloseTo(0.5, within(1e-15));
        assertThatThrownBy(() -> Metrics.majAtK(verdicts("7 8"), 3)).isInstanceOf(IsthmusException.class);
    }

    private static double vote(String answers) {
        return Metrics.majAtK(verdicts(answers), answers.split(" ").length);
    }

    private static List<Verdict> verdicts(String answers) {
        var verdicts = new ArrayList<Verdict>();
        for (String answer : answers.split(" ")) {
            verdicts.add(
                    answer.equals("7")
                            ? Verdict.right("7")
                            : answer.equals("x") ? Verdict.malformed("") : Verdict.wrong(answer, ""));
        }
        return verdicts;
    }

    @Test
    void intervalsOfASharesAreThoseOfTheNormalApproximation() {
        var values = new double[1000];
        for (int i = 0; i < 300; i++) {
            values[i] = 1;
        }
        Interval interval = Bootstrap.mean(values, Rng.of(1));
        double half = 1.96 * Math.sqrt(0.3 * 0.7 / 1000);
        assertThat(interval.mean()).isEqualTo(0.3);
        assertThat(interval.low()).isCloseTo(0.3 - half, within(0.004));
        assertThat(interval.high()).isCloseTo(0.3 + half, within(0.004));
        assertThat(interval).isEqualTo(Bootstrap.mean(values, Rng.of(1)));
        assertThat(interval).isNotEqualTo(Bootstrap.mean(values, Rng.of(2)));
    }

    @Test
    void intervalsOfEqualValuesAreAPoint() {
        assertThat(Bootstrap.mean(new double[] {0.5, 0.5}, Rng.of(1))).isEqualTo(new Interval(0.5, 0.5, 0.5));
        assertThatThrownBy(() -> Bootstrap.mean(new double[0], Rng.of(1))).isInstanceOf(IsthmusException.class);
        assertThatThrownBy(() -> Bootstrap.mean(new double[] {Double.NaN}, Rng.of(1)))
                .isInstanceOf(IsthmusException.class);
    }

    @Test
    void quantilesLieBetweenNeighbours() {
        var sorted = new double[] {1, 2, 4, 8, 16};
        assertThat(Bootstrap.quantile(sorted, 0)).isEqualTo(1);
        assertThat(Bootstrap.quantile(sorted, 0.5)).isEqualTo(4);
        assertThat(Bootstrap.quantile(sorted, 0.875)).isEqualTo(12);
        assertThat(Bootstrap.quantile(sorted, 1)).isEqualTo(16);
    }

    @Test
    void pairingNarrowsTheIntervalOfAGain() {
        var before = new double[400];
        var after = new double[400];
        for (int i = 0; i < 400; i++) {
            before[i] = i % 2;
            after[i] = i % 20 == 0 ? 1 : before[i];
        }
        Interval gain = Bootstrap.difference(before, after, Rng.of(4));
        assertThat(gain.mean()).isCloseTo(0.05, within(1e-12));
        assertThat(gain.excludesZero()).isTrue();
        // 1.96 sqrt(0.05 * 0.95 / 400) = 0.021, where apart they would have 0.07.
        assertThat(gain.high() - gain.low()).isBetween(0.03, 0.055);
        assertThat(Bootstrap.difference(before, before, Rng.of(4)).excludesZero())
                .isFalse();
        assertThatThrownBy(() -> Bootstrap.difference(before, new double[3], Rng.of(4)))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("400 and 3 values");
    }

    @Test
    void anEvaluationHoldsWhatTheSamplesAllow() {
        var attempts = new ArrayList<Attempts>();
        for (int i = 0; i < 100; i++) {
            String greedy = i < 60 ? "7" : i < 90 ? "8" : "x";
            attempts.add(new Attempts(problem(i), verdicts(greedy).get(0), verdicts(i < 50 ? "7 8 8 8" : "8 9 x x")));
        }
        var evaluation = Evaluation.of(attempts, List.of(1, 4, 8), Rng.of(1));
        assertThat(evaluation.n()).isEqualTo(100);
        assertThat(evaluation.accuracy().mean()).isEqualTo(0.6);
        assertThat(evaluation.formatted().mean()).isEqualTo(0.9);
        assertThat(evaluation.passAt()).containsOnlyKeys(1, 4);
        assertThat(evaluation.passAt().get(1).mean()).isEqualTo(0.125);
        assertThat(evaluation.passAt().get(4).mean()).isEqualTo(0.5);
        assertThat(evaluation.majAt().get(4).mean()).isEqualTo(0);
        assertThat(evaluation).isEqualTo(Evaluation.of(attempts, List.of(1, 4, 8), Rng.of(1)));
        assertThatThrownBy(() -> Evaluation.of(List.of(), List.of(1), Rng.of(1)))
                .isInstanceOf(IsthmusException.class);
    }

    @Test
    void gainsAreMeasuredOnTheSameProblems() {
        var before = new ArrayList<Attempts>();
        var after = new ArrayList<Attempts>();
        for (int i = 0; i < 40; i++) {
            before.add(new Attempts(problem(i), verdicts(i < 10 ? "7" : "8").get(0), List.of()));
            after.add(new Attempts(problem(i), verdicts(i < 30 ? "7" : "8").get(0), List.of()));
        }
        assertThat(Evaluation.gain(before, after, Rng.of(1)).mean()).isEqualTo(0.5);
        Collections.reverse(after);
        assertThatThrownBy(() -> Evaluation.gain(before, after, Rng.of(1))).hasMessageContaining("the same problems");
    }

    private static Problem problem(int i) {
        return Problem.of(i + "=", "7");
    }
}
