package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The examples of files, of which every row was read once and found right. Those of small files stay in memory; of others a row is
 * read again when it is asked for, and memory holds thirty bytes a row.
 *
 * @param <T> an example
 */
public final class Dataset<T> {
    /** Tokens that are kept in memory at most. */
    private static final long MAX_CACHED_TOKENS = 1L << 26;

    private final List<JsonLinesFile> files;
    private final Function<Row, List<T>> encoder;
    private final @Nullable List<T> cached;
    /** The file, the row in it, and which of the row's examples each is. */
    private final int[] places;

    private final int[] lengths;
    private final int[] sizes;
    private final int leftOut;

    private Dataset(
            List<JsonLinesFile> files,
            Function<Row, List<T>> encoder,
            @Nullable List<T> cached,
            int[] places,
            int[] lengths,
            int[] sizes,
            int leftOut) {
        this.files = files;
        this.encoder = encoder;
        this.cached = cached;
        this.places = places;
        this.lengths = lengths;
        this.sizes = sizes;
        this.leftOut = leftOut;
    }

    /**
     * Reads all rows of files.
     *
     * @param names of the files, separated by commas
     * @param encoder makes the examples of a row, none if there is nothing to learn from it
     * @param tokens the number of tokens of an example
     * @throws IsthmusException that names file, line and field if a row is wrong, or if nothing is left
     */
    public static <T> Dataset<T> read(String names, Function<Row, List<T>> encoder, ToIntFunction<T> tokens) {
        return read(names, encoder, tokens, MAX_CACHED_TOKENS);
    }

    static <T> Dataset<T> read(
            String names, Function<Row, List<T>> encoder, ToIntFunction<T> tokens, long maxCachedTokens) {
        List<JsonLinesFile> files = Arrays.stream(names.split(","))
                .map(String::strip)
                .map(JsonLinesFile::new)
                .toList();
        List<T> cache = new ArrayList<>();
        boolean fits = true;
        long total = 0;
        int[] lengths = new int[1024];
        int[] places = new int[3 * lengths.length];
        int[] sizes = new int[files.size()];
        int n = 0;
        int leftOut = 0;
        for (int f = 0; f < files.size(); f++) {
            JsonLinesFile file = files.get(f);
            for (int r = 0; r < file.rows(); r++) {
                List<T> examples = encoder.apply(file.row(r));
                leftOut += examples.isEmpty() ? 1 : 0;
                for (int e = 0; e < examples.size(); e++, n++) {
                    if (n == lengths.length) {
                        lengths = Arrays.copyOf(lengths, 2 * n);
                        places = Arrays.copyOf(places, 6 * n);
                    }
                    places[3 * n] = f;
                    places[3 * n + 1] = r;
                    places[3 * n + 2] = e;
                    lengths[n] = tokens.applyAsInt(examples.get(e));
                    total += lengths[n];
                    if (fits && total <= maxCachedTokens) {
                        cache.add(examples.get(e));
                    } else {
                        fits = false;
                        cache.clear();
                    }
                }
                sizes[f] += examples.size();
            }
        }
        if (n == 0) {
            throw new IsthmusException(
                    names + " has nothing to learn: all rows are too long for the model or for max_length");
        }
        return new Dataset<>(
                files,
                encoder,
                fits ? List.copyOf(cache) : null,
                fits ? new int[0] : Arrays.copyOf(places, 3 * n),
                Arrays.copyOf(lengths, n),
                sizes,
                leftOut);
    }

    /** The number of examples. */
    public int size() {
        return lengths.length;
    }

    /** An example, counted from 0. */
    public T get(int index) {
        if (cached != null) {
            return cached.get(index);
        }
        Row row = files.get(places[3 * index]).row(places[3 * index + 1]);
        return encoder.apply(row).get(places[3 * index + 2]);
    }

    /** The tokens of each example. */
    public int[] lengths() {
        return lengths.clone();
    }

    /** The number of examples of each file. */
    public int[] sizes() {
        return sizes.clone();
    }

    /** Tells whether the files are still the same. */
    public String id() {
        return files.stream().map(JsonLinesFile::crc32c).collect(Collectors.joining());
    }

    /** How much there is, for people. */
    public String description() {
        return counted(size(), "example", "examples")
                + (leftOut > 0 ? "; " + counted(leftOut, "row", "rows") + " left out as too long" : "");
    }

    private static String counted(int n, String one, String many) {
        return String.format(Locale.ROOT, "%,d %s", n, n == 1 ? one : many);
    }
}
