package dev.isthmus.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.rl.task.Countdown.Format;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for every task: parts that fit together, disjoint splits, clear refusals. */
class TaskTests {
    static List<Task> tasks() {
        return List.of(
                Addition.of(3, false),
                Addition.of(3, true),
                Addition.of(18, true),
                new Addition(Range.of(1, 4), true),
                new ListSorting(Range.of(2, 5), 20),
                new ListSorting(Range.of(1, 6), 0),
                Countdown.of(Range.of(3, 4), 13),
                new Countdown(Range.of(3), 9, Range.of(1, 50), null, Format.EXPRESSION),
                new Countdown(Range.of(6), 100, Range.of(100, 999), null, Format.STEPS),
                Countdown.game24(Format.STEPS),
                Countdown.game24(Format.EXPRESSION),
                new Doubling(100_000));
    }

    /** A task as a user writes it; the one in the documentation of Task. */
    record Doubling(int max) implements Task {
        @Override
        public String name() {
            return "doubling(max=" + max + ")";
        }

        @Override
        public String alphabet() {
            return "0123456789*=";
        }

        @Override
        public int maxPromptLength() {
            return 12;
        }

        @Override
        public int maxCompletionLength() {
            return 10;
        }

        @Override
        public Problem draw(Rng rng) {
            long n = rng.nextInt(max);
            return Problem.of("2*" + n + "=", String.valueOf(2 * n));
        }
    }

    @ParameterizedTest
    @MethodSource("tasks")
    void partsFitTogether(Task task) {
        Tasks.check(task);
        assertThat(task.alphabet().chars().distinct().count())
                .isEqualTo(task.alphabet().length());
    }

    @ParameterizedTest
    @MethodSource("tasks")
    void splitsAreDisjointForEverySeedAndEveryInstance(Task task) {
        Map<Split, Set<String>> seen = new EnumMap<>(Split.class);
        Map<String, Split> owner = new HashMap<>();
        boolean tiny = task instanceof ListSorting sorting && sorting.maxValue() == 0;
        for (int seed = 1; seed <= 3 && !tiny; seed++) {
            Rng rng = Rng.of(seed);
            for (Split split : Split.values()) {
                for (int i = 0; i < 150; i++) {
                    Problem problem = task.sample(split, rng.split("draw", split.ordinal(), i));
                    seen.computeIfAbsent(split, s -> new HashSet<>()).add(problem.key());
                    assertThat(owner.putIfAbsent(problem.key(), split))
                            .as(problem.key())
                            .isIn(null, split);
                }
            }
        }
        if (!tiny) {
            var heldOut = new HashSet<String>();
            task.heldOut(100).forEach(p -> heldOut.add(p.key()));
            assertThat(heldOut).hasSize(100).doesNotContainAnyElementsOf(seen.get(Split.TRAIN));
            assertThat(heldOut).doesNotContainAnyElementsOf(seen.get(Split.DEV));
        }
    }

    @Test
    void everyOrderOfTheSameNumbersIsInTheSameSplit() {
        var addition = Addition.of(2, true);
        var plain = new Addition(Range.of(1, 2), false);
        for (int a = 10; a < 100; a++) {
            for (int b = 10; b < 100; b++) {
                Split split = addition.split(addition.problem(a, b));
                assertThat(addition.split(addition.problem(b, a))).isEqualTo(split);
                assertThat(plain.split(plain.problem(a, b))).isEqualTo(split);
            }
        }
        var sorting = new ListSorting(Range.of(3), 20);
        assertThat(sorting.problem(7, 1, 12).key())
                .isEqualTo(sorting.problem(12, 7, 1).key());
        var countdown = Countdown.of(Range.of(3), 13);
        assertThat(countdown.problem(List.of(3, 1, 2), 6).orElseThrow().key())
                .isEqualTo(countdown.problem(List.of(2, 3, 1), 6).orElseThrow().key());
    }

    @Test
    void splitsHaveTheirShares() {
        int[] counts = new int[3];
        for (int i = 0; i < 80_000; i++) {
            counts[Split.ofKey("problem " + i).ordinal()]++;
        }
        assertThat(counts[0]).isBetween(49_300, 50_700);
        assertThat(counts[1]).isBetween(9_600, 10_400);
        assertThat(counts[2]).isBetween(19_500, 20_500);
        // Fixed for ever: a change would move problems that old models were trained on into the test split.
        assertThat(List.of("12+34", "0+0", "1 1 4 6=25", "3 3 7").stream().map(Split::ofKey))
                .containsExactly(Split.TEST, Split.TRAIN, Split.TEST, Split.DEV);
    }

    @Test
    void heldOutProblemsAreTheSameInEveryRunAndGrowInPlace() {
        var task = Addition.of(3, true);
        assertThat(task.heldOut(50)).isEqualTo(Addition.of(3, true).heldOut(80).subList(0, 50));
        assertThat(Countdown.game24(Format.STEPS).heldOut(50))
                .isEqualTo(Countdown.game24(Format.STEPS).heldOut(1362).subList(0, 50));
    }

