package dev.isthmus.train.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * How sequences are put together to rows of the same length: TRL's {@code packing_strategy}.
 *
 * <p>Sequences of one row do not see each other, and each has positions of its own; so what is computed for them is what is computed
 * for them alone, bit for bit.
 */
public enum Packing {
    /** Best fit, the longest first, of examples that were cut where they are too long (Ding et al. 2024, without their splitting). */
    BFD,
    /** The same of examples that were split where they are too long, so that nothing is lost (Ding et al. 2024, section 3). */
    BFD_SPLIT,
    /** All sequences one after another, cut every so many tokens wherever that is; here a row is read as one sequence. */
    WRAPPED;

    /** A part of an example: tokens {@code from} to {@code to - 1}. */
    public record Piece(int example, int from, int to) {
        int length() {
            return to - from;
        }
    }

    /**
     * Rows of at most {@code capacity} tokens of sequences of {@code lengths}; these are at most {@code capacity} themselves, unless
     * they may be cut anywhere.
     */
    public List<List<Piece>> pack(int[] lengths, int capacity) {
        return this == WRAPPED ? wrapped(lengths, capacity) : bestFit(lengths, capacity);
    }

    private static List<List<Piece>> bestFit(int[] lengths, int capacity) {
        List<Piece> longestFirst = IntStream.range(0, lengths.length)
                .mapToObj(i -> new Piece(i, 0, lengths[i]))
                .sorted(Comparator.comparingInt(Piece::length).reversed())
                .toList();
        List<List<Piece>> rows = new ArrayList<>();
        // The rows by the room that is left in them.
        TreeMap<Integer, List<List<Piece>>> byRoom = new TreeMap<>();
        for (Piece piece : longestFirst) {
            Map.Entry<Integer, List<List<Piece>>> fitting = byRoom.ceilingEntry(piece.length());
            int room = fitting == null ? capacity : fitting.getKey();
            List<Piece> row;
            if (fitting == null) {
                row = new ArrayList<>();
                rows.add(row);
            } else {
                row = fitting.getValue().removeLast();
                if (fitting.getValue().isEmpty()) {
                    byRoom.remove(room);
                }
            }
            row.add(piece);
            byRoom.computeIfAbsent(room - piece.length(), _ -> new ArrayList<>())
                    .add(row);
        }
        return rows;
    }

    private static List<List<Piece>> wrapped(int[] lengths, int capacity) {
        List<List<Piece>> rows = new ArrayList<>();
        List<Piece> row = new ArrayList<>();
        int room = capacity;
        for (int i = 0; i < lengths.length; i++) {
            int from = 0;
            while (from < lengths[i]) {
                int to = Math.min(lengths[i], from + room);
                row.add(new Piece(i, from, to));
                room -= to - from;
                from = to;
                if (room == 0) {
                    rows.add(row);
                    row = new ArrayList<>();
                    room = capacity;
                }
            }
        }
        if (!row.isEmpty()) {
            rows.add(row);
        }
        return rows;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
