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
        LrSchedule byName = LrSchedule.of(type, warmup, total);
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
        assertThat(LrSchedule.of("warmup_stable_decay", 10, 200))
                .isEqualTo(new WarmupStableDecay(10, 170, 20, Decay.COSINE, 0));
        assertThat(LrSchedule.of("warmup_stable_decay", 5, 5))
                .isEqualTo(new WarmupStableDecay(5, 0, 0, Decay.COSINE, 0));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"constant", "constant_with_warmup", "linear", "cosine", "inverse_sqrt", "warmup_stable_decay"})
    void staysBetweenNoneAndAll(String type) {
        for (int[] shape : new int[][] {{0, 1}, {0, 20}, {7, 20}, {20, 20}, {30, 20}}) {
            LrSchedule schedule = LrSchedule.of(type, shape[0], shape[1]);
            for (int step = 0; step < 40; step++) {
                assertThat(schedule.multiplier(step))
                        .as("%s at %d", schedule, step)
                        .isBetween(0.0, 1.0);
            }
        }
        assertThat(new Constant().multiplier(5)).isEqualTo(1);
    }

    @Test
    void anUnknownNameSaysWhatThereIs() {
        assertThatThrownBy(() -> LrSchedule.of("cosin", 0, 1))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContainingAll("'cosin'", "warmup_stable_decay");
    }
}
