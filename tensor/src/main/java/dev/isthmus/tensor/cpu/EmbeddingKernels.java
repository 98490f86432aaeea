package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.MEM;

import dev.isthmus.tensor.KernelCall.Embedding;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import java.lang.foreign.ValueLayout;

/** Table look-ups and their gradient. */
final class EmbeddingKernels {
    private EmbeddingKernels() {}

    static void embedding(Embedding c) {
        long row = c.cols() * 4L;
        long table = c.table().address();
        long ids = c.ids().address();
        long out = c.out().address();
        Rows.parallel(c.rows(), 2 * c.cols(), (from, to) -> {
            for (int i = from; i < to; i++) {
                NormLoops.add(c.cols(), table + id(ids, i) * row, out + i * row, c.accumulate());
            }
        });
    }

    /** Each word adds up its rows, in order, so that every row is read once and in one piece. */
    static void embeddingBackward(EmbeddingBackward c) {
        long row = c.cols() * 4L;
        long dOut = c.dOut().address();
        long dTable = c.dTable().address();
        int[] starts = new int[c.words() + 1];
        int[] rows = byWord(c, starts);
        // A word is as much work as its rows and one more.
        Rows.parallel(c.rows() + c.words(), c.cols(), (from, to) -> {
            for (int word = first(starts, from); word < c.words() && starts[word] + word < to; word++) {
                long sum = dTable + word * row;
                boolean accumulate = c.accumulate();
                for (int i = starts[word]; i < starts[word + 1]; i++) {
                    NormLoops.add(c.cols(), dOut + rows[i] * row, sum, accumulate);
                    accumulate = true;
                }
                if (!accumulate) {
                    MEM.asSlice(sum, row).fill((byte) 0);
                }
            }
        });
    }

    /** The rows sorted by word; those of word {@code w} begin at {@code starts[w]}. */
    private static int[] byWord(EmbeddingBackward c, int[] starts) {
        long ids = c.ids().address();
        for (int i = 0; i < c.rows(); i++) {
            starts[id(ids, i) + 1]++;
        }
        for (int word = 0; word < c.words(); word++) {
            starts[word + 1] += starts[word];
        }
        int[] next = starts.clone();
        int[] rows = new int[c.rows()];
        for (int i = 0; i < c.rows(); i++) {
            rows[next[id(ids, i)]++] = i;
        }
        return rows;
    }

    /** The first word with {@code starts[word] + word >= place}. */
    private static int first(int[] starts, int place) {
        int low = 0;
        int high = starts.length - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (starts[middle] + middle < place) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    private static int id(long ids, int i) {
        return MEM.get(ValueLayout.JAVA_INT_UNALIGNED, ids + i * 4L);
    }
}
