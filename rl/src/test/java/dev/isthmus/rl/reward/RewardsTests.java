package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.task.Addition;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RewardsTests {
    private static final Addition TASK = Addition.of(1, false);

    private static double[] score(RewardFunction function, String... completions) {
        List<Problem> problems = Collections.nCopies(completions.length, TASK.problem(1, 2));
        List<String> prompts = problems.stream().map(Problem::prompt).toList();
        List<int[]> ids =
                Arrays.stream(completions).map(c -> c.chars().toArray()).toList();
        return function.score(prompts, List.of(completions), RewardFunction.columns(problems, ids));
    }

    @Test
    void accuracyAndFormatAskTheVerifier() {
        assertThat(score(Rewards.accuracy(TASK), "3", "4", "three")).containsExactly(1, 0, 0);
        assertThat(score(Rewards.format(TASK), "3", "4", "three")).containsExactly(1, 1, 0);
        assertThat(Rewards.accuracy(TASK).name()).isEqualTo("accuracy_reward");
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "<think>a</think>b, 1",
                "\"<think>\na\n</think>\nb\", 1",
                "<think></think>, 1",
                "<think>a</think>b</think>c, 1",
                "<think>a, 0",
                "a</think>b, 0",
                "x<think>a</think>b, 0",
                "<think>a<think>b</think>c, 0",
                "<think>a</think>b<think>c, 0",
                "\"\", 0"
            })
    void thinkFormat(String completion, double reward) {
        assertThat(score(Rewards.thinkFormat(), completion)).containsExactly(reward);
    }

    @Test
    void softOverlongPunishmentFallsInTheLastTokens() {
        var reward = Rewards.softOverlongPunishment(100, 20);
        assertThat(score(reward, "", "x".repeat(80), "x".repeat(81), "x".repeat(90), "x".repeat(100), "x".repeat(101)))
                .containsExactly(0, 0, -0.05, -0.5, -1, -1);
        assertThat(score(Rewards.softOverlongPunishment(3, 0), "abc", "abcd")).containsExactly(0, -1);
    }

    @Test
    void repetitionPenaltyCountsNgrams() {
        var reward = Rewards.repetitionPenalty(2, -1);
        // Of the four bigrams of aaaaa one is new; of ab, ba, ab, ba, ab two are.
        assertThat(score(reward, "abcd", "aaaaa", "a", "", "ababab")).containsExactly(0, -0.75, 0, 0, -0.6);
        assertThat(score(Rewards.repetitionPenalty(3, -2), "aaaa")).containsExactly(-1);
        assertThatThrownBy(() -> Rewards.repetitionPenalty(0, -1)).isInstanceOf(IsthmusException.class);
        assertThatThrownBy(() -> Rewards.repetitionPenalty(2, 1)).isInstanceOf(IsthmusException.class);
    }

    @Test
    void cosinePrefersShortWhenRightAndLongWhenWrong() {
        var reward = Rewards.cosineScaled((problem, c) -> TASK.verify(problem, c.strip()), 100);
        double[] right = score(reward, "3" + " ".repeat(49), "3" + " ".repeat(99), "3" + " ".repeat(299));
        assertThat(right[0]).isCloseTo(0.75, within(1e-12));
        assertThat(right[1]).isCloseTo(0.5, within(1e-12));
        assertThat(right[2]).isCloseTo(0.5, within(1e-12));
        double[] wrong = score(reward, "", "4" + " ".repeat(49), "4" + " ".repeat(99));
        assertThat(wrong[0]).isCloseTo(-1, within(1e-12));
        assertThat(wrong[1]).isCloseTo(-0.75, within(1e-12));
        assertThat(wrong[2]).isCloseTo(-0.5, within(1e-12));
    }

    @Test
    void weightedSumsLeaveOutWhatCannotBeScored() {
        var first = RewardFunction.of("first", (p, c, columns) -> new double[] {1, Double.NaN, Double.NaN});
        var second = RewardFunction.of("second", (p, c, columns) -> new double[] {2, 3, Double.NaN});
        var sum = Rewards.weighted("sum", List.of(first, second), 1, 0.5);
        assertThat(score(sum, "a", "b", "c")).containsExactly(2, 1.5, Double.NaN);
        assertThatThrownBy(() -> Rewards.weighted("sum", List.of(first, second), 1))
                .hasMessageContaining("reward_weights has 1 entries for 2");
        assertThatThrownBy(() -> score(sum, "a", "b"))
                .hasMessage("The reward function first returned 3 rewards for 2 completions.");
    }

    @Test
    void shufflingKeepsTheRewardsAndLosesTheirOwners() {
        var plain = RewardFunction.of(
                "index",
                (p, c, columns) -> IntStream.range(0, c.size()).asDoubleStream().toArray());
        String[] completions = new String[200];
        Arrays.fill(completions, "3");
        double[] shuffled = score(plain.shuffled(Rng.of(1).split("shuffle", 0)), completions);
        assertThat(shuffled).isEqualTo(score(plain.shuffled(Rng.of(1).split("shuffle", 0)), completions));
        assertThat(shuffled).isNotEqualTo(score(plain.shuffled(Rng.of(1).split("shuffle", 1)), completions));
        assertThat(shuffled).containsExactlyInAnyOrder(score(plain, completions));
        assertThat(IntStream.range(0, 200).filter(i -> shuffled[i] == i).count())
                .isLessThan(8);
    }

    @Test
    void columnsAreThoseOfTheProblems() {
        var problems =
                List.of(TASK.problem(1, 2).with("rank", 7), TASK.problem(3, 4).with("seconds", 1.5));
        var columns = RewardFunction.columns(problems, List.of(new int[0], new int[1]));
        assertThat(columns.get("solution")).isEqualTo(List.of("3", "7"));
        assertThat(columns.get("problem")).isEqualTo(problems);
        assertThat(columns.get("rank")).isEqualTo(Arrays.asList(7, null));
        assertThat(columns.get("seconds")).isEqualTo(Arrays.asList(null, 1.5));
        assertThatThrownBy(() ->
                        Rewards.repetitionPenalty(2, -1).score(List.of(), List.of(), Map.of("solution", List.of())))
                .hasMessage("The reward function repetition_penalty_reward needs the column 'completion_ids',"
                        + " but there are only [solution].");
    }
}
