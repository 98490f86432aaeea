package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/** From rewards to the loss, against TRL's RLOO. */
class RlooLossTests {
    static List<Arguments> cases() {
        return LossFixture.all("rloo.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTrl(String name, LossFixture fixture) {
        try (Scope scope = Scope.open(Device.scalar())) {
            double[] rewards = fixture.input("rewards").toDoubles();
            Tensor mask = fixture.input("completion_mask");
            double[] counted = mask.toDoubles();
            double[] old = fixture.input("old_per_token_logps_for_kl").toDoubles();
            double[] ref = fixture.input("ref_per_token_logps").toDoubles();
            int length = counted.length / rewards.length;
            JsonNode clip = fixture.config("reward_clip_range");
            for (int i = 0; i < rewards.length; i++) {
                if (clip.isArray()) {
                    rewards[i] = Math.clamp(
                            rewards[i], clip.get(0).asDouble(), clip.get(1).asDouble());
                }
                int start = i * length;
                int tokens = (int) Arrays.stream(counted, start, start + length).sum();
                rewards[i] -= fixture.config("beta").asDouble()
                        * TokenRewards.klOfSequence(
                                Arrays.copyOfRange(old, start, start + tokens),
                                Arrays.copyOfRange(ref, start, start + tokens));
            }
            double[] advantages = Advantages.leaveOneOut(
                            rewards,
                            fixture.config("num_generations").asInt(),
                            fixture.config("normalize_advantages").asBoolean())
                    .values();
            fixture.assertClose("advantages", advantages, fixture.output("advantages"));
            Tensor logps = fixture.input("per_token_logps").requireGrad();
            var loss = new RlooLoss(new Surrogate.Clipped(
                    fixture.config("epsilon_low").asDouble(),
                    fixture.config("epsilon_high").asDouble(),
                    null));
            LossResult result = loss.compute(
                    logps,
                    fixture.input("old_logps"),
                    Tensor.of(advantages, advantages.length).to(fixture.dtype()),
                    mask);
            fixture.assertOutput("loss", result.loss());
            result.loss().backward();
            fixture.assertGradient("per_token_logps", logps);
        }
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 1, 0, 0, 0, 1, 1}, 3, 3);
            Tensor advantages = Tensor.of(new double[] {1, -0.4, -0.6}, 3);
            Tensor old = Tensor.of(new double[] {0.1, -0.2, 0.4}, 3);
            GradCheck.check(
                    t -> RlooLoss.defaults()
                            .compute(t[0], old, advantages, mask)
                            .loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 0.2, 3, 3));
        }
    }

    /** Two tokens of log-probability -1 and -2, -3.1 together before: the ratio of the sequence is e^0.1. */
    @Test
    void oneSequenceByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1, -2, -9}, 1, 3).requireGrad();
            LossResult result = RlooLoss.defaults()
                    .compute(
                            logps,
                            Tensor.of(new double[] {-3.1}, 1),
                            Tensor.of(new double[] {2}, 1),
                            Tensor.of(new double[] {1, 1, 0}, 1, 3));
            assertThat(result.loss().item()).isCloseTo(-2 * Math.exp(0.1), within(1e-12));
            assertThat(result.metrics()).containsEntry("clip_ratio/region_mean", 0.0);
            result.loss().backward();
            assertThat(logps.grad().toDoubles())
                    .containsExactly(new double[] {-2 * Math.exp(0.1), -2 * Math.exp(0.1), 0}, within(1e-12));
        }
    }
}
