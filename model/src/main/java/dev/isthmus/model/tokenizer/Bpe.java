package dev.isthmus.model.tokenizer;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Byte-pair encoding (Sennrich et al. 2016): a piece is taken apart into characters; then again and again the pair of
 * neighbors that was learned first is joined, the leftmost one first among equals.
 */
final class Bpe implements TokenModel {
    private final Vocabulary vocabulary;
    private final PairTable merges;
    private final Options options;
    private final int unknown;

    /**
     * What tokenizer.json may say about a model of this type, with its names.
     *
     * @param unkToken stands for a character that is not in the vocabulary; without one it is left out
     * @param fuseUnk whether unknown characters in a row become one token
     * @param byteFallback whether an unknown character becomes the bytes of its UTF-8
     * @param ignoreMerges whether a piece that is a token is not taken apart
     */
    record Options(
            @Nullable String unkToken,
            String continuingSubwordPrefix,
            String endOfWordSuffix,
            boolean fuseUnk,
            boolean byteFallback,
            boolean ignoreMerges) {
        /** A vocabulary that covers all bytes. */
        static Options byteLevel(boolean ignoreMerges) {
            return new Options(null, "", "", false, false, ignoreMerges);
        }
    }

    /** Two tokens that are joined. */
    record Merge(String left, String right) {}

    /**
     * A model.
     *
     * @param merges in the order in which they were learned
     * @throws IllegalArgumentException if a merge names a token that is not in the vocabulary
     */
    Bpe(Vocabulary vocabulary, List<Merge> merges, Options options) {
        this.vocabulary = vocabulary;
        this.options = options;
        unknown = options.unkToken == null ? -1 : vocabulary.id(options.unkToken);
        this.merges = new PairTable(merges.size());
        int rank = 0;
        for (Merge merge : merges) {
            String joined = merge.left
                    + merge.right.substring(
                            merge.right.startsWith(options.continuingSubwordPrefix)
                                    ? options.continuingSubwordPrefix.length()
                                    : 0);
            this.merges.put(known(merge.left), known(merge.right), rank++, known(joined));
        }
    }

    /** Whether the begin and the end of a piece are spelled like the rest of it. */
    boolean joinsAlike() {
        return options.continuingSubwordPrefix.isEmpty() && options.endOfWordSuffix.isEmpty();
    }

    private int known(String token) {
        int id = vocabulary.id(token);
        if (id < 0) {
            throw new IllegalArgumentException("a merge names '" + token + "', which is not in the vocabulary");
        }
        return id;
    }

    @Override
    public void encode(String piece, IntList out) {
        if (options.ignoreMerges) {
            int whole = vocabulary.id(piece);
            if (whole >= 0) {
                out.add(whole);
                return;
            }
        }
        int[] symbols = symbols(piece);
        if (symbols.length > 1) {
            merge(symbols, out);
        } else {
            out.addAll(symbols);
        }
    }

    private int[] symbols(String piece) {
        IntList symbols = new IntList();
        boolean afterUnknown = false;
        for (int i = 0; i < piece.length(); ) {
            int end = i + Character.charCount(piece.codePointAt(i));
            String symbol = (i == 0 ? "" : options.continuingSubwordPrefix)
                    + piece.substring(i, end)
                    + (end == piece.length() ? options.endOfWordSuffix : "");
            int id = vocabulary.id(symbol);
            boolean isUnknown = false;
            if (id >= 0) {
                symbols.add(id);
            } else if (!(options.byteFallback && vocabulary.addBytes(piece.substring(i, end), symbols))) {
                isUnknown = true;
                if (unknown >= 0 && !(options.fuseUnk && afterUnknown)) {
                    symbols.add(unknown);
                }
            }
            afterUnknown = isUnknown;
            i = end;
        }
        return symbols.toArray();
    }

    /** Joins neighbors; the symbols are a linked list, and what may be joined waits in a heap by rank, then place. */
    private void merge(int[] symbols, IntList out) {
        int n = symbols.length;
        int[] next = new int[n];
        int[] previous = new int[n];
        LongHeap heap = new LongHeap();
        for (int i = 0; i < n; i++) {
            next[i] = i + 1;
            previous[i] = i - 1;
            if (i + 1 < n) {
                propose(symbols, i, i + 1, heap);
            }
        }
        while (!heap.isEmpty()) {
            long top = heap.remove();
            int left = (int) top;
            int right = symbols[left] < 0 ? n : next[left];
            // A proposal is stale once one of the two has been joined to something else.
            if (right == n) {
                continue;
            }
            long merge = merges.get(symbols[left], symbols[right]);
            if (merge < 0 || PairTable.rank(merge) != (int) (top >>> 32)) {
                continue;
            }
            symbols[left] = PairTable.joined(merge);
            symbols[right] = -1;
            next[left] = next[right];
            if (next[left] < n) {
                previous[next[left]] = left;
                propose(symbols, left, next[left], heap);
            }
            if (previous[left] >= 0) {
                propose(symbols, previous[left], left, heap);
            }
        }
        for (int i = 0; i < n; i = next[i]) {
            out.add(symbols[i]);
        }
    }

    private void propose(int[] symbols, int left, int right, LongHeap heap) {
        long merge = merges.get(symbols[left], symbols[right]);
        if (merge >= 0) {
            heap.add((long) PairTable.rank(merge) << 32 | left);
        }
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    /** From pairs of ids to a rank and the id of what they become, by open addressing: looked up for every neighbor. */
    private static final class PairTable {
        private final long[] keys;
        private final long[] values;
        private final int mask;

        PairTable(int count) {
            int capacity = Integer.highestOneBit(Math.max(8, 2 * count)) << 1;
            keys = new long[capacity];
            values = new long[capacity];
            Arrays.fill(keys, -1);
            mask = capacity - 1;
        }

        void put(int left, int right, int rank, int joined) {
            int slot = slot((long) left << 32 | right);
            if (keys[slot] < 0) {
                keys[slot] = (long) left << 32 | right;
                values[slot] = (long) rank << 32 | joined;
            }
        }

        /** A rank and an id, or -1. */
        long get(int left, int right) {
            int slot = slot((long) left << 32 | right);
            return keys[slot] < 0 ? -1 : values[slot];
        }

        static int rank(long value) {
            return (int) (value >>> 32);
        }

        static int joined(long value) {
            return (int) value;
        }

        private int slot(long key) {
            int slot = (int) (key * 0x9E3779B97F4A7C15L >>> 32) & mask;
            while (keys[slot] >= 0 && keys[slot] != key) {
                slot = slot + 1 & mask;
            }
            return slot;
        }
    }
}
