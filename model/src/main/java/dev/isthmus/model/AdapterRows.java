package dev.isthmus.model;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which adapter changes which row of a batch.
 *
 * @param adapters for each row the index of its adapter; negative for none
 */
record AdapterRows(int[] adapters) {
    /** What becomes of the rows of one adapter. */
    interface Change {
        Tensor apply(int adapter, Tensor x, Tensor y);
    }

    /** These for the rows of other ones, which are picked in an order of their own. */
    AdapterRows select(int[] rows) {
        return new AdapterRows(Arrays.stream(rows).map(row -> adapters[row]).toArray());
    }

    /** {@code y [N, out]} with its rows changed by their adapters, each given its rows of {@code x [N, in]}. */
    Tensor apply(Tensor x, Tensor y, Change change) {
        int[] present = Arrays.stream(adapters).distinct().sorted().toArray();
        if (present.length == 1) {
            return change.apply(present[0], x, y);
        }
        List<Tensor> parts = new ArrayList<>();
        int[] place = new int[adapters.length];
        int done = 0;
        for (int adapter : present) {
            int[] rows = IntStream.range(0, adapters.length)
                    .filter(i -> adapters[i] == adapter)
                    .toArray();
            for (int row : rows) {
                place[row] = done++;
            }
            Tensor index = Tensor.of(rows, rows.length);
            parts.add(change.apply(adapter, Functional.embedding(x, index), Functional.embedding(y, index)));
        }
        return Functional.embedding(Tensor.cat(0, parts.toArray(Tensor[]::new)), Tensor.of(place, place.length));
    }
}
