package dev.isthmus.rl.task;

import dev.isthmus.tensor.Rng;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * List sorting: {@code 7 3 12 3:} is answered by {@code 3 3 7 12}.
 *
 * <p>The order in which the numbers are given does not make a new problem.
 *
 * @param length how many numbers there are
 * @param maxValue the largest number; the smallest is 0
 */
public record ListSorting(Range length, int maxValue) implements Task {
    public ListSorting {
        length.within(1, 64, "list_sorting: length");
        Range.of(maxValue).within(0, 9999, "list_sorting: max_value");
    }

    @Override
    public String name() {
        return "list_sorting(length=" + length + ", max_value=" + maxValue + ")";
    }

    @Override
    public String alphabet() {
        return "0123456789 :";
    }

    @Override
    public int maxPromptLength() {
        return maxCompletionLength() + 1;
    }

    @Override
    public int maxCompletionLength() {
        return length.high() * (String.valueOf(maxValue).length() + 1) - 1;
    }

    @Override
    public Problem draw(Rng rng) {
        return problem(IntStream.generate(() -> rng.nextInt(maxValue + 1))
                .limit(length.draw(rng))
                .toArray());
    }

    /** The problem of sorting these numbers. */
    public Problem problem(int... numbers) {
        String sorted = text(Arrays.stream(numbers).sorted());
        return new Problem(sorted, text(Arrays.stream(numbers)) + ":", sorted, sorted, Map.of());
    }

    @Override
    public Verdict verify(Problem problem, String completion) {
        if (completion.equals(problem.answer())) {
            return Verdict.right(completion);
        }
        return Arrays.stream(completion.split(" ", -1)).allMatch(Numbers::isWhole)
                ? Verdict.wrong(completion, "not the sorted list")
                : Verdict.malformed("not a list of numbers");
    }

    private static String text(IntStream numbers) {
        return numbers.mapToObj(String::valueOf).collect(Collectors.joining(" "));
    }
}
