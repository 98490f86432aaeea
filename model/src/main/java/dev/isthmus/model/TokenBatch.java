package dev.isthmus.model;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of several sequences, one after another without padding.
 *
 * @param ids {@code [N]} int32
 * @param positions {@code [N]} int32, each token's place in its sequence
 * @param ragged where the sequences start
 * @param sharing where sequences that begin alike find their tokens; null where each has tokens of its own
 * @param adapters for each sequence the index of the {@linkplain Decoder#adapters() adapter} that changes the model for it, negative
 *     for none; null if all adapters act on all sequences
 */
public record TokenBatch(
        Tensor ids,
        Tensor positions,
        Ragged ragged,
        @Nullable Sharing sharing,
        int @Nullable [] adapters) {
    /** Attention reads and writes whole sequences; below this share of tokens saved, copying for it costs more than it saves. */
    private static final double WORTH_SHARING = 0.15;

    /**
     * Sequences some of whose tokens are the same tokens.
     *
     * @param tokens {@code [R]} int32: for every row of every sequence, which of the {@code N} tokens it is
     * @param rows {@code [N]} int32: for every token, the row of the first sequence that has it
     */
    public record Sharing(Tensor tokens, Tensor rows) {}

    public TokenBatch {
        if (adapters != null && (adapters.length != ragged.count() || sharing != null)) {
            throw new IsthmusException(adapters.length + " adapters for " + ragged.count() + " sequences"
                    + (sharing == null ? "" : " that share tokens; make a batch of whole sequences"));
        }
    }

    /** Sequences that share nothing, on which all adapters act. */
    public TokenBatch(Tensor ids, Tensor positions, Ragged ragged) {
        this(ids, positions, ragged, null, null);
    }

    /** The same with one adapter for each sequence. */
    public TokenBatch withAdapters(int... picked) {
        return new TokenBatch(ids, positions, ragged, sharing, picked);
    }

    /** A batch of whole sequences, in the current scope. */
    public static TokenBatch of(List<int[]> sequences) {
        return of(sequences, new int[sequences.size()]);
    }

    /**
     * A batch of whole sequences, in the current scope, in which neighbours that begin with the same tokens share them: everything but
     * attention computes them once. The numbers that come out are the same bits.
     *
     * @param prefixes the number of first tokens of each sequence that it may share with the one before it
     */
    public static TokenBatch of(List<int[]> sequences, int[] prefixes) {
        int[] starts = new int[sequences.size() + 1];
        int[] shared = new int[sequences.size()];
        int saved = 0;
        for (int s = 0; s < sequences.size(); s++) {
            int[] sequence = sequences.get(s);
            starts[s + 1] = Math.addExact(starts[s], sequence.length);
            int prefix = prefixes[s];
            if (s > 0 && prefix > 0 && beginsAlike(sequences.get(s - 1), sequence, prefix)) {
                shared[s] = prefix;
                saved += prefix;
            }
        }
        int all = starts[sequences.size()];
        if (saved < WORTH_SHARING * all) {
            Arrays.fill(shared, 0);
            saved = 0;
        }
        int[] ids = new int[all - saved];
        int[] positions = new int[all - saved];
        int[] tokens = new int[all];
        int[] rows = new int[all - saved];
        int n = 0;
        for (int s = 0; s < sequences.size(); s++) {
            int[] sequence = sequences.get(s);
            if (shared[s] > 0) {
                System.arraycopy(tokens, starts[s - 1], tokens, starts[s], shared[s]);
            }
            for (int t = shared[s]; t < sequence.length; t++, n++) {
                ids[n] = sequence[t];
                positions[n] = t;
                rows[n] = starts[s] + t;
                tokens[starts[s] + t] = n;
            }
        }
        Sharing sharing = saved == 0 ? null : new Sharing(Tensor.of(tokens, all), Tensor.of(rows, n));
        return new TokenBatch(Tensor.of(ids, n), Tensor.of(positions, n), new Ragged(starts), sharing, null);
    }

    private static boolean beginsAlike(int[] a, int[] b, int prefix) {
        return a.length >= prefix && b.length >= prefix && Arrays.equals(a, 0, prefix, b, 0, prefix);
    }

    /** The number of tokens, those that several sequences share counted once. */
    public int tokens() {
        return (int) ids.count();
    }

    /**
     * For rows of the sequences one after another, which token each is.
     *
     * @param rows of {@link #ragged}
     * @return {@code [rows]} int32
     */
    public Tensor tokensAt(int[] rows) {
        Tensor index = Tensor.of(rows, rows.length);
        return sharing == null ? index : sharing.tokens.gather(0, index);
    }

    /** What each token takes from those before it in its sequence, {@code [N, heads headDim]}, by {@code qkv [N, (heads + 2 kvHeads) headDim]}. */
    Tensor attend(Tensor qkv, Heads heads) {
        if (sharing == null) {
            return Functional.attention(qkv, ragged, heads);
        }
        Tensor whole = Functional.embedding(qkv, sharing.tokens);
        return Functional.embedding(Functional.attention(whole, ragged, heads), sharing.rows);
    }
}
