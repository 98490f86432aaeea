package dev.isthmus.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.rl.task.Countdown.Format;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CountdownTests {
    private final Countdown steps = Countdown.game24(Format.STEPS);
    private final Countdown line = Countdown.game24(Format.EXPRESSION);

    private static Problem problem(Countdown task, Integer... numbers) {
        return task.problem(List.of(numbers), 24).orElseThrow();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "4+8=12 6-4=2 12*2=24     | ",
                "8+4=12 6-4=2 2*12=24     | ",
                "6-4=2 4+8=12 12*2=24     | ",
                "8*6=48 4/4=1 48*1=48     | not the target",
                "4+8=12 12+6=18           | a number is not used",
                "4+8=12                   | a number is not used",
                "4*6=24                   | a number is not used",
                "4*6=24 4-4=0 8*0=0       | a step uses a number that is not there",
                "4*6=24 8*4=32 24+0=24    | a step uses a number that is not there",
                "4+8=12 6-4=2 12*2=24 24+0=24 | a step uses a number that is not there",
                "4+4=8 4+4=8 8*8=64       | a step uses a number that is not there",
                "8+8=16 6-4=2 16+8=24     | a step uses a number that is not there",
                "44-8=36 36-6=30 30-6=24  | a step uses a number that is not there",
                "4+8=12 6-4=2 12*2=25     | a step is not true",
                "4+8=13 6-4=2 13*2=26     | a step is not true",
                "4+8=24 6-4=24 24-24=24   | a step is not true",
                "4-4=0 8/0=8 8+6=14       | a step is not true",
                "4-4=0 8/0=0 0+6=24       | a step is not true",
                "8/6=(4/3) 4*4=16 16*(4/3)=(64/3) | not the target",
                "8/6=(8/6) 4*4=16 16*(8/6)=(64/3) | a step is not true",
                "8/4=(2/1) 2*6=12 12+4=16 | a step is not true"
            })
    void stepsAreJudgedOneByOne(String completion, String reason) {
        var verdict = steps.verify(problem(steps, 4, 4, 6, 8), completion);
        assertThat(verdict.reason()).isEqualTo(reason == null ? "" : reason);
        assertThat(verdict.correct()).isEqualTo(reason == null);
        assertThat(verdict.formatted()).isTrue();
        assertThat(verdict.answer()).isEqualTo(completion);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "\"\"",
                "\" \"",
                "24",
                "4-8=-4 6-4=2 12*2=24",
                "-4+8=4 6-4=2 12*2=24",
                "04+8=12 6-4=2 12*2=24",
                "4+8=12 6-4=2 12*2=024",
                "4+8=12  6-4=2 12*2=24",
                "\" 4+8=12 6-4=2 12*2=24\"",
                "\"4+8=12 6-4=2 12*2=24 \"",
                "4+8=12 6-4=2 12*2=24.",
                "4+8=12 6-4=2 12*2=24 and done",
                "4+8=12,6-4=2,12*2=24",
                "4+8=12=12 6-4=2 12*2=24",
                "４+8=12 6-4=2 12*2=24",
                "4+8=12 6-4=2 12×2=24",
                "4+8=12 6-4=2 12*2=2٤",
                "(4)+8=12 6-4=2 12*2=24",
                "4+8=12 6-4=2 12*2=(24/0)",
                "4^8=12 6-4=2 12*2=24",
                "4+8+6=18 18+6=24",
                "99999999999999999999999999999999*4=8 6-4=2 12*2=24",
                "(4+8)*(6-4)",
                "(4+8)*(6-4)=24"
            })
    void whatIsNotStepsIsMalformed(String completion) {
        assertThat(steps.verify(problem(steps, 4, 4, 6, 8), completion))
                .isEqualTo(Verdict.malformed("not steps such as 1+2=3"));
    }

    @Test
    void fractionsAreExact() {
        var eights = problem(steps, 3, 3, 8, 8);
        assertThat(eights.demonstration()).isEqualTo("8/3=(8/3) 3-(8/3)=(1/3) 8/(1/3)=24");
        assertThat(steps.verify(eights, eights.demonstration()).correct()).isTrue();
        assertThat(steps.verify(eights, "8/3=2 3-2=1 8*3=24").correct()).isFalse();
        assertThat(line.verify(problem(line, 3, 3, 8, 8), "8/(3-8/3)").correct())
                .isTrue();
        assertThat(line.verify(problem(line, 1, 3, 4, 6), "6/(1-3/4)").correct())
                .isTrue();
        assertThat(line.verify(problem(line, 1, 5, 5, 5), "5*(5-1/5)").correct())
                .isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "(4+8)*(6-4)       | true  | true",
                "((4+8))*((6-4))   | true  | true",
                "(8+4)*(6-4)       | true  | true",
                "8*(4-4/4)         | false | true",
                "4*8-(4+6)         | false | true",
                "4*6               | false | true",
                "4*6+4-4           | false | true",
                "4*6+8-8           | false | true",
                "4*6*(8-4-4+1)     | false | true",
                "48-4*6            | false | true",
                "24                | false | true",
                "(8+4)*(6-4)/(4-4) | false | true",
                "(6+8)/(4-4)       | false | true",
                "\"\"              | false | false",
                "-(4-8)*6          | false | false",
                "4*-6              | false | false",
                "+4+8              | false | false",
                "(4+8)*(6-4)=24    | false | false",
                "(4+8)(6-4)        | false | false",
                "(4+8)*(6-4        | false | false",
                "(4+8)*6-4)        | false | false",
                "(4 + 8)*(6-4)     | false | false",
                "04*6*(8-4)        | false | false",
                "4**6              | false | false",
                "()                | false | false",
                "4+8*              | false | false",
                "(４+8)*(6-4)      | false | false",
                "(4+8)×(6-4)       | false | false",
                "4.0*6             | false | false",
                "999999999999999999999999999*4 | false | false",
                "999999999999999999*999999999999999999 | false | true"
            })
    void expressionsAreJudgedExactly(String completion, boolean correct, boolean formatted) {
        var verdict = line.verify(problem(line, 4, 4, 6, 8), completion);
        assertThat(verdict.correct()).isEqualTo(correct);
        assertThat(verdict.formatted()).isEqualTo(formatted);
        assertThat(verdict.reason().isEmpty()).isEqualTo(correct);
    }

    @ParameterizedTest
    @EnumSource(Format.class)
    void noiseIsWrongAndNeverAnException(Format format) {
        var task = Countdown.game24(format);
        var problem = problem(task, 4, 4, 6, 8);
        for (String unit :
                List.of("(", ")", "4", "4+", "4+8=12 ", " ", "-", "((4+8)*", "\u0000", "\ud83d\ude00", "4/0=")) {
            for (int times : new int[] {1, 7, 60, 100_000}) {
                assertThat(task.verify(problem, unit.repeat(times)).correct()).isFalse();
            }
        }
        Rng rng = Rng.of(5);
        String characters = task.alphabet();
        for (int i = 0; i < 20_000; i++) {
            var text = new StringBuilder(problem.demonstration());
            for (int edits = 1 + rng.nextInt(3); edits > 0; edits--) {
                text.setCharAt(rng.nextInt(text.length()), characters.charAt(rng.nextInt(characters.length())));
            }
            // Of random edits only exchanged operands or numbers of equal value stay right; they must be right indeed.
            if (task.verify(problem, text.toString()).correct()) {
                assertThat(format == Format.EXPRESSION ? BruteForce.evaluates(text.toString(), 24) : last(text))
                        .as(text.toString())
                        .isTrue();
            }
        }
    }

    private static boolean last(CharSequence steps) {
        return steps.toString().endsWith("=24") && steps.toString().split(" ").length == 3;
    }

    @Test
    void foreignPromptsAreRefused() {
        assertThatThrownBy(() -> steps.verify(Problem.of("1+2=", "3"), "3"))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("'1+2=' is not a countdown prompt such as '4 4 6 8=24:'.");
    }

    @Test
    void solverFindsWhatBruteForceFinds() {
        Rng rng = Rng.of(11);
        for (int size = 2; size <= 4; size++) {
            for (int i = 0; i < 12; i++) {
                var numbers = rng.ints(size, 1, 14).boxed().toList();
                var reachable = BruteForce.reachable(numbers);
                for (int target = 0; target <= 60; target++) {
                    var solution = CountdownSolver.solution(numbers, target);
                    assertThat(solution.isPresent())
                            .as("%s to %d", numbers, target)
                            .isEqualTo(reachable.contains(target));
                    assertThat(CountdownSolver.solutions(numbers, target).isEmpty())
                            .isEqualTo(solution.isEmpty());
                }
            }
        }
    }

    @Test
    void everySolutionIsRightInBothFormsAndListedOnce() {
        Rng rng = Rng.of(12);
        int count = 0;
        for (int i = 0; i < 60; i++) {
            var numbers = rng.ints(4, 1, 14).boxed().toList();
            for (Expression solution : CountdownSolver.solutions(numbers, 24)) {
                var puzzle = steps.problem(numbers, 24).orElseThrow();
                assertThat(steps.verify(puzzle, solution.steps()).reason())
                        .as(solution.steps())
                        .isEmpty();
                assertThat(line.verify(puzzle, solution.infix()).reason())
                        .as(solution.infix())
                        .isEmpty();
                assertThat(BruteForce.evaluates(solution.infix(), 24)).isTrue();
                count++;
            }
        }
        assertThat(count).isGreaterThan(100);
        assertThat(CountdownSolver.solutions(List.of(2, 3, 4), 24))
                .extracting(Expression::infix)
                .containsExactlyInAnyOrder("4*3*2", "3*2*4", "4*2*3");
        assertThat(CountdownSolver.solutions(List.of(3, 3), 1))
                .extracting(Expression::infix)
                .containsExactly("3/3");
    }

    @Test
    void parenthesesAreThoseNeeded() {
        for (String text :
                List.of("1+2+3", "1-(2-3)", "1-2-3", "(1+2)*8", "8/(3-8/3)", "2*3/4", "2/(3*4)", "2/(3/4)", "1+2*3")) {
            assertThat(Expression.parse(text).infix()).isEqualTo(text);
        }
    }

    @Test
    void trainingNeverMeetsTheHeldOutTarget() {
        Rng rng = Rng.of(3);
        var all = new HashSet<String>();
        line.puzzles(24).forEach(p -> all.add(p.key()));
        assertThat(all).hasSize(1362);
        for (int i = 0; i < 5000; i++) {
            Problem train = line.sample(i % 5 == 0 ? Split.DEV : Split.TRAIN, rng);
            assertThat(train.columns().get("target")).isNotEqualTo(24);
            assertThat(all).doesNotContain(train.key());
        }
        assertThat(all).contains(line.sample(Split.TEST, rng).key());
    }

    @Test
    void generatedPuzzlesAreSolvedWithinTheSettingsAndVary() {
        Rng rng = Rng.of(9);
        var task = new Countdown(Range.of(3, 4), 10, Range.of(5, 60), null, Format.STEPS);
        int[] bySize = new int[5];
        var operations = new StringBuilder();
        var targets = new HashSet<Object>();
        for (int i = 0; i < 4000; i++) {
            Problem problem = task.draw(rng);
            var numbers = (List<?>) problem.columns().get("numbers");
            bySize[numbers.size()]++;
            assertThat(numbers).allMatch(n -> (int) n >= 1 && (int) n <= 10).isSorted();
            assertThat((int) problem.columns().get("target")).isBetween(5, 60);
            assertThat(problem.prompt()).isEqualTo(problem.key() + ":");
            targets.add(problem.columns().get("target"));
            operations.append(problem.demonstration().replaceAll("[^-+*/]", ""));
        }
        assertThat(bySize[3]).isGreaterThan(1000);
        assertThat(bySize[4]).isGreaterThan(1000);
        assertThat(targets).hasSizeGreaterThan(50);
        for (char operation : "+-*/".toCharArray()) {
            assertThat(operations.chars().filter(c -> c == operation).count()).isGreaterThan(operations.length() / 20);
        }
    }
}
