package dev.isthmus.rl.offline;

import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A prompt with the steps of a solution, each right or wrong.
 *
 * @param places of the tokens that end the steps
 * @param labels 1 for a right step, 0 for a wrong one
 */
record StepwiseExample(int[] tokens, int[] places, int[] labels) {
    /**
     * Makes the example of a row {@code {"prompt", "completions", "labels"}}; none if no step ends within {@code length}.
     *
     * @param separator what stands behind every step; its last token is where the model judges
     */
    static Function<Row, List<StepwiseExample>> reader(
            RowEncoder encoder, int length, String separator, boolean lastStepOnly) {
        return row -> {
            List<String> steps = row.strings("completions");
            boolean[] right = row.bools("labels");
            if (steps.size() != right.length) {
                throw row.wrong("\"completions\" has " + steps.size() + " steps and \"labels\" " + right.length);
            }
            IntStream.Builder tokens = IntStream.builder();
            int n = add(tokens, encoder.prompt(row, "prompt"));
            List<Integer> places = new ArrayList<>();
            List<Integer> labels = new ArrayList<>();
            for (int i = 0; i < right.length; i++) {
                n += add(tokens, encoder.plain(row, "completions[" + i + "]", steps.get(i)));
                n += add(tokens, encoder.plain(row, "step_separator", separator));
                if (n <= length && (!lastStepOnly || i == right.length - 1)) {
                    places.add(n - 1);
                    labels.add(right[i] ? 1 : 0);
                }
            }
            int[] all = tokens.build().toArray();
            return places.isEmpty()
                    ? List.of()
                    : List.of(new StepwiseExample(
                            Arrays.copyOf(all, Math.min(length, all.length)),
                            places.stream().mapToInt(p -> p).toArray(),
                            labels.stream().mapToInt(l -> l).toArray()));
        };
    }

    private static int add(IntStream.Builder tokens, int[] more) {
        IntStream.of(more).forEach(tokens);
        return more.length;
    }
}
