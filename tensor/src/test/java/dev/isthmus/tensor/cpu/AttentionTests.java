package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AttentionTests {
    private final int threads = WorkerPool.threads();
    private final RandomGenerator random = new SplittableRandom(1);
    private final Device scalar = new ScalarDevice();
    private final Device vector = new VectorDevice(new ScalarDevice());

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    /** Queries, keys and values are columns of one matrix, as a fused projection makes them. */
    private record Inputs(Ragged ragged, Heads heads, int ld, Buffer qkv) {
        static Inputs random(RandomGenerator random, Heads heads, int pad, int... lengths) {
            int[] starts = new int[lengths.length + 1];
            for (int i = 0; i < lengths.length; i++) {
                starts[i + 1] = starts[i] + lengths[i];
            }
            int ld = (heads.heads() + 2 * heads.kvHeads()) * heads.headDim() + pad;
            return new Inputs(
                    new Ragged(starts),
                    heads,
                    ld,
                    TestMemory.gaussian(random, starts[lengths.length] * ld + pad)
                            .plus(pad));
        }

        Buffer q() {
            return qkv;
        }

        Buffer k() {
            return qkv.plus(heads.heads() * heads.headDim());
        }

        Buffer v() {
            return k().plus(heads.kvHeads() * heads.headDim());
        }

        int width() {
            return heads.heads() * heads.headDim();
        }

        int rows() {
            return ragged.rows();
        }
    }

    /** What a run of the forward call wrote, every number of both buffers, also between the rows. */
    private record Outputs(float[] out, float[] lse) {}

    /** All keys, the keys before a query, windows that are shorter and longer than a vector and a block, and scores with a cap. */
    private static List<Heads> kinds(int heads, int kvHeads, int headDim) {
        double scale = 1 / Math.sqrt(headDim);
        return List.of(
                new Heads(heads, kvHeads, headDim, scale, false),
                new Heads(heads, kvHeads, headDim, scale, true),
                new Heads(heads, kvHeads, headDim, scale, true, 1, 0),
                new Heads(heads, kvHeads, headDim, scale, true, 7, 0),
                new Heads(heads, kvHeads, headDim, scale, true, 33, 0.8),
                new Heads(heads, kvHeads, headDim, scale, false, 0, 0.8));
    }

    private static Outputs attend(Device device, Inputs in, int pad) {
        int ldo = in.width() + pad;
        Buffer out = filled(in.rows() * ldo);
        Buffer lse = filled(in.rows() * in.heads.heads());
        device.run(new Attention(in.ragged, in.heads, in.q(), in.ld, in.k(), in.ld, in.v(), in.ld, out, ldo, lse));
        return new Outputs(TestMemory.read(out, in.rows() * ldo), TestMemory.read(lse, in.rows() * in.heads.heads()));
    }

    private static Buffer filled(int length) {
        Buffer buffer = TestMemory.allocate(DType.FLOAT32, length);
        float[] values = new float[length];
        java.util.Arrays.fill(values, 77);
        TestMemory.write(buffer, values);
        return buffer;
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 1",
        "2, 1, 7",
        "4, 2, 8",
        "2, 2, 13",
        "3, 3, 16",
        "6, 2, 20",
        "4, 4, 32",
        "4, 1, 64",
        "2, 1, 80",
        "1, 1, 128",
        "1, 1, 207"
    })
    void equalsTheScalarTwin(int heads, int kvHeads, int headDim) {
        for (Heads h : kinds(heads, kvHeads, headDim)) {
            for (int pad : new int[] {0, 3}) {
                try (Scope _ = Scope.open()) {
                    Inputs in = Inputs.random(random, h, pad, 1, 33, 0, 7, 70, 13, 32);
                    Outputs expected = attend(scalar, in, pad);
                    Outputs actual = attend(vector, in, pad);
                    assertThat(actual.out).containsExactly(expected.out, Offset.offset(2e-6f));
                    assertThat(actual.lse).containsExactly(expected.lse, Offset.offset(2e-6f));
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 1", "2, 1, 7", "2, 2, 13", "6, 2, 20", "4, 4, 32", "4, 1, 64", "2, 1, 80", "1, 1, 128"})
    void gradientEqualsTheScalarTwin(int heads, int kvHeads, int headDim) {
        for (Heads h : kinds(heads, kvHeads, headDim)) {
            for (int pad : new int[] {0, 3}) {
                try (Scope _ = Scope.open()) {
                    Inputs in = Inputs.random(random, h, pad, 1, 33, 0, 7, 70, 13, 32);
                    float[] expected = gradient(scalar, in, pad);
                    float[] actual = gradient(vector, in, pad);
                    assertThat(actual).containsExactly(expected, Offset.offset(1e-5f));
                }
            }
        }
    }

    /** Where scores are in the thousands a float32 cannot hold the log of a sum well: the gradient must not hang on it. */
    @Test
    void gradientForgivesARoundedLogOfTheSum() {
        for (Heads h : kinds(4, 2, 20)) {
            try (Scope _ = Scope.open()) {
                Inputs in = Inputs.random(random, h, 0, 1, 33, 7, 70);
                float[] expected = gradient(scalar, in, 0, 0);
                assertThat(gradient(scalar, in, 0, 1e-3f)).containsExactly(expected, Offset.offset(1e-5f));
                assertThat(gradient(vector, in, 0, 1e-3f)).containsExactly(expected, Offset.offset(1e-5f));
            }
        }
    }

    private float[] gradient(Device device, Inputs in, int pad) {
        return gradient(device, in, pad, 0);
    }

    private float[] gradient(Device device, Inputs in, int pad, float lseError) {
        int ldo = in.width() + pad;
        Buffer out = filled(in.rows() * ldo);
        Buffer lse = filled(in.rows() * in.heads.heads());
        scalar.run(new Attention(in.ragged, in.heads, in.q(), in.ld, in.k(), in.ld, in.v(), in.ld, out, ldo, lse));
        float[] moved = TestMemory.read(lse, in.rows() * in.heads.heads());
        for (int i = 0; i < moved.length; i++) {
            moved[i] += lseError * (i % 3);
        }
        TestMemory.write(lse, moved);
        Buffer dOut = TestMemory.allocate(DType.FLOAT32, (long) in.rows() * ldo);
        float[] values = new float[in.rows() * ldo];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(i * 1.7);
        }
        TestMemory.write(dOut, values);
        Buffer d = filled(in.rows() * in.ld);
        Buffer dk = d.plus(in.width());
        Buffer dv = dk.plus(in.heads.kvHeads() * in.heads.headDim());
        device.run(new AttentionBackward(
                in.ragged, in.heads, in.q(), in.ld, in.k(), in.ld, in.v(), in.ld, out, dOut, ldo, lse, d, dk, dv));
        return TestMemory.read(d, in.rows() * in.ld);
    }

    /** The promise behind equal log-probabilities in rollouts and training. */
    @ParameterizedTest
    @ValueSource(ints = {8, 16, 20, 32, 64, 80, 128})
    void decodingEqualsTrainingBitForBit(int headDim) {
        for (int[] heads : new int[][] {{4, 4}, {4, 2}, {4, 1}}) {
            for (Heads h : kinds(heads[0], heads[1], headDim)) {
                try (Scope _ = Scope.open()) {
                    Inputs in = Inputs.random(random, h, 0, 1, 5, 31, 32, 33, 64, 100, 257);
                    WorkerPool.setThreads(1);
                    Outputs one = attend(vector, in, 0);
                    WorkerPool.setThreads(2);
                    Outputs two = attend(vector, in, 0);
                    assertThat(two.out).isEqualTo(one.out);
                    assertThat(two.lse).isEqualTo(one.lse);
                    assertThat(decode(in, 0)).isEqualTo(one.out);
                    assertThat(decode(in, 19)).isEqualTo(one.out);
                }
            }
        }
    }

    /** The same rows from pages in a shuffled order, as many tokens of each sequence in pages that others could share. */
    private float[] decode(Inputs in, int most) {
        Heads heads = in.heads;
        int d = heads.headDim();
        int rows = in.rows();
        int[] starts = in.ragged.starts();
        int pagesOfAll = 0;
        int[][] pages = new int[rows][];
        int[] shared = new int[rows];
        int[] length = new int[rows];
        int[] page = new int[rows];
        int[] slot = new int[rows];
        for (int s = in.ragged.count() - 1; s >= 0; s--) {
            int n = starts[s + 1] - starts[s];
            int first = pagesOfAll;
            int seam = Math.min(n, most);
            int count = n == 0 ? 0 : KvPages.page(n - 1, seam) + 1;
            pagesOfAll += count;
            int[] own =
                    IntStream.range(0, count).map(p -> first + count - 1 - p).toArray();
            for (int i = 0; i < n; i++) {
                pages[starts[s] + i] = own;
                shared[starts[s] + i] = seam;
                length[starts[s] + i] = heads.causal() ? i + 1 : n;
                page[starts[s] + i] = own[KvPages.page(i, seam)];
                slot[starts[s] + i] = KvPages.slot(i, seam);
            }
        }
        int size = pagesOfAll * heads.kvHeads() * d * KvPages.PAGE;
        KvPages cache = new KvPages(filled(size), filled(size));
        vector.run(new KvAppend(rows, heads.kvHeads(), d, in.k(), in.ld, in.v(), in.ld, cache, page, slot));
        Buffer out = filled(rows * in.width());
        vector.run(
                new CachedAttention(rows, heads, in.q(), in.ld, cache, pages, shared, length, null, out, in.width()));
        return TestMemory.read(out, rows * in.width());
    }

    /** Rows that are written in the call itself, by tasks of whole rows and by tasks of heads. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 21})
    void appendingWhileAttending(int rows) {
        try (Scope _ = Scope.open()) {
            Heads heads = new Heads(4, 2, 24, 0.2, true);
            Inputs in = Inputs.random(
                    random, heads, 0, IntStream.range(0, rows).map(_ -> 1).toArray());
            int[][] pages = new int[rows][];
            int[] page = new int[rows];
            int[] slot = new int[rows];
            int[] length = new int[rows];
            int[] shared = new int[rows];
            for (int i = 0; i < rows; i++) {
                pages[i] = new int[] {2 * i, 2 * i + 1};
                length[i] = 1 + 5 * i % (2 * KvPages.PAGE);
                shared[i] = Math.min(3, length[i] - 1);
                length[i] = Math.min(length[i], shared[i] + KvPages.PAGE);
                page[i] = pages[i][KvPages.page(length[i] - 1, shared[i])];
                slot[i] = KvPages.slot(length[i] - 1, shared[i]);
            }
            int size = 2 * rows * heads.kvHeads() * heads.headDim() * KvPages.PAGE;
            float[][] results = new float[4][];
            for (int k = 0; k < 4; k++) {
                Device device = k < 2 ? vector : scalar;
                KvPages cache = new KvPages(
                        TestMemory.gaussian(new SplittableRandom(7), size),
                        TestMemory.gaussian(new SplittableRandom(8), size));
                KvAppend append = new KvAppend(
                        rows, heads.kvHeads(), heads.headDim(), in.k(), in.ld, in.v(), in.ld, cache, page, slot);
                if (k % 2 == 0) {
                    device.run(append);
                }
                Buffer out = filled(rows * in.width());
                device.run(new CachedAttention(
                        rows,
                        heads,
                        in.q(),
                        in.ld,
                        cache,
                        pages,
                        shared,
                        length,
                        k % 2 == 0 ? null : append,
                        out,
                        in.width()));
                results[k] = TestMemory.read(out, rows * in.width());
            }
            assertThat(results[1]).isEqualTo(results[0]);
            assertThat(results[3]).isEqualTo(results[2]).containsExactly(results[0], Offset.offset(1e-5f));
        }
    }

    @Test
    void aSequenceDoesNotDependOnTheBatch() {
        try (Scope _ = Scope.open()) {
            Heads heads = new Heads(4, 2, 32, 0.2, true);
            Inputs in = Inputs.random(random, heads, 0, 17, 40, 64, 9);
            float[] all = attend(vector, in, 0).out;
            float[] gradients = gradient(vector, in, 0);
            for (int s = 0; s < in.ragged.count(); s++) {
                int begin = in.ragged.starts()[s];
                int n = in.ragged.starts()[s + 1] - begin;
                Inputs alone =
                        new Inputs(new Ragged(new int[] {0, n}), heads, in.ld, in.qkv.plus((long) begin * in.ld));
                assertThat(attend(vector, alone, 0).out)
                        .isEqualTo(java.util.Arrays.copyOfRange(all, begin * in.width(), (begin + n) * in.width()));
            }
            WorkerPool.setThreads(1);
            assertThat(gradient(vector, in, 0)).isEqualTo(gradients);
        }
    }
}
