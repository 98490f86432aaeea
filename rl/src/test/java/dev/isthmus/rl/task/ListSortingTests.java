package dev.isthmus.rl.task;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ListSortingTests {
    private final ListSorting task = new ListSorting(Range.of(2, 5), 20);

    @Test
    void promptsListAndAnswersSort() {
        var problem = task.problem(7, 3, 12, 3);
        assertThat(problem.prompt()).isEqualTo("7 3 12 3:");
        assertThat(problem.answer()).isEqualTo("3 3 7 12").isEqualTo(problem.demonstration());
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "3 3 7 12, true, true",
                "3 7 12, false, true",
                "3 3 12 7, false, true",
                "12 3 3 7, false, true",
                "3 3 7 12 12, false, true",
                "3 3 7 13, false, true",
                "3 3  7 12, false, false",
                "\"3 3 7 12 \", false, false",
                "3 3 7 12., false, false",
                "03 3 7 12, false, false",
                "3 3 7 １２, false, false",
                "\"3,3,7,12\", false, false",
                "-3 3 7 12, false, false",
                "\"\", false, false"
            })
    void onlyTheSortedListIsRight(String completion, boolean correct, boolean formatted) {
        var verdict = task.verify(task.problem(7, 3, 12, 3), completion);
        assertThat(verdict.correct()).isEqualTo(correct);
        assertThat(verdict.formatted()).isEqualTo(formatted);
    }

    @Test
    void veryLongCompletionsAreWrongAndNothingElse() {
        assertThat(task.verify(task.problem(1, 2), " ".repeat(300_000)).correct())
                .isFalse();
        assertThat(task.verify(task.problem(1, 2), "1 2 ".repeat(100_000) + "3").correct())
                .isFalse();
    }
}
