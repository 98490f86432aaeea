package dev.isthmus.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.rl.task.Countdown.Format;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Fixtures;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class Game24FileTests {
    private static final String HEADER = "Rank,Puzzles,AMT (s),Solved rate,1-sigma Mean (s),1-sigma STD (s)\n";

    @TempDir
    Path directory;

    private final Countdown task = Countdown.game24(Format.STEPS);

    @ParameterizedTest
    @EnumSource(Format.class)
    @Tag("fixture")
    void theRealPuzzlesAreAllSolvedAndAreAllThereAre(Format format) {
        var game = Countdown.game24(format);
        var problems = Game24File.read(Fixtures.data("env/game24.csv"), game);
        assertThat(problems).hasSize(1362);
        var keys = new HashSet<String>();
        for (Problem problem : problems) {
            keys.add(problem.key());
            assertThat(game.verify(problem, problem.demonstration()).reason()).isEmpty();
            assertThat(game.split(problem)).isEqualTo(Split.TEST);
            assertThat(problem.prompt()).hasSizeLessThanOrEqualTo(game.maxPromptLength());
            assertThat(problem.demonstration()).hasSizeLessThanOrEqualTo(game.maxCompletionLength());
            assertThat((double) problem.columns().get("human_solved_rate")).isBetween(0.0, 1.0);
        }
        var generated = new HashSet<String>();
        game.heldOut(1362).forEach(p -> generated.add(p.key()));
        assertThat(generated).isEqualTo(keys);
        assertThat(problems.get(0).columns())
                .containsEntry("rank", 1)
                .containsEntry("human_seconds", 4.4)
                .containsEntry("human_solved_rate", 0.992);
    }

    @Test
    void aTableIsRead() throws IOException {
        var problems = Game24File.read(file(HEADER + "1,1 1 4 6,4.4,99.20%,4.67,1.48\n2,8 3 8 3,4.41,50%"), task);
        assertThat(problems).extracting(Problem::prompt).containsExactly("1 1 4 6=24:", "3 3 8 8=24:");
        assertThat(problems.get(1).columns())
                .containsEntry("human_solved_rate", 0.5)
                .containsEntry("rank", 2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "1,1 1 4 6,4.4,99.20%;2,1 1 1,4.4,99%     | :3: expected a line like",
                "1,1 1 4,4.4,99%                          | :2: expected a line like",
                "1,1 1 4 x,4.4,99%                        | :2: expected a line like",
                "1,1 1 4 6,4.4,99                         | :2: expected a line like",
                "1,1 1 4 6,fast,99%                       | :2: expected a line like",
                "one,1 1 4 6,4.4,99%                      | :2: expected a line like",
                "1,1 1 4 6                                | :2: expected a line like",
                "1,1 1 4 6,4.4,99%;;                      | :3: expected a line like",
                "1,1 1 1 1,4.4,99%                        | :2: 1 1 1 1 cannot make 24",
                "1,1 1 4 600,4.4,99%                      | :2: expected a line like",
                "1,1 1 4 6,4.4,99%;2,6 4 1 1,4.4,99%      | :3: the puzzle 1 1 4 6=24 stands there twice"
            })
    void errorsNameFileAndLine(String lines, String message) throws IOException {
        Path file = file(HEADER + lines.replace(';', '\n'));
        assertThatThrownBy(() -> Game24File.read(file, task))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(message)
                .hasMessageContaining(file + ":");
    }

    @Test
    void whatIsNoTableIsRefused() throws IOException {
        assertThatThrownBy(() -> Game24File.read(directory.resolve("absent.csv"), task))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("absent.csv");
        Path empty = file("");
        assertThatThrownBy(() -> Game24File.read(empty, task)).hasMessageContaining(":1: the header should begin with");
        Path binary = directory.resolve("binary.csv");
        Files.write(binary, new byte[] {(byte) 0xff, (byte) 0xfe, 0});
        assertThatThrownBy(() -> Game24File.read(binary, task))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("binary.csv");
        assertThatThrownBy(() -> Game24File.read(directory, task)).isInstanceOf(IsthmusException.class);
    }

    private Path file(String text) throws IOException {
        return Files.writeString(directory.resolve("puzzles.csv"), text, StandardCharsets.UTF_8);
    }
}
