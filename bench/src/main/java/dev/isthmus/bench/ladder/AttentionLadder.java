package dev.isthmus.bench.ladder;

import static dev.isthmus.bench.ladder.VectorExp.S;

import dev.isthmus.bench.Data;
import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs;
import dev.isthmus.bench.ladder.Ladder.Rung;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;

/**
 * Causal attention, {@code out = softmax(q k^T / sqrt(d)) v} in each head, over {@code [batch, length, heads, d]}.
 *
 * <p>The length is a multiple of the block and of the vectors, d of the vectors: edges would hide what each rung is about.
 */
final class AttentionLadder {
    private static final int LANES = S.length();
    private static final int BLOCK = 64;

    private final int batch;
    private final int heads;
    private final int length;
    private final int d;
    private final int width;
    private final float scale;
    private final float[] q;
    private final float[] k;
    private final float[] v;
    private final float[] out;
    private final float[] scores;

    AttentionLadder(int batch, int heads, int length, int d) {
        if (length % BLOCK != 0 || d % LANES != 0) {
            throw new IllegalArgumentException("length " + length + ", head size " + d);
        }
        this.batch = batch;
        this.heads = heads;
        this.length = length;
        this.d = d;
        width = heads * d;
        scale = (float) (1 / Math.sqrt(d));
        int size = batch * length * width;
        float[] numbers = Data.floats(3L * size).toFloats();
        q = Arrays.copyOf(numbers, size);
        k = Arrays.copyOfRange(numbers, size, 2 * size);
        v = Arrays.copyOfRange(numbers, 2 * size, 3 * size);
        out = new float[size];
        scores = new float[length * length];
    }

    Ladder ladder() {
        double flops = 4.0 * batch * heads * d * length * (length + 1) / 2;
        int rows = batch * length;
        int[] starts = IntStream.rangeClosed(0, batch).map(i -> i * length).toArray();
        Tensor result = Tensor.empty(DType.FLOAT32, rows, width);
        Attention call = new Attention(
                new Ragged(starts),
                new Heads(heads, heads, d, 1 / Math.sqrt(d), true),
                Tensor.of(q, rows, width).buffer(),
                width,
                Tensor.of(k, rows, width).buffer(),
                width,
                Tensor.of(v, rows, width).buffer(),
                width,
                result.buffer(),
                width,
                Tensor.empty(DType.FLOAT32, rows, heads).buffer());
        Device.scalar().run(call);
        return new Ladder(
                "causal attention, " + batch + " x " + length + ", " + heads + " heads of " + d,
                Map.of("batch", batch, "length", length, "heads", heads, "head_dim", d, "dtype", "float32"),
                Unit.billions("FLOP", flops),
                Needs.flops(flops),
                result.toFloats(),
                out,
                1e-5,
                List.of(
                        Rung.of("naive", () -> eachHead(this::naive)),
                        Rung.of("causal", () -> eachHead(this::causal)),
                        Rung.of("running softmax", () -> eachHead(this::runningSoftmax)),
                        Rung.of("vector", () -> eachHead(this::vector)),
                        Rung.of("blocked", () -> eachHead(this::blocked)),
                        Rung.onAllThreads("all threads", this::allThreads),
                        Rung.kernel(call, result, out)));
    }

    /** Work on the head whose first number stands at {@code from}. */
    private interface Head {
        void run(int from);
    }

    private void eachHead(Head head) {
        for (int i = 0; i < batch * heads; i++) {
            head.run(start(i));
        }
    }

    /** Heads do not need each other. */
    void allThreads() {
        int threads = Machine.threads();
        int all = batch * heads;
        IntStream.range(0, threads).parallel().forEach(t -> {
            for (int i = all * t / threads; i < all * (t + 1) / threads; i++) {
                blocked(start(i));
            }
        });
    }

    private int start(int head) {
        return head / heads * length * width + head % heads * d;
    }

