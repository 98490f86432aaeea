package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.reward.ConfidenceCalibration.Form;
import dev.isthmus.rl.reward.LagrangeMultipliers.Constraint;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Ensembles, transforms, calibration and constraints of rewards. */
class RewardCombinationTests {
    @Test
    void ensemblesByHand() {
        double[] rewards = {1, 2, 6};
        assertThat(RewardEnsemble.mean().combine(rewards)).isEqualTo(3);
        assertThat(RewardEnsemble.min().combine(rewards)).isEqualTo(1);
        // Squares 4, 1 and 9 over 3.
        assertThat(RewardEnsemble.variancePenalized(0.3).combine(rewards)).isCloseTo(3 - 1.4, within(1e-12));
        // The second is the surest.
        assertThat(RewardEnsemble.robust(rewards, new double[] {0.5, 0.1, 0.3}, 0.75))
                .isCloseTo(0.75 * 2 + 0.25 * 1, within(1e-12));
        assertThatThrownBy(() -> RewardEnsemble.mean().combine(new double[0])).hasMessageContaining("at least one");
        assertThatThrownBy(() -> RewardEnsemble.robust(rewards, new double[2], 1))
                .hasMessageContaining("3 rewards need as many deviations");
    }

    @Test
    void theAverageOfModelsIsThatOfTheirWeights() {
        try (Scope scope = Scope.open()) {
            List<Tensor> one = List.of(Tensor.of(new float[] {1, 2}, 2), Tensor.of(new float[] {3}, 1, 1));
            List<Tensor> two = List.of(Tensor.of(new float[] {3, -2}, 2), Tensor.of(new float[] {6}, 1, 1));
            WeightAverage.into(one, List.of(one, two));
            assertThat(one.get(0).toFloats()).containsExactly(2, 0);
            assertThat(one.get(1).toFloats()).containsExactly(4.5f);
            assertThat(two.get(0).toFloats()).containsExactly(3, -2);
            assertThatThrownBy(() -> WeightAverage.into(one, List.of(two.subList(0, 1))))
                    .hasMessageContaining("A member has 1 parameters, the target 2");
            assertThatThrownBy(() -> WeightAverage.into(one, List.of(List.of(two.get(1), two.get(0)))))
                    .hasMessageContaining("Parameter 0 of a member is [1, 1]");
            assertThatThrownBy(() -> WeightAverage.into(one, List.of())).hasMessageContaining("at least one model");
        }
    }

    @Test
    void beatingTheReferenceInEverythingIsWorthMoreThanInOne() {
        // sigmoid(ln 3) = 3/4 and sigmoid(0) = 1/2.
        assertThat(RewardTransform.logSigmoidCentered(new double[] {1 + Math.log(3), -2}, new double[] {1, -2}))
                .isCloseTo(Math.log(0.75 * 0.5), within(1e-12));
        double balanced = RewardTransform.logSigmoidCentered(new double[] {1, 1}, new double[2]);
        double onesided = RewardTransform.logSigmoidCentered(new double[] {4, -2}, new double[2]);
        assertThat(balanced).isGreaterThan(onesided);
        assertThat(RewardTransform.logSigmoidCentered(new double[] {-2000}, new double[1]))
                .isEqualTo(-2000);
        assertThat(RewardTransform.logSigmoidCentered(new double[] {2000}, new double[1]))
                .isZero();
    }

    @Test
    void aRightAnswerIsAlwaysAboveAWrongOne() {
        assertThat(RewardTransform.gated(Math.log(3) / 0.5, 1, 0.5)).isCloseTo(0.75, within(1e-12));
        assertThat(RewardTransform.gated(50, 0, 0.5)).isLessThanOrEqualTo(RewardTransform.gated(-50, 1, 0.5));
    }

    /** Rewards 3 and -1 with confidence 1 and 0.9; the mean is 1, weight 0.5. */
    @Test
    void confidencePaysOnlyAboveTheMean() {
        double[] rewards = {3, -1};
        double[] confidences = {1, 0.9};
        var difference = new ConfidenceCalibration(Form.DIFFERENCE, 1, 0.1, 0.5);
        assertThat(difference.apply(rewards, confidences))
                .containsExactly(new double[] {3 + 0.5 * 2 * 0.5, -1 - 0.5 * 2 * 0.4}, within(1e-12));
        var threshold = new ConfidenceCalibration(Form.THRESHOLD, 1, 0.1, 0.5);
        assertThat(threshold.apply(rewards, confidences))
                .containsExactly(new double[] {3 + 0.5 * 3 * 0.5, -1 - 0.5 * 1 * 0.4}, within(1e-12));
        assertThat(difference.after(new double[] {4, 8}).mean()).isCloseTo(0.9 + 0.6, within(1e-12));
        assertThat(ConfidenceCalibration.defaults(Form.THRESHOLD)
                        .after(new double[] {2})
                        .mean())
                .isCloseTo(0.2, within(1e-12));
        assertThatThrownBy(() -> difference.apply(rewards, new double[1]))
                .hasMessageContaining("2 rewards need as many confidences");
    }

    /** A policy over three answers, led by the advantages alone, ends where the constrained reward is what was asked. */
    @ParameterizedTest
    @EnumSource
    void theConstrainedRewardComesToItsThreshold(Constraint constraint) {
        double[] free = constraint == Constraint.AT_LEAST ? new double[] {0.2, 0, 0} : new double[] {0, 0, 0.2};
        double[] held = {0, 0.5, 1};
        double threshold = 0.6;
        double[] theta = new double[3];
        var multipliers = LagrangeMultipliers.start(constraint, new double[] {threshold}, 0.02);
        double mean = 0;
        double average = 0;
        for (int step = 0; step < 60_000; step++) {
            double[] pi = softmax(theta);
            mean = dot(pi, held);
            double freeMean = dot(pi, free);
            double[] advantages = multipliers.advantages(
                    new double[] {free[0] - freeMean, free[1] - freeMean, free[2] - freeMean},
                    new double[][] {{held[0] - mean, held[1] - mean, held[2] - mean}});
            for (int i = 0; i < 3; i++) {
                theta[i] += 0.05 * pi[i] * advantages[i];
            }
            multipliers = multipliers.after(new double[] {mean});
            average += step >= 30_000 ? mean / 30_000 : 0;
        }
        assertThat(average).as("J_1, last %s", mean).isCloseTo(threshold, within(0.02));
        assertThatThrownBy(() ->
                        LagrangeMultipliers.start(constraint, new double[2], 1).after(new double[1]))
                .hasMessageContaining("1 mean rewards, expected 2");
    }

    @Test
    void multipliersByHand() {
        var start = LagrangeMultipliers.start(Constraint.EQUAL, new double[] {1, 0}, 0.5);
        assertThat(start.weights()).containsExactly(0, 0);
        var next = start.after(new double[] {3, -2});
        assertThat(next.multipliers()).containsExactly(-1, 1);
        assertThat(next.advantages(new double[] {1}, new double[][] {{2}, {4}}))
                .containsExactly(new double[] {1 + 2 * Math.tanh(1)}, within(1e-12));
        assertThat(LagrangeMultipliers.start(Constraint.AT_LEAST, new double[1], 1)
                        .weights())
                .containsExactly(0.5);
    }

    private static double[] softmax(double[] theta) {
        double sum = 0;
        var p = new double[theta.length];
        for (int i = 0; i < p.length; i++) {
            p[i] = Math.exp(theta[i]);
            sum += p[i];
        }
        for (int i = 0; i < p.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
