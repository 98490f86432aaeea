package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Epochs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Files each in an order of its own, anew each epoch of it, mixed by given shares. */
final class MixedOrder implements DataOrder {
    /** In every so many places each file has its share. */
    private static final int BLOCK = 1024;

    private final List<Epochs> epochs = new ArrayList<>();
    private final int[] first;
    private final double[] cumulative;
    private final Rng rng;

    MixedOrder(int[] sizes, List<Double> shares, Rng rng) {
        this.rng = rng;
        double sum = shares.stream().mapToDouble(s -> s).sum();
        if (shares.size() != sizes.length
                || shares.stream().anyMatch(s -> !(s > 0))
                || !(sum < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException("data_probabilities must be one positive number for each of the " + sizes.length
                    + " files of data, found " + shares);
        }
        first = new int[sizes.length];
        cumulative = new double[sizes.length + 1];
        for (int f = 0; f < sizes.length; f++) {
            epochs.add(new Epochs(sizes[f], rng.split("file", f)));
            first[f] = f == 0 ? 0 : first[f - 1] + sizes[f - 1];
            cumulative[f + 1] = cumulative[f] + shares.get(f) / sum;
        }
        cumulative[sizes.length] = 1;
    }

    @Override
    public int at(long place) {
        long block = place / BLOCK;
        int[] files = new int[BLOCK];
        long[] before = new long[epochs.size()];
        int n = 0;
        for (int f = 0; f < before.length; f++) {
            before[f] = taken(f, block);
            for (long end = n + taken(f, block + 1) - before[f]; n < end; n++) {
                files[n] = f;
            }
        }
        rng.split("mix", block).shuffle(files);
        int here = (int) (place % BLOCK);
        int file = files[here];
        long earlier = Arrays.stream(files, 0, here).filter(f -> f == file).count();
        return first[file] + epochs.get(file).at(before[file] + earlier);
    }

    /** How many examples of a file the first {@code blocks} have; those of all files together are the places. */
    private long taken(int file, long blocks) {
        double places = (double) blocks * BLOCK;
        return Math.round(places * cumulative[file + 1]) - Math.round(places * cumulative[file]);
    }
}
