package dev.isthmus.rl.offline;

import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.PreferenceRows;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.RowEncoder.Prompted;
import dev.isthmus.train.data.Truncation;
import java.util.List;
import java.util.function.Function;

/**
 * A prompt with a better and a worse completion, of which the completions are learned.
 *
 * @param margin by how much the chosen one is better: the field {@code margin}; 0 if there is none
 */
record PairExample(Sequence chosen, Sequence rejected, double margin) {
    /** Makes the pair of a row; none if of a completion nothing is left within {@code length}. */
    static Function<Row, List<PairExample>> reader(RowEncoder encoder, int length, Truncation truncation) {
        return row -> {
            PreferenceRows.Pair pair = PreferenceRows.read(row, encoder);
            Sequence chosen = sequence(pair.chosen(), length, truncation);
            Sequence rejected = sequence(pair.rejected(), length, truncation);
            return chosen.learned().length == 0 || rejected.learned().length == 0
                    ? List.of()
                    : List.of(new PairExample(chosen, rejected, row.number("margin", 0)));
        };
    }

    /** At most {@code length} tokens of a prompt and its completion. */
    static Sequence sequence(Prompted prompted, int length, Truncation truncation) {
        int from = truncation.from(prompted.tokens().length, length);
        return Sequence.of(truncation.cut(prompted.tokens(), length), Math.max(1, prompted.length() - from));
    }

    int tokens() {
        return chosen.tokens().length + rejected.tokens().length;
    }
}