    /** The formula: a matrix of scores, which is masked, its softmax, its product with the values. */
    void naive(int from) {
        for (int i = 0; i < length; i++) {
            for (int j = 0; j < length; j++) {
                float sum = 0;
                for (int c = 0; c < d; c++) {
                    sum += q[from + i * width + c] * k[from + j * width + c];
                }
                scores[i * length + j] = j <= i ? scale * sum : Float.NEGATIVE_INFINITY;
            }
        }
        for (int i = 0; i < length; i++) {
            softmax(i * length, length);
        }
        for (int i = 0; i < length; i++) {
            for (int c = 0; c < d; c++) {
                float sum = 0;
                for (int j = 0; j < length; j++) {
                    sum += scores[i * length + j] * v[from + j * width + c];
                }
                out[from + i * width + c] = sum;
            }
        }
    }

    private void softmax(int row, int count) {
        float largest = Float.NEGATIVE_INFINITY;
        for (int j = 0; j < count; j++) {
            largest = Math.max(largest, scores[row + j]);
        }
        float sum = 0;
        for (int j = 0; j < count; j++) {
            scores[row + j] = (float) Math.exp(scores[row + j] - largest);
            sum += scores[row + j];
        }
        for (int j = 0; j < count; j++) {
            scores[row + j] /= sum;
        }
    }

    /** What the mask throws away is not computed, a row of scores at a time is enough, and values are added by rows. */
    void causal(int from) {
        for (int i = 0; i < length; i++) {
            for (int j = 0; j <= i; j++) {
                float sum = 0;
                for (int c = 0; c < d; c++) {
                    sum += q[from + i * width + c] * k[from + j * width + c];
                }
                scores[j] = scale * sum;
            }
            softmax(0, i + 1);
            int to = from + i * width;
            Arrays.fill(out, to, to + d, 0);
            for (int j = 0; j <= i; j++) {
                for (int c = 0; c < d; c++) {
                    out[to + c] += scores[j] * v[from + j * width + c];
                }
            }
        }
    }

    /** No row of scores either: a larger score shrinks what was added so far (Dao et al. 2022, section 3.1). */
    void runningSoftmax(int from) {
        for (int i = 0; i < length; i++) {
            int to = from + i * width;
            Arrays.fill(out, to, to + d, 0);
            float largest = Float.NEGATIVE_INFINITY;
            float sum = 0;
            for (int j = 0; j <= i; j++) {
                float score = 0;
                for (int c = 0; c < d; c++) {
                    score += q[to + c] * k[from + j * width + c];
                }
                score *= scale;
                if (score > largest) {
                    float shrink = (float) Math.exp(largest - score);
                    largest = score;
                    sum *= shrink;
                    for (int c = 0; c < d; c++) {
                        out[to + c] *= shrink;
                    }
                }
                float p = (float) Math.exp(score - largest);
                sum += p;
                for (int c = 0; c < d; c++) {
                    out[to + c] += p * v[from + j * width + c];
                }
            }
            for (int c = 0; c < d; c++) {
                out[to + c] /= sum;
            }
        }
    }

    /** Keys are transposed once a head, so that a vector holds the scores of as many keys and exp serves all of them. */
    void vector(int from) {
        float[] keys = transposedKeys(from);
        float[] row = new float[length];
        for (int i = 0; i < length; i++) {
            int to = from + i * width;
            int count = (i + LANES) / LANES * LANES;
            for (int j = 0; j < count; j += LANES) {
                FloatVector score = FloatVector.zero(S);
                for (int c = 0; c < d; c++) {
                    score = FloatVector.broadcast(S, q[to + c])
                            .fma(FloatVector.fromArray(S, keys, c * length + j), score);
                }
                score.mul(scale).intoArray(row, j);
            }
            float sum = exponentials(row, 0, i + 1, count);
            for (int c = 0; c < d; c += LANES) {
                FloatVector value = FloatVector.zero(S);
                for (int j = 0; j <= i; j++) {
                    value = FloatVector.broadcast(S, row[j])
                            .fma(FloatVector.fromArray(S, v, from + j * width + c), value);
                }
                value.div(sum).intoArray(out, to + c);
            }
        }
    }

