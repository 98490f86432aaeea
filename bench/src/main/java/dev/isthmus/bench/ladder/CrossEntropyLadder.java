package dev.isthmus.bench.ladder;

import static dev.isthmus.bench.ladder.VectorExp.S;

import dev.isthmus.bench.Data;
import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs;
import dev.isthmus.bench.ladder.Ladder.Rung;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** {@code loss[i] = log(sum_j exp(x[i, j])) - x[i, target[i]]} over rows of logits. */
final class CrossEntropyLadder {
    private final int rows;
    private final int words;
    private final float[] logits;
    private final int[] target;
    private final float[] loss;
    private final float[] probabilities;

    CrossEntropyLadder(int rows, int words) {
        this.rows = rows;
        this.words = words;
        logits = Data.floats(rows, words).toFloats();
        for (int i = 0; i < logits.length; i++) {
            logits[i] *= 8;
        }
        target = Data.ints(words, rows).toInts();
        loss = new float[rows];
        probabilities = new float[words];
    }

    Ladder ladder() {
        double n = (double) rows * words;
        Tensor out = Tensor.empty(DType.FLOAT32, rows);
        Tensor lse = Tensor.empty(DType.FLOAT32, rows);
        CrossEntropy call = new CrossEntropy(
                rows,
                words,
                Tensor.of(logits, rows, words).buffer(),
                1,
                Tensor.of(target, rows).buffer(),
                out.buffer(),
                lse.buffer(),
                null);
        Device.scalar().run(call);
        return new Ladder(
                "cross-entropy, " + rows + " rows of " + words + " words",
                Map.of("rows", rows, "words", words, "dtype", "float32"),
                Unit.billions("elem", n),
                Needs.memory(4 * n, 0),
                out.toFloats(),
                loss,
                1e-4,
                List.of(
                        Rung.of("three passes", this::threePasses),
                        Rung.of("fused", this::fused),
                        Rung.of("one pass", this::onePass),
                        Rung.of("vector", () -> vector(0, rows)),
                        Rung.onAllThreads("all threads", this::allThreads),
                        Rung.kernel(call, out, loss)));
    }

    /** As a textbook says it: the largest, the exponentials, their sum; then the logarithm of a probability. */
    void threePasses() {
        for (int i = 0; i < rows; i++) {
            float largest = Float.NEGATIVE_INFINITY;
            for (int j = 0; j < words; j++) {
                largest = Math.max(largest, logits[i * words + j]);
            }
            for (int j = 0; j < words; j++) {
                probabilities[j] = (float) Math.exp(logits[i * words + j] - largest);
            }
            double sum = 0;
            for (int j = 0; j < words; j++) {
                sum += probabilities[j];
            }
            loss[i] = (float) -Math.log(probabilities[target[i]] / sum);
        }
    }

    /** No probabilities are stored: the loss needs the sum only, and one logit. */
    void fused() {
        for (int i = 0; i < rows; i++) {
            float largest = Float.NEGATIVE_INFINITY;
            for (int j = 0; j < words; j++) {
                largest = Math.max(largest, logits[i * words + j]);
            }
            double sum = 0;
            for (int j = 0; j < words; j++) {
                sum += Math.exp(logits[i * words + j] - largest);
            }
            loss[i] = (float) (largest + Math.log(sum) - logits[i * words + target[i]]);
        }
    }

    /** The largest so far stands in for the largest; when it changes, the sum is corrected (Milakov and Gimelshein 2018). */
    void onePass() {
        for (int i = 0; i < rows; i++) {
            float largest = Float.NEGATIVE_INFINITY;
            double sum = 0;
            for (int j = 0; j < words; j++) {
                float x = logits[i * words + j];
                if (x > largest) {
                    sum *= Math.exp(largest - x);
                    largest = x;
                }
                sum += Math.exp(x - largest);
            }
            loss[i] = (float) (largest + Math.log(sum) - logits[i * words + target[i]]);
        }
    }

    /** A polynomial takes the place of Math.exp, and every lane of a vector has a largest number and a sum of its own. */
    void vector(int from, int to) {
        for (int i = from; i < to; i++) {
            loss[i] = lossOf(i * words, target[i]);
        }
    }

    void allThreads() {
        int threads = Machine.threads();
        IntStream.range(0, threads).parallel().forEach(t -> vector(rows * t / threads, rows * (t + 1) / threads));
    }

    private float lossOf(int row, int picked) {
        FloatVector largest = FloatVector.broadcast(S, -Float.MAX_VALUE);
        FloatVector sum = FloatVector.zero(S);
        int j = 0;
        for (; j <= words - S.length(); j += S.length()) {
            FloatVector x = FloatVector.fromArray(S, logits, row + j);
            FloatVector above = largest.blend(x, x.compare(VectorOperators.GT, largest));
            sum = sum.fma(VectorExp.exp(largest.sub(above)), VectorExp.exp(x.sub(above)));
            largest = above;
        }
        float top = -Float.MAX_VALUE;
        for (int lane = 0; lane < S.length(); lane++) {
            top = Math.max(top, largest.lane(lane));
        }
        double total = 0;
        for (int lane = 0; lane < S.length(); lane++) {
            total += sum.lane(lane) * Math.exp(largest.lane(lane) - top);
        }
        for (; j < words; j++) {
            total += Math.exp(logits[row + j] - top);
        }
        return (float) (top + Math.log(total) - logits[row + picked]);
    }
}
