package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class KlEstimatorTests {
    static List<Arguments> cases() {
        return LossFixture.all("kl_estimators.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsSchulmans(String name, LossFixture fixture) {
        KlEstimator estimator = KlEstimator.valueOf(fixture.toString().toUpperCase(Locale.ROOT));
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = fixture.input("logp_policy").requireGrad();
            Tensor ref = fixture.input("logp_ref");
            Tensor kl = estimator.estimate(logps, ref);
            fixture.assertOutput("kl", kl);
            kl.sum().backward();
            fixture.assertGradient("logp_policy", logps);
            double[] p = logps.detach().toDoubles();
            double[] q = ref.toDoubles();
            double[] numbers = new double[p.length];
            for (int i = 0; i < p.length; i++) {
                numbers[i] = estimator.estimate(p[i], q[i]);
            }
            fixture.assertClose("of numbers", numbers, fixture.output("kl"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void theDivergenceOfAModelFromItselfIsZero(KlEstimator estimator) {
        assertThat(estimator.estimate(-1.7, -1.7)).isZero();
        try (Scope scope = Scope.open()) {
            Tensor logps = Tensor.of(new float[] {-0.1f, -3, -17.3f}, 3);
            assertThat(estimator.estimate(logps, logps).toDoubles()).containsOnly(0);
        }
    }

    /** Of p = (.5, .5) and q = (.9, .1), KL(p || q) = .5 ln(.5/.9) + .5 ln(.5/.1); k1 and k3 are unbiased, k2 is not. */
    @Test
    void theMeanUnderThePolicyIsTheDivergence() {
        double[] p = {0.5, 0.5};
        double[] q = {0.9, 0.1};
        double kl = 0.5 * Math.log(0.5 / 0.9) + 0.5 * Math.log(0.5 / 0.1);
        for (KlEstimator estimator : KlEstimator.values()) {
            double mean = 0;
            for (int y = 0; y < 2; y++) {
                mean += p[y] * estimator.estimate(Math.log(p[y]), Math.log(q[y]));
            }
            if (estimator == KlEstimator.K2) {
                assertThat(mean)
                        .isCloseTo(
                                0.25 * Math.pow(Math.log(0.5 / 0.9), 2) + 0.25 * Math.pow(Math.log(5), 2),
                                within(1e-12));
            } else {
                assertThat(mean).as(estimator.name()).isCloseTo(kl, within(1e-12));
            }
        }
    }

    @Test
    void controllersFollowTheTarget() {
        KlController fixed = new KlController.Fixed(0.05);
        assertThat(fixed.after(1e9, 100).value()).isEqualTo(0.05);
        // kl is twice the target, the error is cut to 0.2: 0.2 (1 + 0.2 * 64 / 10000)
        KlController adaptive = new KlController.Adaptive(0.2, 6, 10_000);
        assertThat(adaptive.after(12, 64).value()).isCloseTo(0.2 * (1 + 0.2 * 64 / 10_000), within(1e-15));
        assertThat(adaptive.after(6.6, 100).value()).isCloseTo(0.2 * (1 + 0.1 * 100 / 10_000), within(1e-15));
        assertThat(adaptive.after(0, 1000).value()).isCloseTo(0.2 * (1 - 0.2 * 1000 / 10_000), within(1e-15));
        assertThat(adaptive.after(6, 1000).value()).isEqualTo(0.2);
        assertThat(adaptive.after(Double.NaN, 1000).value()).isEqualTo(0.2);
    }
}
