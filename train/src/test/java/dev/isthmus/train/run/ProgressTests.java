package dev.isthmus.train.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProgressTests {
    private final ByteArrayOutputStream results = new ByteArrayOutputStream();
    private final ByteArrayOutputStream status = new ByteArrayOutputStream();
    private long nanos;

    @Test
    void plainLinesComeAtOnceAndThenAtGrowingIntervals() {
        try (Progress progress = progress(false, false, StandardCharsets.UTF_8)) {
            progress.stage("Pre-training", 10_000);
            assertThat(lines()).containsExactly("Pre-training: 10,000 steps");
            for (int step = 1; step <= 10_000; step++) {
                nanos += 10_000_000;
                progress.update(step, 500, "loss 1.5");
            }
            progress.line("base  47 %");
        }
        assertThat(lines())
                .hasSizeBetween(10, 20)
                .contains("Pre-training  100/10,000  loss 1.5  50.0k tokens/s  1:39 left");
        assertThat(lines().getLast()).isEqualTo("Pre-training  10,000 in 1:40  loss 1.5  50.0k tokens/s");
        assertThat(results.toString(StandardCharsets.UTF_8)).isEqualTo("base  47 %" + System.lineSeparator());
        assertThat(status.toString(StandardCharsets.UTF_8)).doesNotContain("\033", "\r\033");
    }

    @Test
    void theLiveLineIsRedrawnAtMostTenTimesASecond() {
        Progress progress = progress(true, false, StandardCharsets.UTF_8);
        progress.stage("Round 1", 1000);
        for (int step = 1; step < 1000; step++) {
            nanos += 1_000_000;
            progress.update(step, 0, "");
        }
        assertThat(draws()).isBetween(9, 11);
        progress.update(1000, 0, "");
        assertThat(draws()).isBetween(10, 12);
        assertThat(status.toString(StandardCharsets.UTF_8))
                .endsWith("\r\033[?7lRound 1  " + "━".repeat(24) + " 1,000/1,000\033[K\033[?7h");
    }

    @Test
    void aLineOfResultsIsNotOverwritten() {
        Progress progress = progress(true, false, StandardCharsets.UTF_8);
        progress.stage("Round 1", 10);
        status.reset();
        progress.line("1  62 %");
        assertThat(results.toString(StandardCharsets.UTF_8)).startsWith("1  62 %");
        assertThat(status.toString(StandardCharsets.UTF_8))
                .startsWith("\r\033[K")
                .contains("Round 1");
        status.reset();
        progress.close();
        assertThat(status.toString(StandardCharsets.UTF_8)).endsWith("\033[K\033[?7h" + System.lineSeparator());
        status.reset();
        progress.line("done");
        progress.close();
        assertThat(status.toString(StandardCharsets.UTF_8)).isEqualTo("\r\033[K");
    }

    @Test
    void colorsAndFineLinesOnlyWhereTheyCanBeShown() {
        progress(true, true, StandardCharsets.UTF_8).stage("a", 1);
        assertThat(status.toString(StandardCharsets.UTF_8)).contains("\033[36m", "─");
        status.reset();
        progress(true, false, StandardCharsets.US_ASCII).stage("a", 1);
        assertThat(status.toString(StandardCharsets.UTF_8))
                .contains("-".repeat(24))
                .doesNotContain("[36m", "??");
    }

    @Test
    void aResumedStageCountsItsOwnSpeed() {
        try (Progress progress = progress(false, false, StandardCharsets.UTF_8)) {
            progress.stage("Pre-training", 1000, 900);
            nanos += 2_000_000_000L;
            progress.update(910, 0, "");
        }
        assertThat(lines())
                .containsExactly(
                        "Pre-training: 1,000 steps, 900 of them done",
                        "Pre-training  910/1,000  0:18 left",
                        "Pre-training  910 of 1,000 in 0:02  (resumed at 900)");
    }

    @Test
    void textCannotBreakTheLine() {
        try (Progress progress = progress(false, false, StandardCharsets.UTF_8)) {
            progress.stage("a", 2);
            nanos += 2_000_000_000L;
            progress.update(1, 0, "x\n\033[2Jy");
        }
        assertThat(lines()).anyMatch(line -> line.contains("x  [2Jy"));
    }

    @ParameterizedTest
    @CsvSource({"0,0:00", "59.6,1:00", "61,1:01", "3599.4,59:59", "3600,1:00:00", "90061,25:01:01"})
    void times(double seconds, String expected) {
        assertThat(Progress.time(seconds)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"3.4,3", "950,950", "999.6,1.0k", "9500,9.5k", "99960,100k", "210000,210k", "1234567,1.2M", "5e12,5000G"
    })
    void compactNumbers(double value, String expected) {
        assertThat(Progress.compact(value)).isEqualTo(expected);
    }

    @Test
    void tableColumnsAreAligned() {
        var table = new TextTable(
                TextTable.Column.left("round", 6), TextTable.Column.right("accuracy", 4), TextTable.Column.left("", 0));
        assertThat(List.of(table.header(), table.rule(), table.row("base", "47.1 %", "ß"), table.row("1", "8 %", "")))
                .containsExactly("round   accuracy", "------  --------", "base      47.1 %  ß", "1            8 %");
    }

    private Progress progress(boolean live, boolean color, Charset charset) {
        return new Progress(
                new PrintStream(results, true, StandardCharsets.UTF_8),
                new PrintStream(status, true, charset),
                live,
                color,
                () -> nanos);
    }

    private List<String> lines() {
        return status.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private int draws() {
        return status.toString(StandardCharsets.UTF_8).split("\033\\[\\?7l", -1).length - 1;
    }
}
