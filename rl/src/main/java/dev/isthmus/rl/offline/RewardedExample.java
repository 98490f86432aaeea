package dev.isthmus.rl.offline;

import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.Truncation;
import java.util.List;
import java.util.function.Function;

/**
 * A prompt with a completion and what it was worth.
 *
 * @param sequence of which the completion is learned
 * @param reward that came with its last token
 */
record RewardedExample(Sequence sequence, double reward) {
    /** Makes the example of a row {@code {"prompt", "completion", "reward"}}; none if nothing of the completion is left. */
    static Function<Row, List<RewardedExample>> reader(RowEncoder encoder, int length, Truncation truncation) {
        return row -> {
            row.field("reward");
            double reward = row.number("reward", 0);
            Sequence sequence =
                    PairExample.sequence(encoder.promptCompletion(row, "prompt", "completion"), length, truncation);
            return sequence.learned().length == 0 ? List.of() : List.of(new RewardedExample(sequence, reward));
        };
    }

    int tokens() {
        return sequence.tokens().length;
    }
}
