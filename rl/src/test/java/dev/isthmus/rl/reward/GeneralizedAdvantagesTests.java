package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.LossFixture;
import dev.isthmus.tensor.DType;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class GeneralizedAdvantagesTests {
    static List<Arguments> cases() {
        return LossFixture.all("gae.json", DType.FLOAT64);
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTheTextbook(String name, LossFixture c) {
        int steps = c.size("rewards", 1);
        double[] flat = c.numbers("dones");
        var dones = new boolean[flat.length / steps][steps];
        for (int i = 0; i < flat.length; i++) {
            dones[i / steps][i % steps] = flat[i] != 0;
        }
        var estimate = GeneralizedAdvantages.of(
                rows(c.numbers("rewards"), steps),
                rows(c.numbers("values_T_plus_1"), steps + 1),
                dones,
                c.config("gamma").asDouble(),
                c.config("lam").asDouble());
        c.assertClose("advantages", flat(estimate.advantages()), c.output("advantages"));
        c.assertClose("returns", flat(estimate.returns()), c.output("returns"));
    }

    private static double[][] rows(double[] flat, int columns) {
        var rows = new double[flat.length / columns][];
        Arrays.setAll(rows, i -> Arrays.copyOfRange(flat, i * columns, (i + 1) * columns));
        return rows;
    }

    private static double[] flat(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    /** gamma 1/2, lambda 1/2: delta = (1 + 2/2 - 4, 3 - 2) = (-2, 1), A = (-2 + 1/4, 1). */
    @Test
    void twoStepsByHand() {
        var estimate =
                GeneralizedAdvantages.of(new double[][] {{1, 3}, {1}}, new double[][] {{4, 2}, {1, 8}}, null, 0.5, 0.5);
        assertThat(estimate.advantages()[0]).containsExactly(-1.75, 1);
        assertThat(estimate.returns()[0]).containsExactly(2.25, 3);
        // The second goes on to a state worth 8.
        assertThat(estimate.advantages()[1]).containsExactly(4);
        assertThatThrownBy(() -> GeneralizedAdvantages.of(new double[][] {{1}}, new double[][] {{}}, null, 1, 1))
                .hasMessageContaining("Sequence 0 has 1 rewards but 0 values");
        assertThatThrownBy(() -> GeneralizedAdvantages.of(new double[1][1], new double[2][1], null, 1, 1))
                .hasMessageContaining("1 sequences of rewards");
    }

    /** 1 and 3 have mean 2 and unbiased variance 2. */
    @Test
    void whiteningByHand() {
        double[][] x = {{1, 100}, {3}};
        boolean[][] counted = {{true, false}, {true}};
        double unit = 1 / Math.sqrt(2 + 1e-8);
        assertThat(Whitening.whiten(x, counted, true)[0]).containsExactly(new double[] {-unit, 0}, within(1e-15));
        assertThat(Whitening.whiten(x, counted, true)[1]).containsExactly(new double[] {unit}, within(1e-15));
        assertThat(Whitening.whiten(x, counted, false)[1]).containsExactly(new double[] {2 + unit}, within(1e-15));
    }
}
