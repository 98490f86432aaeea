package dev.isthmus.rl.task;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;

/**
 * Reads the puzzles of the game of 24 with what people made of them: the table of Yao et al. 2023 (Tree of Thoughts),
 * collected at 4nums.com.
 *
 * <p>The file has a header and the columns {@code Rank,Puzzles,AMT (s),Solved rate,...}; a line reads
 * {@code 1,1 1 4 6,4.4,99.20%,...}. The problems get the columns {@code rank}, {@code human_seconds} and
 * {@code human_solved_rate} (0 to 1).
 */
public final class Game24File {
    private static final long MAX_BYTES = 16 << 20;

    private Game24File() {}

    /**
     * The puzzles in the order of the file.
     *
     * @throws IsthmusException if the file cannot be read or a line is not such a puzzle; it names file and line
     */
    public static List<Problem> read(Path file, Countdown task) {
        List<String> lines;
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new IsthmusException(file + " is no table of puzzles: it has " + Files.size(file) + " bytes.");
            }
            lines = Files.readAllLines(file);
        } catch (IOException e) {
            throw new IsthmusException("Cannot read the puzzles of " + file + ": " + e + ".", e);
        }
        if (lines.isEmpty() || !lines.get(0).startsWith("Rank,Puzzles,AMT (s),Solved rate")) {
            throw new IsthmusException(file + ":1: the header should begin with 'Rank,Puzzles,AMT (s),Solved rate'.");
        }
        var problems = new ArrayList<Problem>();
        var keys = new HashSet<String>();
        for (int i = 1; i < lines.size(); i++) {
            String where = file + ":" + (i + 1) + ": ";
            Problem problem = problem(lines.get(i), task, where);
            if (!keys.add(problem.key())) {
                throw new IsthmusException(where + "the puzzle " + problem.key() + " stands there twice.");
            }
            problems.add(problem);
        }
        return problems;
    }

    private static Problem problem(String line, Countdown task, String where) {
        String[] fields = line.split(",", -1);
        try {
            var numbers =
                    Arrays.stream(fields[1].split(" ")).map(Integer::valueOf).toList();
            if (!fields[3].endsWith("%")
                    || numbers.size() != 4
                    || !numbers.stream().allMatch(Range.of(1, 100)::contains)) {
                throw new IllegalArgumentException(line);
            }
            double percent = Double.parseDouble(fields[3].substring(0, fields[3].length() - 1));
            return task.problem(numbers, 24)
                    .orElseThrow(() -> new IsthmusException(where + fields[1] + " cannot make 24."))
                    .with("rank", Integer.valueOf(fields[0]))
                    .with("human_seconds", Double.valueOf(fields[2]))
                    .with("human_solved_rate", percent / 100);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
            throw new IsthmusException(
                    where + "expected a line like '1,1 1 4 6,4.4,99.20%', found '" + shown(line) + "'.", e);
        }
    }

    private static String shown(String line) {
        return line.length() <= 60 ? line : line.substring(0, 60) + "...";
    }
}
