package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** What reward models learn from beside pairs: steps, ratings, confidence, outcomes. */
class RewardPapersTests {
    /** Logits (0, ln 3): right with 3/4. Labels 1, 0 and 1/2. */
    @Test
    void stepsByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            double three = Math.log(3);
            Tensor logits = Tensor.of(new double[] {0, three, 0, three, 0, three}, 3, 2);
            LossResult result = new ProcessRewardLoss().compute(logits, Tensor.of(new double[] {1, 0, 0.5}, 3));
            assertThat(result.loss().item())
                    .isCloseTo(-(1.5 * Math.log(0.75) + 1.5 * Math.log(0.25)) / 3, within(1e-12));
            assertThat(result.metrics().get("accuracy")).isCloseTo(1 / 3.0, within(1e-6));
            Tensor labels = Tensor.of(new double[] {1, 0, 0.3}, 3);
            GradCheck.check(
                    t -> new ProcessRewardLoss().compute(t[0], labels).loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 3, 2));
        }
    }

    /** Errors 0.5 and -1 of one completion, 2 of another whose second attribute nobody rated: (1.25 + 4) / 2. */
    @Test
    void ratingsByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor rewards = Tensor.of(new double[] {1.5, 2, 3, 7}, 2, 2).requireGrad();
            Tensor ratings = Tensor.of(new double[] {1, 3, 1, Double.NaN}, 2, 2);
            LossResult result = new AttributeRegressionLoss().compute(rewards, ratings);
            assertThat(result.loss().item()).isCloseTo(2.625, within(1e-12));
            assertThat(result.metrics().get("mse")).isCloseTo(1.75, within(1e-12));
            result.loss().backward();
            assertThat(rewards.grad().toDoubles()).containsExactly(0.5, -1, 2, 0);
        }
    }

    /** Differences 1 and -2: -ln sigmoid(1) - ln sigmoid(-2). */
    @Test
    void confidenceByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            LossResult result = new CalibratedRewardLoss()
                    .compute(
                            Tensor.of(new double[] {3}, 1),
                            Tensor.of(new double[] {2}, 1),
                            Tensor.of(new double[] {1.5}, 1),
                            Tensor.of(new double[] {-0.5}, 1));
            assertThat(result.loss().item())
                    .isCloseTo(Math.log1p(Math.exp(-1)) + Math.log1p(Math.exp(2)), within(1e-12));
            assertThat(result.metrics()).containsEntry("accuracy", 0.5);
            Tensor[] x = new Tensor[4];
            for (int i = 0; i < 4; i++) {
                x[i] = Tensor.randn(DType.FLOAT64, Rng.of(i), 1, 3);
            }
            GradCheck.check(
                    t -> new CalibratedRewardLoss()
                            .compute(t[0], t[1], t[2], t[3])
                            .loss(),
                    x);
        }
    }

    /** Log-ratios 1 and 2 of two tokens, and padding: beta 0.5 makes a logit of 1.5; the other completion -1, outcome 0. */
    @Test
    void outcomesByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1, -1, 50, -3, 9, 9}, 2, 3);
            Tensor ref = Tensor.of(new double[] {-2, -3, -1, -1, 0, 0}, 2, 3);
            Tensor mask = Tensor.of(new double[] {1, 1, 0, 1, 0, 0}, 2, 3);
            Tensor outcomes = Tensor.of(new double[] {1, 0}, 2);
            var loss = new ImplicitRewardLoss(0.5);
            LossResult result = loss.compute(logps, ref, outcomes, mask);
            assertThat(result.loss().item())
                    .isCloseTo((Math.log1p(Math.exp(-1.5)) + Math.log1p(Math.exp(-1))) / 2, within(1e-12));
            assertThat(result.metrics()).containsEntry("accuracy", 1.0);
            GradCheck.check(
                    t -> loss.compute(t[0], ref, outcomes, mask).loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 2, 3));
        }
    }
}
