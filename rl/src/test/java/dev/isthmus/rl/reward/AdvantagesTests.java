package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.LossFixture;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.rl.reward.Advantages.MultiObjectiveAggregation;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class AdvantagesTests {
    static List<Arguments> grpo() {
        return LossFixture.all("grpo_advantages.json", DType.FLOAT64);
    }

    static List<Arguments> rloo() {
        return LossFixture.all("rloo.json", DType.FLOAT64);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("grpo")
    @Tag("fixture")
    void groupRelativeIsTrls(String name, LossFixture c) {
        double[] weights = c.config("reward_weights")
                .valueStream()
                .mapToDouble(JsonNode::asDouble)
                .toArray();
        double[] flat = c.numbers("rewards_per_func");
        var rewards = new double[flat.length / weights.length][weights.length];
        for (int i = 0; i < flat.length; i++) {
            rewards[i / weights.length][i % weights.length] = flat[i];
        }
        var advantages = Advantages.groupRelative(
                rewards,
                weights,
                c.config("num_generations").asInt(),
                TrlNames.find("scale_rewards", c.text("scale_rewards", ""), ScaleRewards.values()),
                TrlNames.find(
                        "multi_objective_aggregation",
                        c.text("multi_objective_aggregation", ""),
                        MultiObjectiveAggregation.values()));
        c.assertClose("advantages", advantages.values(), c.output("advantages"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("rloo")
    @Tag("fixture")
    void leaveOneOutIsTrls(String name, LossFixture c) {
        // Those of the loss, which RlooLossTests compares.
        List.of("epsilon_low", "epsilon_high").forEach(c::config);
        double[] rewards = c.numbers("rewards");
        double[] old = c.numbers("old_per_token_logps_for_kl");
        double[] reference = c.numbers("ref_per_token_logps");
        double[] mask = c.numbers("completion_mask");
        JsonNode clip = c.config("reward_clip_range");
        int tokens = old.length / rewards.length;
        for (int i = 0; i < rewards.length; i++) {
            if (clip.isArray()) {
                rewards[i] = Math.clamp(
                        rewards[i], clip.get(0).asDouble(), clip.get(1).asDouble());
            }
            for (int t = i * tokens; t < (i + 1) * tokens; t++) {
                rewards[i] -= c.config("beta").asDouble() * mask[t] * (old[t] - reference[t]);
            }
        }
        var advantages = Advantages.leaveOneOut(
                rewards,
                c.config("num_generations").asInt(),
                c.config("normalize_advantages").asBoolean());
        c.assertClose("advantages", advantages.values(), c.output("advantages"));
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

    /** Over all ways to sample from five answers, the expected gradient is that of the expected reward. */
    @Test
    void leaveOneOutAndTheGreedyBaselineAreUnbiased() {
        double[] policy = {0.1, 0.35, 0.2, 0.3, 0.05};
        double[] reward = {1, -0.5, 2, 0.3, 4};
        int greedy = 1;
        double mean = 0;
        for (int y = 0; y < 5; y++) {
            mean += policy[y] * reward[y];
        }
        double[] leaveOneOut = new double[5];
        double[] remax = new double[5];
        for (int a = 0; a < 5; a++) {
            double[] above = Advantages.aboveGreedy(new double[] {reward[a]}, new double[] {reward[greedy]}, 1)
                    .values();
            add(remax, policy, a, policy[a] * above[0]);
            for (int b = 0; b < 5; b++) {
                double[] worth = Advantages.leaveOneOut(new double[] {reward[a], reward[b]}, 2, false)
                        .values();
                add(leaveOneOut, policy, a, policy[a] * policy[b] * worth[0] / 2);
                add(leaveOneOut, policy, b, policy[a] * policy[b] * worth[1] / 2);
            }
        }
        for (int k = 0; k < 5; k++) {
            double gradient = policy[k] * (reward[k] - mean);
            assertThat(leaveOneOut[k]).isCloseTo(gradient, within(1e-12));
            assertThat(remax[k]).isCloseTo(gradient, within(1e-12));
        }
    }

    /** {@code weight} times the gradient of {@code log softmax(z)[y]} by z. */
    private static void add(double[] gradient, double[] policy, int y, double weight) {
        for (int k = 0; k < policy.length; k++) {
            gradient[k] += weight * ((k == y ? 1 : 0) - policy[k]);
        }
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
