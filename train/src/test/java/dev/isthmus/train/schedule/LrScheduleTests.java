package dev.isthmus.train.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.train.schedule.LrSchedule.Constant;
import dev.isthmus.train.schedule.LrSchedule.ConstantWithWarmup;
import dev.isthmus.train.schedule.LrSchedule.Cosine;
import dev.isthmus.train.schedule.LrSchedule.InverseSqrt;
import dev.isthmus.train.schedule.LrSchedule.Linear;
import dev.isthmus.train.schedule.LrSchedule.WarmupStableDecay;
import dev.isthmus.train.schedule.LrSchedule.WarmupStableDecay.Decay;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class LrScheduleTests {
    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void matchesHuggingFace(String name, JsonNode fixture) {
        JsonNode config = fixture.get("config");
        long warmup = config.get("warmup").asLong();
        long total = config.path("total").asLong(20);
        String type = config.get("type").asString();
        Map<String, Object> kwargs = new TreeMap<>();
        config.propertyStream()
                .filter(each -> !Set.of("type", "warmup", "total").contains(each.getKey()))
                .forEach(each -> kwargs.put(each.getKey(), each.getValue().asString()));
        LrSchedule byName = LrSchedule.of(type, kwargs, warmup, total, 1e-3);
        LrSchedule byHand = switch (type) {
            case "linear" -> new Linear(warmup, total);
            case "cosine" -> new Cosine(warmup, total, config.get("num_cycles").asDouble(), 0);
            case "constant_with_warmup" -> new ConstantWithWarmup(warmup);
            case "inverse_sqrt" ->
                new InverseSqrt(warmup, config.get("timescale").asLong());
            default -> throw new AssertionError("a schedule this test does not know: " + type);
        };
        assertThat(byName).isEqualTo(byHand);
        JsonNode expected = fixture.get("lr_multiplier_at_step");
        for (int step = 0; step < expected.size(); step++) {
            assertThat(byHand.multiplier(step))
                    .as("step %d", step)
                    .isCloseTo(expected.get(step).asDouble(), within(1e-12));
        }
    }

    static List<Arguments> cases() {
        JsonNode fixtures = new JsonMapper().readTree(Fixtures.fixture("optim/schedules.json"));
        return fixtures.get("cases")
                .valueStream()
                .map(each -> Arguments.of(each.get("name").asString(), each))
                .toList();
    }

    @Test
    void wsdGoesUpStaysAndComesDown() {
        var schedule = new WarmupStableDecay(4, 10, 6, Decay.LINEAR, 0.1);
        assertThat(schedule.multiplier(0)).isEqualTo(0.1);
        assertThat(schedule.multiplier(2)).isCloseTo(0.55, within(1e-12));
        for (int step = 4; step <= 14; step++) {
            assertThat(schedule.multiplier(step)).isEqualTo(1);
        }
        assertThat(schedule.multiplier(17)).isCloseTo(0.55, within(1e-12));
        assertThat(schedule.multiplier(20)).isEqualTo(0.1);
        assertThat(schedule.multiplier(1000)).isEqualTo(0.1);
        assertThat(new WarmupStableDecay(4, 10, 6, Decay.COSINE, 0).multiplier(16))
                .isCloseTo(0.75, within(1e-12));
        assertThat(new WarmupStableDecay(4, 10, 4, Decay.ONE_MINUS_SQRT, 0).multiplier(15))
                .isCloseTo(0.5, within(1e-12));
    }

    @Test
    void wsdByNameDecaysOverTheLastTenth() {
        assertThat(LrSchedule.of("warmup_stable_decay", Map.of(), 10, 200, 1))
                .isEqualTo(new WarmupStableDecay(10, 170, 20, Decay.COSINE, 0));
        assertThat(LrSchedule.of("warmup_stable_decay", Map.of(), 5, 5, 1))
                .isEqualTo(new WarmupStableDecay(5, 0, 0, Decay.COSINE, 0));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "constant",
                "constant_with_warmup",
                "linear",
                "cosine",
                "cosine_with_min_lr",
                "cosine_with_restarts",
                "polynomial",
                "inverse_sqrt",
                "warmup_stable_decay"
            })
    void staysBetweenNoneAndAll(String type) {
        Map<String, ?> kwargs = type.equals("cosine_with_min_lr") ? Map.of("min_lr", 1e-4) : Map.of();
        for (int[] shape : new int[][] {{0, 1}, {0, 20}, {7, 20}, {20, 20}, {30, 20}}) {
            LrSchedule schedule = LrSchedule.of(type, kwargs, shape[0], shape[1], 1e-3);
            for (int step = 0; step < 40; step++) {
                assertThat(schedule.multiplier(step))
                        .as("%s at %d", schedule, step)
                        .isBetween(0.0, 1.0);
            }
        }
        assertThat(new Constant().multiplier(5)).isEqualTo(1);
    }

    /** Multipliers of transformers' schedules at steps 0, 3, 8, 15, 20 and 25: 3 of warm-up, 20 in all, a peak of 1e-3. */
    @Test
    void constantsAreThoseOfHuggingFace() {
        assertMultipliers(
                "cosine",
                Map.of("num_cycles", 1.5),
                0.0,
                1.0,
                0.033763885297822094,
                0.9662361147021779,
                0.0,
                0.9662361147021781);
        assertMultipliers(
                "cosine_with_min_lr",
                Map.of("min_lr_rate", 0.1),
                0.0,
                1.0,
                0.8211855863706654,
                0.2788144136293347,
                0.1,
                0.27881441362933457);
        assertMultipliers(
                "cosine_with_min_lr",
                Map.of("min_lr", 0.0002, "num_cycles", 1.0),
                0.0,
                1.0,
                0.4905348039711669,
                0.4905348039711668,
                1.0,
                0.490534803971167);
        assertMultipliers(
                "cosine_with_restarts", Map.of(), 0.0, 1.0, 0.8013173181896283, 0.19868268181037185, 0.0, 0.0);
        assertMultipliers(
                "cosine_with_restarts",
                Map.of("num_cycles", 3),
                0.0,
                1.0,
                0.03376388529782215,
                0.9662361147021779,
                0.0,
                0.0);
        assertMultipliers(
                "polynomial",
                Map.of(),
                0.0,
                1.0,
                0.7059117647058822,
                0.2941882352941176,
                9.999999999999999e-05,
                9.999999999999999e-05);
        assertMultipliers(
                "polynomial",
                Map.of("power", 2.0, "lr_end", 5e-05),
                0.0,
                1.0,
                0.523356401384083,
                0.13217993079584775,
                0.05,
                0.05);
        assertMultipliers(
                "inverse_sqrt",
                Map.of("timescale", 11),
                0.0,
                1.0,
                0.82915619758885,
                0.6915640748081247,
                0.6267831705280088,
                0.5773502691896258);
        assertMultipliers(
                "warmup_stable_decay",
                Map.of("num_decay_steps", 9, "decay_type", "1-sqrt", "min_lr_ratio", 0.2),
                0.2,
                1.0,
                1.0,
                0.46666666666666673,
                0.2,
                0.2);
        assertMultipliers(
                "warmup_stable_decay",
                Map.of("num_decay_steps", 4, "num_stable_steps", 6, "decay_type", "linear"),
                0.0,
                1.0,
                1.0,
                0.0,
                0.0,
                0.0);
    }

    private static void assertMultipliers(String type, Map<String, ?> kwargs, double... expected) {
        LrSchedule schedule = LrSchedule.of(type, kwargs, 3, 20, 1e-3);
        int[] steps = {0, 3, 8, 15, 20, 25};
        for (int i = 0; i < steps.length; i++) {
            assertThat(schedule.multiplier(steps[i]))
                    .as("%s at %d", schedule, steps[i])
                    .isCloseTo(expected[i], within(1e-12));
        }
    }

    @Test
    void constantsThatMakeNoSenseAreRefused() {
        assertRefused("linear", Map.of("num_cycles", 1), "linear has no constant 'num_cycles'; it has none");
        assertRefused("cosine", Map.of("cycles", 1), "cosine has no constant 'cycles'; it has num_cycles");
        assertRefused("cosine_with_min_lr", Map.of(), "wants either min_lr or min_lr_rate");
        assertRefused("cosine_with_min_lr", Map.of("min_lr", 1), "min_lr must be between 0 and 0.001, found 1.0");
        assertRefused("polynomial", Map.of("power", "two"), "power must be a number, found 'two'");
        assertRefused("inverse_sqrt", Map.of("timescale", 0), "timescale must be a whole number from 1 on, found '0'");
        assertRefused("warmup_stable_decay", Map.of("decay_type", "sqrt"), "1-sqrt or cosine or linear, found 'sqrt'");
    }

    private static void assertRefused(String type, Map<String, ?> kwargs, String message) {
        assertThatThrownBy(() -> LrSchedule.of(type, kwargs, 3, 20, 1e-3))
                .isInstanceOf(IsthmusException.class)
                .hasMessageStartingWith("lr_scheduler_kwargs: ")
                .hasMessageContaining(message);
    }

    @Test
    void anUnknownNameSaysWhatThereIs() {
        assertThatThrownBy(() -> LrSchedule.of("cosin", Map.of(), 0, 1, 1))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContainingAll("'cosin'", "warmup_stable_decay");
    }
}
