package dev.isthmus.model.generate;

import dev.isthmus.model.tokenizer.DecodeStream;
import dev.isthmus.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.function.Consumer;

/**
 * The text of a completion as its tokens arrive: whole characters only, and nothing that may still turn out to be the beginning of a stop
 * string. It ends before the first stop string.
 */
public final class TextStream {
    private final DecodeStream decoder;
    private final List<String> stops;
    private final Consumer<String> reader;
    private final StringBuilder held = new StringBuilder();
    private final StringBuilder text = new StringBuilder();
    private boolean stopped;

    /**
     * @param prompt what stands before; a token may look different at the beginning of a text
     * @param stops strings that end the text
     * @param reader given the text piece by piece
     */
    public TextStream(Tokenizer tokenizer, int[] prompt, List<String> stops, Consumer<String> reader) {
        decoder = new DecodeStream(tokenizer, true);
        this.stops = stops.stream().filter(stop -> !stop.isEmpty()).toList();
        this.reader = reader;
        for (int token : prompt) {
            decoder.step(token);
        }
    }

    /** Reads one more token, and returns whether the text has come to a stop string. */
    public boolean put(int token) {
        if (!stopped) {
            held.append(decoder.step(token));
            cut();
            give(stopped ? held.length() : held.length() - undecided());
        }
        return stopped;
    }

    /** Gives out what was held back, as no more tokens come. */
    public void finish() {
        if (!stopped) {
            held.append(decoder.finish());
            cut();
            give(held.length());
        }
    }

    /** All that was given out. */
    public String text() {
        return text.toString();
    }

    /** Whether a stop string was reached. */
    public boolean stopped() {
        return stopped;
    }

    private void cut() {
        int first =
                stops.stream().mapToInt(held::indexOf).filter(i -> i >= 0).min().orElse(-1);
        if (first >= 0) {
            held.setLength(first);
            stopped = true;
        }
    }

    /** The length of the longest end of the held text with which a stop string begins. */
    private int undecided() {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
                if (stop.startsWith(held.substring(held.length() - n))) {
                    longest = n;
                }
            }
        }
        return longest;
    }

    private void give(int length) {
        if (length > 0) {
            String piece = held.substring(0, length);
            held.delete(0, length);
            text.append(piece);
            reader.accept(piece);
        }
    }
}