    /** Eight queries share each load of a key and of a value: the register blocks of the matrix product, twice. */
    void blocked(int from) {
        float[] keys = transposedKeys(from);
        float[] rows = new float[8 * length];
        for (int i = 0; i < length; i += 8) {
            int count = (i + 7 + LANES) / LANES * LANES;
            for (int j = 0; j < count; j += LANES) {
                eightRows(d, q, from + i * width, width, scale, keys, j, length, rows, j, length);
            }
            float[] shares = new float[8];
            for (int r = 0; r < 8; r++) {
                shares[r] = 1 / exponentials(rows, r * length, i + r + 1, count);
            }
            for (int c = 0; c < d; c += LANES) {
                eightRows(i + 8, rows, 0, length, 1, v, from + c, width, out, from + i * width + c, width);
            }
            for (int r = 0; r < 8; r++) {
                for (int c = 0; c < d; c++) {
                    out[from + (i + r) * width + c] *= shares[r];
                }
            }
        }
    }

    /** {@code to[r, 0..LANES) = factor sum_c a[r, c] b[c, 0..LANES)} for eight rows r. */
    private static void eightRows(
            int depth,
            float[] a,
            int fromA,
            int lda,
            float factor,
            float[] b,
            int fromB,
            int ldb,
            float[] to,
            int at,
            int ldt) {
        FloatVector zero = FloatVector.zero(S);
        FloatVector s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero;
        for (int c = 0; c < depth; c++) {
            FloatVector x = FloatVector.fromArray(S, b, fromB + c * ldb);
            s0 = FloatVector.broadcast(S, a[fromA + c]).fma(x, s0);
            s1 = FloatVector.broadcast(S, a[fromA + lda + c]).fma(x, s1);
            s2 = FloatVector.broadcast(S, a[fromA + 2 * lda + c]).fma(x, s2);
            s3 = FloatVector.broadcast(S, a[fromA + 3 * lda + c]).fma(x, s3);
            s4 = FloatVector.broadcast(S, a[fromA + 4 * lda + c]).fma(x, s4);
            s5 = FloatVector.broadcast(S, a[fromA + 5 * lda + c]).fma(x, s5);
            s6 = FloatVector.broadcast(S, a[fromA + 6 * lda + c]).fma(x, s6);
            s7 = FloatVector.broadcast(S, a[fromA + 7 * lda + c]).fma(x, s7);
        }
        s0.mul(factor).intoArray(to, at);
        s1.mul(factor).intoArray(to, at + ldt);
        s2.mul(factor).intoArray(to, at + 2 * ldt);
        s3.mul(factor).intoArray(to, at + 3 * ldt);
        s4.mul(factor).intoArray(to, at + 4 * ldt);
        s5.mul(factor).intoArray(to, at + 5 * ldt);
        s6.mul(factor).intoArray(to, at + 6 * ldt);
        s7.mul(factor).intoArray(to, at + 7 * ldt);
    }

    /** Turns the first {@code count} scores of a row into exponentials, the rest up to {@code end} into 0; returns their sum. */
    private static float exponentials(float[] row, int from, int count, int end) {
        float largest = Float.NEGATIVE_INFINITY;
        for (int j = 0; j < count; j++) {
            largest = Math.max(largest, row[from + j]);
        }
        Arrays.fill(row, from + count, from + end, Float.NEGATIVE_INFINITY);
        for (int j = 0; j < end; j += LANES) {
            FloatVector x = FloatVector.fromArray(S, row, from + j);
            VectorExp.exp(x.sub(largest)).intoArray(row, from + j);
        }
        Arrays.fill(row, from + count, from + end, 0);
        float sum = 0;
        for (int j = 0; j < count; j++) {
            sum += row[from + j];
        }
        return sum;
    }

    private float[] transposedKeys(int from) {
        float[] keys = new float[d * length];
        for (int j = 0; j < length; j++) {
            for (int c = 0; c < d; c++) {
                keys[c * length + j] = k[from + j * width + c];
            }
        }
        return keys;
    }
}
