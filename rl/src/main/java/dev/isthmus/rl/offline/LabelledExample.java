package dev.isthmus.rl.offline;

import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.Truncation;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A prompt with a completion that is good or bad by itself.
 *
 * @param sequence of which the completion is learned
 * @param good its label
 */
record LabelledExample(Sequence sequence, boolean good) {
    /** Makes the example of a row {@code {"prompt", "completion", "label"}}; none if nothing of the completion is left. */
    static Function<Row, List<LabelledExample>> reader(RowEncoder encoder, int length, Truncation truncation) {
        return row -> {
            boolean good = row.bool("label");
            Sequence sequence =
                    PairExample.sequence(encoder.promptCompletion(row, "prompt", "completion"), length, truncation);
            return sequence.learned().length == 0 ? List.of() : List.of(new LabelledExample(sequence, good));
        };
    }

    /** Both sides of a pair. */
    static Stream<LabelledExample> of(PairExample pair) {
        return Stream.of(new LabelledExample(pair.chosen(), true), new LabelledExample(pair.rejected(), false));
    }

    int tokens() {
        return sequence.tokens().length;
    }
}
