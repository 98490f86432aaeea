package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.Fixtures;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class AdvantagesTests {
    static List<Arguments> grpo() throws IOException {
        return named("losses/grpo_advantages.json");
    }

    static List<Arguments> rloo() throws IOException {
        return named("losses/rloo.json");
    }

    private static List<Arguments> named(String file) throws IOException {
        return Fixtures.cases(file).stream()
                .map(each -> Arguments.of(each.get("name").asString(), each))
                .toList();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("grpo")
    @Tag("fixture")
    void groupRelativeIsTrls(String name, JsonNode fixture) {
        JsonNode config = fixture.get("config");
        double[] weights = config.get("reward_weights")
                .valueStream()
                .mapToDouble(JsonNode::asDouble)
                .toArray();
        double[] flat = Fixtures.doubles(fixture.get("inputs").get("rewards_per_func"));
        var rewards = new double[flat.length / weights.length][weights.length];
        for (int i = 0; i < flat.length; i++) {
            rewards[i / weights.length][i % weights.length] = flat[i];
        }
        var advantages = Advantages.groupRelative(
                rewards,
                weights,
                config.get("num_generations").asInt(),
                ScaleRewards.valueOf(upper(config.get("scale_rewards"))),
                MultiObjectiveAggregation.valueOf(upper(config.get("multi_objective_aggregation"))));
        assertClose(advantages.values(), Fixtures.doubles(fixture.get("outputs").get("advantages")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("rloo")
    @Tag("fixture")
    void leaveOneOutIsTrls(String name, JsonNode fixture) {
        JsonNode config = fixture.get("config");
        JsonNode inputs = fixture.get("inputs");
        double[] rewards = Fixtures.doubles(inputs.get("rewards"));
        double[] old = Fixtures.doubles(inputs.get("old_per_token_logps_for_kl"));
        double[] reference = Fixtures.doubles(inputs.get("ref_per_token_logps"));
        double[] mask = Fixtures.doubles(inputs.get("completion_mask"));
        JsonNode clip = config.get("reward_clip_range");
        int tokens = old.length / rewards.length;
        for (int i = 0; i < rewards.length; i++) {
            if (!clip.isNull()) {
                rewards[i] = Math.clamp(
                        rewards[i], clip.get(0).asDouble(), clip.get(1).asDouble());
            }
            for (int t = i * tokens; t < (i + 1) * tokens; t++) {
                rewards[i] -= config.get("beta").asDouble() * mask[t] * (old[t] - reference[t]);
            }
        }
        var advantages = Advantages.leaveOneOut(
                rewards,
                config.get("num_generations").asInt(),
                config.get("normalize_advantages").asBoolean());
        assertClose(advantages.values(), Fixtures.doubles(fixture.get("outputs").get("advantages")));
    }

    private static String upper(JsonNode node) {
        return node.asString().toUpperCase(Locale.ROOT);
    }

    private static void assertClose(double[] actual, double[] expected) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("row %d", i).isCloseTo(expected[i], within(1e-11 + 1e-9 * Math.abs(expected[i])));
        }
    }

    @Test
    void oneGroupByHand() {
        // Mean 1/4, unbiased variance (3 * 1/16 + 9/16) / 3 = 1/4.
        var advantages = advantages(new double[] {1, 0, 0, 0}, ScaleRewards.GROUP);
        assertThat(advantages.values()[0]).isCloseTo(0.75 / 0.5001, within(1e-12));
        assertThat(advantages.values()[3]).isCloseTo(-0.25 / 0.5001, within(1e-12));
        assertThat(advantages.std()).containsOnly(0.5);
        assertThat(advantages(new double[] {1, 0, 0, 0}, ScaleRewards.NONE).values())
                .containsExactly(.75, -.25, -.25, -.25);
    }

    @Test
    void groupsWithoutSpreadTeachNothingAndAreCounted() {
        var rewards = new double[] {1, 1, 0, 1, 0, 0, Double.NaN, Double.NaN, 1, Double.NaN};
        var advantages = Advantages.groupRelative(
                column(rewards), new double[] {1}, 2, ScaleRewards.GROUP, MultiObjectiveAggregation.SUM_THEN_NORMALIZE);
        assertThat(advantages.values())
                .containsExactly(0, 0, -0.5 / (Math.sqrt(0.5) + 1e-4), 0.5 / (Math.sqrt(0.5) + 1e-4), 0, 0, 0, 0, 0, 0);
        assertThat(advantages.fracRewardZeroStd()).isEqualTo(0.4);
    }

    /** K / (K - 1) (R - mean): 4/3 of 3/4 and -1/4. */
    @Test
    void leaveOneOutIsLoops() {
        assertThat(Advantages.leaveOneOut(new double[] {1, 0, 0, 0}, 4, false).values())
                .containsExactly(new double[] {1, -1 / 3.0, -1 / 3.0, -1 / 3.0}, within(1e-12));
    }

    @Test
    void theGreedyCompletionIsTheBaseline() {
        var advantages = Advantages.aboveGreedy(new double[] {1, 0, 3, 5}, new double[] {0.5, 4}, 2);
        assertThat(advantages.values()).containsExactly(0.5, -0.5, -1, 1);
        assertThat(advantages.rewards()).containsExactly(1, 0, 3, 5);
        assertThat(Advantages.aboveGreedy(new double[] {1, 0}, new double[] {0.5, 4}, 1)
                        .values())
                .containsExactly(0.5, -4);
        assertThatThrownBy(() -> Advantages.aboveGreedy(new double[4], new double[4], 2))
                .hasMessageContaining("need 2 greedy rewards, found 4");
    }

    @Test
    void groupsThatDoNotFitAreRefused() {
        assertThatThrownBy(() -> advantages(new double[] {1, 0, 1}, ScaleRewards.GROUP))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("3 completions, num_generations 4");
        assertThatThrownBy(() -> Advantages.leaveOneOut(new double[] {1, 2}, 1, false))
                .hasMessageContaining("groups of at least two");
        assertThatThrownBy(() -> Advantages.groupRelative(
                        new double[4][2],
                        new double[] {1},
                        4,
                        ScaleRewards.GROUP,
                        MultiObjectiveAggregation.SUM_THEN_NORMALIZE))
                .hasMessage("reward_weights has 1 entries for 2 reward functions: give one for each.");
    }

    private static Advantages advantages(double[] rewards, ScaleRewards scale) {
        return Advantages.groupRelative(
                column(rewards), new double[] {1}, 4, scale, MultiObjectiveAggregation.SUM_THEN_NORMALIZE);
    }

    private static double[][] column(double[] rewards) {
        var rows = new double[rewards.length][1];
        for (int i = 0; i < rewards.length; i++) {
            rows[i][0] = rewards[i];
        }
        return rows;
    }
}
