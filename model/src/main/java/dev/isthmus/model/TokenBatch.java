package dev.isthmus.model;

import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.Tensor;
import java.util.List;

/**
 * The tokens of several sequences, one after another without padding.
 *
 * @param ids {@code [N]} int32
 * @param positions {@code [N]} int32, each token's place in its sequence
 * @param ragged where the sequences start
 */
public record TokenBatch(Tensor ids, Tensor positions, Ragged ragged) {
    /** A batch of whole sequences, in the current scope. */
    public static TokenBatch of(List<int[]> sequences) {
        int[] starts = new int[sequences.size() + 1];
        for (int s = 0; s < sequences.size(); s++) {
            starts[s + 1] = Math.addExact(starts[s], sequences.get(s).length);
        }
        int[] ids = new int[starts[sequences.size()]];
        int[] positions = new int[ids.length];
        for (int s = 0; s < sequences.size(); s++) {
            int[] sequence = sequences.get(s);
            System.arraycopy(sequence, 0, ids, starts[s], sequence.length);
            for (int t = 0; t < sequence.length; t++) {
                positions[starts[s] + t] = t;
            }
        }
        return new TokenBatch(Tensor.of(ids, ids.length), Tensor.of(positions, ids.length), new Ragged(starts));
    }

    /** The number of tokens. */
    public int tokens() {
        return ragged.rows();
    }
}
