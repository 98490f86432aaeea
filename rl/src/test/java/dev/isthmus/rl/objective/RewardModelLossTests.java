package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RewardModelLossTests {
    static List<Arguments> cases() {
        return LossFixture.all("reward_model.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTrl(String name, LossFixture fixture) {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor chosen = fixture.input("rewards_chosen").requireGrad();
            Tensor rejected = fixture.input("rewards_rejected").requireGrad();
            LossResult result = new RewardModelLoss(fixture.optional("center_rewards_coefficient"))
                    .compute(chosen, rejected, fixture.optionalInput("margin"));
            fixture.assertOutput("loss", result.loss());
            result.loss().backward();
            fixture.assertGradient("rewards_chosen", chosen);
            fixture.assertGradient("rewards_rejected", rejected);
        }
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor margin = Tensor.of(new double[] {0, 0.5, 1}, 3);
            GradCheck.check(
                    t -> new RewardModelLoss(0.01).compute(t[0], t[1], margin).loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 3),
                    Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 3));
        }
    }

    /** Rewards 2 and -1, margin 1: -ln sigmoid(2), and 0.1 times (2 - 1)^2. */
    @Test
    void onePairByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            LossResult result = new RewardModelLoss(0.1)
                    .compute(
                            Tensor.of(new double[] {2}, 1),
                            Tensor.of(new double[] {-1}, 1),
                            Tensor.of(new double[] {1}, 1));
            assertThat(result.loss().item()).isCloseTo(Math.log1p(Math.exp(-2)) + 0.1, within(1e-12));
            assertThat(result.metrics())
                    .containsEntry("accuracy", 1.0)
                    .containsEntry("margin", 3.0)
                    .containsEntry("min_reward", -1.0)
                    .containsEntry("mean_reward", 0.5)
                    .containsEntry("max_reward", 2.0);
        }
    }
}
