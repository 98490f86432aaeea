package dev.isthmus.train.supervised;

import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Example;
import dev.isthmus.train.Sequence;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Windows of a text at random places; every token but the first of a window is learned. */
final class TextWindows implements SequenceSource {
    /** The share of a text that is learned from, where nothing else is held out. */
    static final double TRAIN_SHARE = 0.9;

    private static final int VALIDATION_WINDOWS = 64;

    private final int[] train;
    private final int[] held;
    private final int length;
    private final Rng rng;
    private final String id;
    private final List<Example> validation;

    /**
     * Windows in which a model reads {@code length} tokens.
     *
     * @param held the text to hold out; null for the last tenth of {@code data}
     * @throws IsthmusException if there are fewer tokens than that to learn from
     */
    TextWindows(DataFile data, @Nullable DataFile held, Tokenizer tokenizer, int length, Rng rng) {
        int[] tokens = encode(data, tokenizer);
        int split = held == null ? (int) (TRAIN_SHARE * tokens.length) : tokens.length;
        train = Arrays.copyOf(tokens, split);
        this.held = held == null ? Arrays.copyOfRange(tokens, split, tokens.length) : encode(held, tokenizer);
        this.length = length;
        this.rng = rng;
        id = held == null ? data.crc32c() : data.crc32c() + held.crc32c();
        if (train.length <= length) {
            throw new IsthmusException(
                    data.name() + " has " + train.length + " tokens to learn from; a window of max_length " + length
                            + " needs " + (length + 1) + ". Choose a longer text or a smaller max_length");
        }
        validation = validation();
    }

    private static int[] encode(DataFile data, Tokenizer tokenizer) {
        try {
            return tokenizer.encode(data.text());
        } catch (IsthmusException e) {
            throw new IsthmusException(data.name() + ": " + e.getMessage(), e);
        }
    }

    /** The window at {@code start} in which a model reads {@code length} tokens. */
    static Example window(int[] tokens, int start, int length) {
        return new Example(Arrays.copyOfRange(tokens, start, start + length + 1), 1);
    }

    @Override
    public List<Sequence> row(long place) {
        return List.of(Sequence.of(example(place)));
    }

    /** The window at a place of the run. */
    Example example(long place) {
        return window(train, rng.split("window", place).nextInt(train.length - length), length);
    }

    @Override
    public long epoch() {
        return Math.ceilDiv(train.length, length);
    }

    /** As many windows as fit side by side, or {@value #VALIDATION_WINDOWS} of them at equal distances. */
    List<Example> validation() {
        int size = Math.min(length, held.length - 1);
        if (size < 1) {
            return List.of();
        }
        int count = Math.min(VALIDATION_WINDOWS, held.length / (size + 1));
        long room = held.length - size - 1;
        return IntStream.range(0, count)
                .mapToObj(i -> window(held, count == 1 ? 0 : (int) (i * room / (count - 1)), size))
                .toList();
    }

    @Override
    public int heldOut() {
        return validation.size();
    }

    @Override
    public List<Sequence> heldOut(int index) {
        return List.of(Sequence.of(validation.get(index)));
    }

    @Override
    public String id() {
        return id;
    }

    @Override
    public String description() {
        return String.format(Locale.ROOT, "%,d tokens of text to learn from, %,d held out", train.length, held.length);
    }
}
