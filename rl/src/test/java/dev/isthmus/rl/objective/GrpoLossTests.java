package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.GrpoLoss.ImportanceSamplingLevel;
import dev.isthmus.rl.objective.GrpoLoss.LossType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The loss and its gradient against the numbers of TRL's own code. */
class GrpoLossTests {
    private static final Set<String> KNOWN = Set.of(
            "loss_type",
            "beta",
            "epsilon_low",
            "epsilon_high",
            "delta",
            "importance_sampling_level",
            "max_completion_length",
            "num_items_in_batch",
            "gradient_accumulation_steps",
            "on_policy");

    static Stream<JsonNode> cases() {
        JsonNode all = JsonMapper.shared().readTree(Fixtures.fixture("losses/grpo.json"));
        return all.get("cases").valueStream().filter(GrpoLossTests::isImplemented);
    }

    private static boolean isImplemented(JsonNode c) {
        return KNOWN.containsAll(c.get("config").propertyNames())
                && Arrays.stream(LossType.values())
                        .anyMatch(t -> t.name().equalsIgnoreCase(c.at("/config/loss_type").asString()));
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("cases")
    void equalsTrl(JsonNode c) {
        JsonNode config = c.get("config");
        JsonNode delta = config.get("delta");
        GrpoLoss objective = new GrpoLoss(
                LossType.named(config.get("loss_type").asString()),
                config.get("beta").asDouble(),
                config.get("epsilon_low").asDouble(),
                config.get("epsilon_high").asDouble(),
                delta.isNull() ? null : delta.asDouble(),
                ImportanceSamplingLevel.valueOf(
                        config.get("importance_sampling_level").asString().toUpperCase(Locale.ROOT)));
        try (Scope scope = Scope.open(Device.scalar())) {
            JsonNode inputs = c.get("inputs");
            Tensor logps = Objects.requireNonNull(tensor(inputs.get("per_token_logps"))).requireGrad();
            GrpoLoss.Result result = objective.compute(new GrpoLoss.Inputs(
                    logps,
                    tensor(inputs.get("old_per_token_logps")),
                    tensor(inputs.get("ref_per_token_logps")),
                    Objects.requireNonNull(tensor(inputs.get("advantages"))),
                    Objects.requireNonNull(tensor(inputs.get("completion_mask"))),
                    config.get("num_items_in_batch").asDouble(),
                    config.get("max_completion_length").asInt(),
                    config.get("gradient_accumulation_steps").asInt()));
            double expected = tensor(c.at("/outputs/loss")).item();
            assertThat(result.loss().item()).isCloseTo(expected, within(1e-9 * Math.abs(expected) + 1e-11));
            result.loss().backward();
            double[] grads = tensor(c.at("/grads/per_token_logps")).toDoubles();
            assertThat(logps.grad().toDoubles()).containsExactly(grads, within(1e-11));
        }
    }

    private static @Nullable Tensor tensor(JsonNode node) {
        if (node.isNull()) {
            return null;
        }
        double[] data = node.get("data").valueStream()
                .mapToDouble(v -> v.isBoolean() ? (v.asBoolean() ? 1 : 0) : Double.parseDouble(v.asString()))
                .toArray();
        long[] shape = node.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
        return Tensor.of(data, shape);
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.randn(DType.FLOAT64, Rng.of(1), 0.1, 4, 5);
            Tensor old = Tensor.randn(DType.FLOAT64, Rng.of(2), 0.1, 4, 5);
            Tensor ref = Tensor.randn(DType.FLOAT64, Rng.of(3), 0.1, 4, 5);
            Tensor advantages = Tensor.of(new double[] {1, -1, 0.5, -0.5}, 4);
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0}, 4, 5);
            for (LossType type : LossType.values()) {
                for (ImportanceSamplingLevel level : ImportanceSamplingLevel.values()) {
                    GrpoLoss loss = new GrpoLoss(type, 0.1, 0.2, 0.28, null, level);
                    GradCheck.check(
                            t -> loss.compute(new GrpoLoss.Inputs(t[0], old, ref, advantages, mask, 13, 7, 2)).loss(),
                            logps);
                }
            }
        }
    }

    @Test
    void onPolicyTheRatioIsOneAndTheLossOfCenteredAdvantagesIsZero() {
        try (Scope scope = Scope.open()) {
            Tensor logps = Tensor.randn(DType.FLOAT32, Rng.of(1), 1, 2, 3);
            GrpoLoss.Result result = GrpoLoss.defaults()
                    .compute(new GrpoLoss.Inputs(
                            logps,
                            logps.detach(),
                            null,
                            Tensor.of(new float[] {1, -1}, 2),
                            Tensor.full(DType.FLOAT32, 1, 2, 3),
                            6,
                            3,
                            1));
            assertThat(result.loss().item()).isZero();
            assertThat(result.metrics().values()).allMatch(v -> v == 0);
        }
    }

    @Test
    void anUnknownLossTypeIsNamedWithTheKnownOnes() {
        assertThat(List.of(LossType.values())).hasSize(4);
        org.assertj.core.api.Assertions.assertThatThrownBy(() -> LossType.named("gpro"))
                .hasMessageContaining("gpro")
                .hasMessageContaining("dr_grpo");
    }
}
