package dev.isthmus.rl.task;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Rng;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AdditionTests {
    private final Addition plain = Addition.of(3, false);
    private final Addition working = Addition.of(3, true);

    @ParameterizedTest
    @CsvSource({
        "128, 345, 13 07 04#473",
        "999, 999, 18 19 19#1998",
        "999,   1, 10 10 10#1000",
        "  0,   0, 00#0",
        "  5,   7, 12#12",
        "  7, 130, 07 03 01#137",
        "100, 900, 00 00 10#1000"
    })
    void workingGoesColumnByColumnFromTheRight(long a, long b, String text) {
        var problem = working.problem(a, b);
        assertThat(problem.prompt()).isEqualTo(a + "+" + b + "=");
        assertThat(problem.demonstration()).isEqualTo(text);
        assertThat(problem.answer()).isEqualTo(String.valueOf(a + b));
        assertThat(plain.problem(a, b).demonstration()).isEqualTo(String.valueOf(a + b));
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "473, true, true",
                "472, false, true",
                "0, false, true",
                "\"\", false, false",
                "0473, false, false",
                "+473, false, false",
                "-473, false, false",
                "\"473 \", false, false",
                "\" 473\", false, false",
                "473.0, false, false",
                "4 73, false, false",
                "473=473, false, false",
                "٤٧٣, false, false",
                "４７３, false, false",
                "00, false, false",
                "99999999999999999999999999, false, true"
            })
    void plainAnswersAreJudgedExactly(String completion, boolean correct, boolean formatted) {
        var verdict = plain.verify(plain.problem(128, 345), completion);
        assertThat(verdict.correct()).isEqualTo(correct);
        assertThat(verdict.formatted()).isEqualTo(formatted);
        assertThat(verdict.answer()).isEqualTo(formatted ? completion : "");
        assertThat(verdict.reason().isEmpty()).isEqualTo(correct);
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "13 07 04#473, true, true",
                "99 99 99#473, true, true",
                "13 07 04#474, false, true",
                "473, false, false",
                "#473, false, false",
                "13 07 04#, false, false",
                "13 07 04#0473, false, false",
                "13 07 04#473#473, false, false",
                "13 07 04#472 13 07 04#473, false, false",
                "13 07#473, false, false",
                "13 07 04 00#473, false, false",
                "13  07 04#473, false, false",
                "130704#473, false, false",
                "\"13 07 04#473 \", false, false",
                "13 07 04 473, false, false",
                "13 07 0４#473, false, false",
                "\"\", false, false"
            })
    void workingIsAskedForInItsFormOnly(String completion, boolean correct, boolean formatted) {
        var verdict = working.verify(working.problem(128, 345), completion);
        assertThat(verdict.correct()).isEqualTo(correct);
        assertThat(verdict.formatted()).isEqualTo(formatted);
        assertThat(verdict.answer()).isEqualTo(!formatted ? "" : correct ? "473" : "474");
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "7 ", "#", "12 "})
    void veryLongCompletionsAreWrongAndNothingElse(String unit) {
        String text = unit.repeat(200_000);
        assertThat(plain.verify(plain.problem(1, 2), text).correct()).isFalse();
        assertThat(working.verify(working.problem(1, 2), text).correct()).isFalse();
    }

    @Test
    void numbersHaveTheDigitsAskedForAndEachIsAsLikely() {
        Rng rng = Rng.of(7);
        int[] firstDigit = new int[10];
        for (int i = 0; i < 9000; i++) {
            String prompt = plain.draw(rng).prompt();
            assertThat(prompt).matches("[1-9][0-9]{2}\\+[1-9][0-9]{2}=");
            firstDigit[prompt.charAt(0) - '0']++;
        }
        for (int digit = 1; digit < 10; digit++) {
            assertThat(firstDigit[digit]).isBetween(880, 1120);
        }
        var upTo = new Addition(Range.of(1, 3), true);
        int[] length = new int[4];
        for (int i = 0; i < 9000; i++) {
            length[upTo.draw(rng).prompt().indexOf('+')]++;
        }
        for (int digits = 1; digits < 4; digits++) {
            assertThat(length[digits]).isBetween(2800, 3200);
        }
    }
}
