package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** ILQL, ArCHer, B-Coder, and the mask of NLPO. */
class ValueLossesTests {
    private static Tensor row(double... values) {
        return Tensor.of(values, 1, values.length);
    }

    /**
     * Two actions and padding. Targets 1 + 0.5 * 4 = 3 and, at the end, 2; Q 2 and 2.5: squares 1 and 0.25. The lesser target Q are 1 and 3,
     * V 2 and 2: 0.25 * 1 and 0.75 * 1.
     */
    @Test
    void transitionsByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor mask = row(1, 1, 0);
            var in = new QValueLoss.Inputs(
                    List.of(row(2, 2.5, 70)),
                    List.of(row(1, 5, 70), row(4, 3, 70)),
                    row(2, 2, 90),
                    row(4, 8, 8),
                    row(1, 2, 9),
                    row(0, 1, 0),
                    List.of(row(-1, -3, -50)),
                    mask);
            LossResult result = new QValueLoss(0.5, 0.75, 0.1).compute(in);
            assertThat(result.metrics().get("losses/loss_q")).isCloseTo(1.25 / 2, within(1e-12));
            assertThat(result.metrics().get("losses/loss_v")).isCloseTo(0.5, within(1e-12));
            assertThat(result.metrics().get("losses/loss_cql")).isCloseTo(2, within(1e-12));
            assertThat(result.metrics()).containsEntry("qvalues/0/mean", 2.25).containsEntry("values/mean", 2.0);
            assertThat(result.loss().item()).isCloseTo(0.625 + 0.5 + 0.2, within(1e-12));
            // Two networks learn at once.
            var twice = new QValueLoss.Inputs(
                    List.of(row(2, 2.5, 70), row(3, 2, 0)),
                    null,
                    null,
                    row(4, 8, 8),
                    row(1, 2, 9),
                    row(0, 1, 0),
                    null,
                    mask);
            assertThat(new QValueLoss(0.5, 0.75, 0).compute(twice).loss().item())
                    .isCloseTo(0.625, within(1e-12));
            assertThatThrownBy(() -> QValueLoss.ilql().compute(twice)).hasMessageContaining("cql_scale is 0.1");
        }
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor[] constants = new Tensor[4];
            for (int i = 0; i < 4; i++) {
                constants[i] = Tensor.randn(DType.FLOAT64, Rng.of(10 + i), 1, 2, 3);
            }
            Tensor mask = Tensor.of(new double[] {1, 1, 0, 1, 0, 0}, 2, 3);
            Tensor ends = Tensor.of(new double[] {0, 1, 0, 1, 0, 0}, 2, 3);
            Tensor tokens = Tensor.of(new int[] {0, 3, 1, 2, 2, 0}, 2, 3);
            GradCheck.check(
                    t -> QValueLoss.ilql()
                            .compute(new QValueLoss.Inputs(
                                    List.of(t[0].takeAlongDim(tokens.unsqueeze(-1), -1)
                                            .squeeze(-1)),
                                    List.of(constants[0], constants[1]),
                                    t[1],
                                    constants[2],
                                    constants[3],
                                    ends,
                                    List.of(Functional.selectiveLogSoftmax(t[0], tokens)),
                                    mask))
                            .loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 2, 3, 4),
                    Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 2, 3));
        }
    }

    /** Of returns 1 and 0, equally often, V comes to the expectile, which is tau: the mean at 1/2, near the best at 0.99. */
    @ParameterizedTest
    @ValueSource(doubles = {0.5, 0.7, 0.99})
    void theValueIsAnExpectileOverTheData(double tau) {
        double v = 0.1;
        for (int step = 0; step < 3000; step++) {
            try (Scope scope = Scope.open(Device.scalar())) {
                Tensor value = Tensor.of(new double[] {v}, 1, 1).requireGrad();
                Tensor q = row(1, 0);
                new QValueLoss(1, tau, 0)
                        .compute(new QValueLoss.Inputs(
                                List.of(q),
                                List.of(q),
                                value.expand(1, 2),
                                row(0, 0),
                                row(1, 0),
                                row(1, 1),
                                null,
                                row(1, 1)))
                        .loss()
                        .backward();
                v -= 0.2 * Objects.requireNonNull(value.grad()).item();
            }
        }
        assertThat(v).isCloseTo(tau, within(1e-6));
    }

    /** ArCHer: the tokens of an utterance all learn by the advantage Q - V of it. */
    @Test
    void theTokensOfAnUtteranceShareItsAdvantage() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1, -2, -3, -4}, 2, 2).requireGrad();
            Tensor q = Tensor.of(new double[] {2, 1}, 2);
            Tensor v = Tensor.of(new double[] {0.5, 1.5}, 2);
            new GrpoLoss(
                            Normalizer.SEQUENCE_SUM,
                            new Surrogate.Reinforce(),
                            ImportanceSamplingLevel.TOKEN,
                            0,
                            false,
                            null,
                            1,
                            0)
                    .compute(new GrpoLoss.Inputs(
                            logps,
                            null,
                            null,
                            q.sub(v),
                            null,
                            new Normalizer.Batch(Tensor.of(new double[] {1, 1, 1, 0}, 2, 2), 3, 2, 1)))
                    .loss()
                    .backward();
            assertThat(logps.grad().toDoubles()).containsExactly(-0.75, -0.75, 0.25, 0);
        }
        assertThat(QValueLoss.archer(0.9)).isEqualTo(new QValueLoss(0.9, 0.5, 0));
    }

    /** Policy (1/2, 1/2), Q (1, 0), V 1/2, beta 2: logits differ by 2. */
    @Test
    void valuesGuideThePolicy() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor guided = QValueLoss.guide(row(0, 0), row(1, 0), Tensor.of(new double[] {0.5}, 1), 2);
            assertThat(guided.toDoubles())
                    .containsExactly(new double[] {Math.log(0.5) + 1, Math.log(0.5) - 1}, within(1e-12));
        }
    }

    /** Logits 3 and 1, alpha 0.5, V 2: Q of the best token is V, of the other 2 - 0.5 * 2. */
    @Test
    void duelingValuesStartFromTheModel() {
        try (Scope scope = Scope.open(Device.scalar())) {
            var dueling = new DuelingValues(0.5);
            Tensor logits = Tensor.of(new double[] {3, 1, 3, 1}, 2, 2);
            Tensor values = Tensor.of(new double[] {2, 2}, 2);
            assertThat(dueling.of(logits, values, Tensor.of(new int[] {0, 1}, 2))
                            .toDoubles())
                    .containsExactly(new double[] {2, 1}, within(1e-12));
            // The frozen model thought token 1 the likeliest, then token 0.
            Tensor frozen = Tensor.of(new double[] {0, 5, 5, 0}, 2, 2);
            assertThat(dueling.conservative(logits, values, frozen).toDoubles())
                    .containsExactly(new double[] {1, 2}, within(1e-12));
            // (2 - 0.5 * 3) + (1 - 0), the padding not seen.
            assertThat(DuelingValues.impliedRewards(row(2, 1, 9), row(3, 0, 9), 0.5, row(1, 1, 0))
                            .toDoubles())
                    .containsExactly(new double[] {1.5}, within(1e-12));
            Tensor tokens = Tensor.of(new int[] {0, 1}, 2);
            GradCheck.check(
                    t -> dueling.of(t[0], t[1], tokens).square().sum(),
                    Tensor.of(new double[] {3, 1, 0.5, 1}, 2, 2),
                    values);
        }
    }

    /** Of (0.5, 0.3, 0.15, 0.05) two words reach 0.7: the policy is over these, and of the others there is no gradient. */
    @Test
    void theUnlikelyWordsOfTheCopyAreTakenAway() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor copy = row(Math.log(0.3), Math.log(0.05), Math.log(0.5), Math.log(0.15));
            assertThat(new TopPMask(0.7).removed(copy).toBooleans()).containsExactly(false, true, false, true);
            assertThat(new TopPMask(0.81).removed(copy).toBooleans()).containsExactly(false, true, false, false);
            assertThat(new TopPMask(0).removed(copy).toBooleans()).containsExactly(true, true, false, true);
            assertThat(new TopPMask(1).removed(copy).toBooleans()).containsOnly(false);
            assertThat(new TopPMask(0.5)
                            .removed(row(0, 0, 0, 0))
                            .to(DType.FLOAT64)
                            .sum()
                            .item())
                    .as("two of four words reach a half, a third is not needed")
                    .isEqualTo(2);
            Tensor logits = row(0, 4, Math.log(3), -2).requireGrad();
            Tensor logps = new TopPMask(0.7).apply(logits, copy).logSoftmax(-1);
            assertThat(logps.exp().toDoubles()).containsExactly(new double[] {0.25, 0, 0.75, 0}, within(1e-12));
            Functional.selectiveLogSoftmax(new TopPMask(0.7).apply(logits, copy), Tensor.of(new int[] {0}, 1))
                    .sum()
                    .backward();
            assertThat(logits.grad().toDoubles()).containsExactly(new double[] {0.75, 0, -0.75, 0}, within(1e-12));
        }
    }
}