    @Test
    void tooManyHeldOutProblemsAreRefusedWithTheNumberThereIs() {
        int there = 0;
        for (int a = 0; a < 10; a++) {
            for (int b = a; b < 10; b++) {
                there += Split.ofKey(a + "+" + b) == Split.TEST ? 1 : 0;
            }
        }
        var task = Addition.of(1, false);
        assertThat(task.heldOut(there)).hasSize(there);
        assertThatThrownBy(() -> task.heldOut(1000))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("addition(digits=1) has " + there + " distinct test problems, but 1000 are asked for."
                        + " Ask for at most " + there + ", or widen the task's settings.");
        assertThatThrownBy(() -> Countdown.game24(Format.STEPS).heldOut(1363))
                .hasMessageContaining("1362 distinct test problems, but 1363 are asked for");
    }

    @Test
    void anEmptySplitIsRefused() {
        var task = new ListSorting(Range.of(1), 0);
        Split only = Split.ofKey("0");
        for (Split split : Split.values()) {
            if (split != only) {
                assertThatThrownBy(() -> task.sample(split, Rng.of(1)))
                        .isInstanceOf(IsthmusException.class)
                        .hasMessageStartingWith("list_sorting(length=1, max_value=0) has no " + split + " problem");
            }
        }
    }

    @Test
    void tasksThatContradictThemselvesAreFound() {
        assertThatThrownBy(() -> Tasks.check(new Faulty("2*3=", "6", "236*=", 1)))
                .hasMessageContaining("a prompt is too long: '2*3='");
        assertThatThrownBy(() -> Tasks.check(new Faulty("2*3=", "66666", "236*=", 4)))
                .hasMessageContaining("a demonstration is too long: '66666'");
        assertThatThrownBy(() -> Tasks.check(new Faulty("2*3=", "6", "23*=", 4)))
                .hasMessageContaining("its alphabet lacks '6': '2*3=6'");
        assertThatThrownBy(() -> Tasks.check(new Faulty("2*3=", "", "236*=", 4)))
                .hasMessageContaining("an empty completion is judged right: '2*3='");
        Tasks.check(new Faulty("2*3=", "6", "236*=", 4));
    }

    private record Faulty(String prompt, String answer, String alphabet, int length) implements Task {
        @Override
        public String name() {
            return "faulty";
        }

        @Override
        public int maxPromptLength() {
            return length;
        }

        @Override
        public int maxCompletionLength() {
            return length;
        }

        @Override
        public Problem draw(Rng rng) {
            return Problem.of(prompt, answer);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            addition     | digits=0             | digits must lie in 1..18, but is 0
            addition     | digits=19            | digits must lie in 1..18
            addition     | digits=3..1          | The range 3..1 is empty
            addition     | digits=three         | digits: 'three' is neither a number nor a range
            addition     | working=yes          | working must be true or false, but is 'yes'
            addition     | digit=3              | no setting 'digit'. It has digits, working
            list_sorting | max_value=-1         | max_value must lie in 0..9999
            list_sorting | length=0             | length must lie in 1..64
            countdown    | numbers=1            | numbers must lie in 2..6
            countdown    | max_number=1000      | max_number must lie in 1..100
            countdown    | format=prose         | format must be steps or expression
            countdown    | held_out_target=100  | held_out_target must lie in 1..99, but is 100
            countdown    | max_number=many      | max_number must be a whole number, but is 'many'
            game24       | numbers=3            | game24 has no setting 'numbers'
            chess        | elo=1                | There is no task 'chess'
            """)
    void settingsThatMakeNoSenseAreRefusedInOneLine(String name, String setting, String message) {
        String[] pair = setting.split("=");
        assertThatThrownBy(() -> Tasks.of(name, Map.of(pair[0], pair[1])))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    @Test
    void settingsThatCannotBeSatisfiedAreRefused() {
        assertThatThrownBy(() -> new Countdown(Range.of(3), 3, Range.of(99), null, Format.STEPS))
                .hasMessage(
                        "countdown: target 99 cannot be reached: the largest value that 3 numbers up to 3 make is 27.");
        var unreachable = new Countdown(Range.of(2), 4, Range.of(11), null, Format.STEPS);
        assertThatThrownBy(() -> unreachable.draw(Rng.of(1)))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("has no puzzle");
    }

    @Test
    void recipesNameTasks() {
        assertThat(Tasks.of("addition", Map.of("digits", 4, "working", true))).isEqualTo(Addition.of(4, true));
        assertThat(Tasks.of("addition", Map.of("digits", "1..3"))).isEqualTo(new Addition(Range.of(1, 3), false));
        assertThat(Tasks.of("list_sorting", Map.of("length", 5, "max_value", 99)))
                .isEqualTo(new ListSorting(Range.of(5), 99));
        assertThat(Tasks.of("game24", Map.of("format", "expression"))).isEqualTo(Countdown.game24(Format.EXPRESSION));
        assertThat(Tasks.of("countdown", Map.of("numbers", 4, "held_out_target", 24)))
                .isEqualTo(Countdown.game24(Format.STEPS));
        assertThat(Tasks.of("countdown", Map.of())).isEqualTo(Countdown.of(Range.of(3, 4), 13));
    }
}
