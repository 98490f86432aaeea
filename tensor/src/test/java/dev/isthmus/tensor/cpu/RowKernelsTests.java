package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.TestMemory.read;
import static dev.isthmus.tensor.cpu.Twins.VECTOR;
import static dev.isthmus.tensor.cpu.Twins.check;
import static dev.isthmus.tensor.cpu.Twins.concat;
import static dev.isthmus.tensor.cpu.Twins.filled;
import static dev.isthmus.tensor.cpu.Twins.gaussian;
import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.Embedding;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.KernelCall.Rope;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Kernels that work row by row against the scalar twin, at sizes that are no multiple of anything. */
class RowKernelsTests {
    private static final int[] COLS = {1, 7, 13, 16, 31, 33, 64, 207, 702};
    private static final int[] ROWS = {1, 3, 70, 130};

    private final int threads = WorkerPool.threads();
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        WorkerPool.setThreads(threads);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 5})
    void rmsNorm(int pad) {
        for (int rows : ROWS) {
            for (int cols : COLS) {
                int ldx = cols + pad;
                int ldy = cols + 2 * pad;
                Buffer x = gaussian(1, rows * ldx + pad).plus(pad);
                Buffer weight = gaussian(2, cols);
                check(1e-6, device -> {
                    Buffer y = filled(rows * ldy);
                    Buffer rstd = filled(rows);
                    device.run(new RmsNorm(rows, cols, 1e-5, x, ldx, weight, y, ldy, rstd));
                    return concat(read(y, rows * ldy), read(rstd, rows));
                });
                Buffer dy = gaussian(3, rows * ldy + pad).plus(pad);
                Buffer rstd = filled(rows);
                VECTOR.run(new RmsNorm(rows, cols, 1e-5, x, ldx, weight, filled(rows * ldy), ldy, rstd));
                for (int flags = 0; flags < 16; flags++) {
                    boolean accumulateX = (flags & 1) != 0;
                    boolean accumulateWeight = (flags & 2) != 0;
                    boolean withX = (flags & 4) != 0;
                    boolean withWeight = (flags & 8) != 0;
                    check(1e-5, device -> {
                        Buffer dx = gaussian(4, rows * ldx);
                        Buffer dweight = gaussian(5, cols);
                        device.run(new RmsNormBackward(
                                rows,
                                cols,
                                x,
                                ldx,
                                weight,
                                rstd,
                                dy,
                                ldy,
                                withX ? dx : null,
                                accumulateX,
                                withWeight ? dweight : null,
                                accumulateWeight));
                        return concat(read(dx, rows * ldx), read(dweight, cols));
                    });
                }
            }
        }
    }

    @Test
    void layerNorm() {
        for (int rows : ROWS) {
            for (int cols : COLS) {
                Buffer x = gaussian(1, rows * cols + 3).plus(3);
                Buffer dy = gaussian(2, rows * cols);
                for (int flags = 0; flags < 32; flags++) {
                    Buffer weight = (flags & 1) != 0 ? gaussian(3, cols) : null;
                    Buffer bias = (flags & 2) != 0 ? gaussian(4, cols) : null;
                    boolean accumulate = (flags & 4) != 0;
                    boolean withX = (flags & 8) != 0;
                    boolean withBias = (flags & 16) != 0;
                    check(2e-6, device -> {
                        Buffer y = filled(rows * cols);
                        Buffer mean = filled(rows);
                        Buffer rstd = filled(rows);
                        device.run(new LayerNorm(rows, cols, 0.1, x, weight, bias, y, mean, rstd));
                        return concat(read(y, rows * cols), read(mean, rows), read(rstd, rows));
                    });
                    Buffer mean = filled(rows);
                    Buffer rstd = filled(rows);
                    Twins.SCALAR.run(new LayerNorm(rows, cols, 0.1, x, weight, bias, filled(rows * cols), mean, rstd));
                    check(2e-5, device -> {
                        Buffer dx = gaussian(5, rows * cols);
                        Buffer dweight = gaussian(6, cols);
                        Buffer dbias = gaussian(7, cols);
                        device.run(new LayerNormBackward(
                                rows,
                                cols,
                                x,
                                weight,
                                mean,
                                rstd,
                                dy,
                                withX ? dx : null,
                                accumulate,
                                weight == null ? null : dweight,
                                accumulate,
                                withBias ? dbias : null,
                                !accumulate));
                        return concat(read(dx, rows * cols), read(dweight, cols), read(dbias, cols));
                    });
                }
            }
        }
    }

    @Test
    void swiGlu() {
        for (int rows : ROWS) {
            for (int cols : COLS) {
                Buffer gateUp = gaussian(1, 2 * rows * cols + 3).plus(3);
                Buffer dOut = gaussian(2, rows * cols);
                check(1e-6, device -> {
                    Buffer out = filled(rows * cols);
                    device.run(new SwiGlu(rows, cols, gateUp, out));
                    return read(out, rows * cols);
                });
                check(1e-6, device -> {
                    Buffer d = filled(2 * rows * cols);
                    Buffer inPlace = TestMemory.copy(gateUp, 2 * rows * cols);
                    device.run(new SwiGluBackward(rows, cols, gateUp, dOut, d));
                    device.run(new SwiGluBackward(rows, cols, inPlace, dOut, inPlace));
                    return concat(read(d, 2 * rows * cols), read(inPlace, 2 * rows * cols));
                });
            }
        }
    }

    @Test
    void swiGluOfLargeNumbers() {
        Buffer gateUp = TestMemory.of(-200f, -88, 88, 200, 2, 2, 2, 2);
        Buffer out = filled(4);
        VECTOR.run(new SwiGlu(1, 4, gateUp, out));
        assertThat(read(out, 4)).containsExactly(-0f, (float) (-176 / (1 + Math.exp(88))), 176, 400);
    }

    @Test
    void rope() {
        for (boolean interleaved : new boolean[] {false, true}) {
            for (boolean inverse : new boolean[] {false, true}) {
                for (int headDim : new int[] {2, 6, 16, 20, 32, 64, 80, 128}) {
                    int rows = 90;
                    int ldx = 5 * headDim + 3;
                    Buffer cos = gaussian(1, 10 * headDim / 2);
                    Buffer sin = gaussian(2, 10 * headDim / 2);
                    Buffer position = TestMemory.of(gaussianIds(rows, 10));
                    check(1e-6, device -> {
                        Buffer x = gaussian(3, rows * ldx);
                        device.run(new Rope(
                                rows, 3, headDim, x.plus(headDim), ldx, cos, sin, position, interleaved, inverse));
                        return read(x, rows * ldx);
                    });
                }
            }
        }
    }

    @Test
    void embedding() {
        for (int cols : COLS) {
            int rows = 130;
            int words = cols % 2 == 0 ? 1_300 : 17;
            Buffer ids = TestMemory.of(gaussianIds(rows, words));
            Buffer table = gaussian(1, words * cols);
            Buffer dOut = gaussian(2, rows * cols);
            for (boolean accumulate : new boolean[] {false, true}) {
                check(0, device -> {
                    Buffer out = gaussian(3, rows * cols);
                    device.run(new Embedding(rows, cols, table, ids, out, accumulate));
                    return read(out, rows * cols);
                });
                check(1e-5, device -> {
                    Buffer dTable = gaussian(4, words * cols);
                    device.run(new EmbeddingBackward(rows, cols, words, ids, dOut, dTable, accumulate));
                    return read(dTable, words * cols);
                });
            }
        }
    }

    @Test
    void softmax() {
        for (int rows : ROWS) {
            for (int cols : COLS) {
                Buffer x = scaled(5, gaussian(1, rows * cols), rows * cols);
                Buffer dy = gaussian(2, rows * cols);
                for (boolean log : new boolean[] {false, true}) {
                    check(1e-6, device -> {
                        Buffer y = filled(rows * cols);
                        Buffer inPlace = TestMemory.copy(x, rows * cols);
                        device.run(new Softmax(rows, cols, x, y, log));
                        device.run(new Softmax(rows, cols, inPlace, inPlace, log));
                        return concat(read(y, rows * cols), read(inPlace, rows * cols));
                    });
                    Buffer y = filled(rows * cols);
                    VECTOR.run(new Softmax(rows, cols, x, y, log));
                    check(5e-6, device -> {
                        Buffer dx = filled(rows * cols);
                        Buffer inPlace = TestMemory.copy(dy, rows * cols);
                        device.run(new SoftmaxBackward(rows, cols, y, dy, dx, log));
                        device.run(new SoftmaxBackward(rows, cols, y, inPlace, inPlace, log));
                        return concat(read(dx, rows * cols), read(inPlace, rows * cols));
                    });
                }
            }
        }
    }

    @Test
    void crossEntropy() {
        for (int rows : ROWS) {
            for (int words : COLS) {
                Buffer logits = scaled(4, gaussian(1, rows * words), rows * words);
                int[] ids = gaussianIds(rows, words);
                for (int i = 0; i < rows; i += 3) {
                    ids[i] = -100;
                }
                Buffer target = TestMemory.of(ids);
                Buffer dLoss = gaussian(2, rows);
                for (double invTemperature : new double[] {1, 0.6}) {
                    for (boolean withEntropy : new boolean[] {false, true}) {
                        check(2e-6, device -> {
                            Buffer loss = filled(rows);
                            Buffer lse = filled(rows);
                            Buffer entropy = filled(rows);
                            device.run(new CrossEntropy(
                                    rows,
                                    words,
                                    logits,
                                    invTemperature,
                                    target,
                                    loss,
                                    lse,
                                    withEntropy ? entropy : null));
                            return concat(read(loss, rows), read(lse, rows), read(entropy, rows));
                        });
                    }
                    Buffer lse = filled(rows);
                    VECTOR.run(new CrossEntropy(rows, words, logits, invTemperature, target, filled(rows), lse, null));
                    check(2e-6, device -> {
                        Buffer dLogits = filled(rows * words);
                        Buffer inPlace = TestMemory.copy(logits, rows * words);
                        device.run(new CrossEntropyBackward(
                                rows, words, logits, invTemperature, target, lse, dLoss, dLogits));
                        device.run(new CrossEntropyBackward(
                                rows, words, inPlace, invTemperature, target, lse, dLoss, inPlace));
                        return concat(read(dLogits, rows * words), read(inPlace, rows * words));
                    });
                }
            }
        }
    }

    /** Long rows are read in parts and from the lines of the cache on: no word is left out, and the address changes no bit. */
    @Test
    void rowsOfManyWords() {
        int rows = 33;
        for (int words : new int[] {2_047, 2_064, 4_999, 9_001}) {
            float[] values = read(gaussian(words, rows * words), rows * words);
            int[] ids = gaussianIds(rows, words);
            for (int i = 0; i < rows; i++) {
                values[i * words + (int) ((long) i * (words - 1) / (rows - 1))] = 300; // e^300 is infinite
            }
            float[][] results = new float[Rows.LANES][];
            for (int o = 0; o < Rows.LANES; o++) {
                int offset = o;
                float[] moved = new float[offset + values.length];
                System.arraycopy(values, 0, moved, offset, values.length);
                Buffer logits = TestMemory.of(moved).plus(offset);
                Function<Device, float[]> run = device -> {
                    Buffer loss = filled(rows);
                    Buffer lse = filled(rows);
                    Buffer dLogits = TestMemory.of(moved).plus(offset);
                    device.run(new CrossEntropy(rows, words, logits, 0.7, TestMemory.of(ids), loss, lse, null));
                    device.run(new CrossEntropyBackward(
                            rows, words, dLogits, 0.7, TestMemory.of(ids), lse, gaussian(2, rows), dLogits));
                    return concat(read(loss, rows), read(lse, rows), read(dLogits, values.length));
                };
                results[offset] = run.apply(VECTOR);
                if (offset == 0) {
                    Twins.assertNear(results[0], run.apply(Twins.SCALAR), 2e-6);
                }
                assertThat(results[offset]).isEqualTo(results[0]);
            }
        }
    }

    @Test
    void weightedAndSmoothedClasses() {
        for (int words : new int[] {1, 7, 13, 207, 702}) {
            int rows = 5;
            Buffer logits = gaussian(words, rows * words);
            Buffer target = TestMemory.of(0, words - 1, -100, words / 2, 0);
            Buffer dLoss = gaussian(2, rows);
            Buffer lse = filled(rows);
            VECTOR.run(new CrossEntropy(rows, words, logits, 0.7, target, filled(rows), lse, null));
            for (Buffer weight : new Buffer[] {null, gaussian(3, words)}) {
                for (double smoothing : new double[] {0, 0.2}) {
                    check(4e-6, device -> {
                        Buffer loss = filled(rows);
                        Buffer dLogits = TestMemory.copy(logits, rows * words);
                        device.run(new CrossEntropy(
                                rows, words, logits, 0.7, target, smoothing, weight, loss, filled(rows), null));
                        device.run(new CrossEntropyBackward(
                                rows, words, dLogits, 0.7, target, smoothing, weight, lse, dLoss, dLogits));
                        return concat(read(loss, rows), read(dLogits, rows * words));
                    });
                }
            }
        }
    }

    @Test
    void impossibleWords() {
        float inf = Float.POSITIVE_INFINITY;
        Buffer logits = TestMemory.of(-inf, 1, 2, -inf, 3, 0, -inf, -inf, -inf, -inf, -inf, 5);
        Buffer target = TestMemory.of(1, 0, 2);
        check(1e-6, device -> {
            Buffer loss = filled(3);
            Buffer lse = filled(3);
            Buffer entropy = filled(3);
            Buffer logp = filled(12);
            Buffer dLogits = filled(12);
            device.run(new CrossEntropy(3, 4, logits, 1, target, loss, lse, entropy));
            device.run(new CrossEntropyBackward(3, 4, logits, 1, target, lse, TestMemory.of(1f, 2f, 3f), dLogits));
            device.run(new Softmax(3, 4, logits, logp, true));
            return concat(read(loss, 3), read(lse, 3), read(entropy, 3), read(dLogits, 12), read(logp, 12));
        });
    }

    /** What a sampler records is to the bit what training computes. */
    @Test
    void crossEntropyIsMinusLogSoftmax() {
        for (int words : COLS) {
            Buffer logits = scaled(6, gaussian(1, 40 * words), 40 * words);
            int[] ids = gaussianIds(40, words);
            Buffer loss = filled(40);
            Buffer logp = filled(40 * words);
            VECTOR.run(new CrossEntropy(40, words, logits, 1, TestMemory.of(ids), loss, filled(40), null));
            VECTOR.run(new Softmax(40, words, logits, logp, true));
            for (int i = 0; i < 40; i++) {
                assertThat(read(loss, 40)[i]).isEqualTo(0 - read(logp, 40 * words)[i * words + ids[i]]);
            }
        }
    }

    @Test
    void resultsDoNotDependOnThreads() {
        int rows = 1000;
        int cols = 207;
        float[][] results = new float[2][];
        for (int t = 0; t < 2; t++) {
            WorkerPool.setThreads(t + 1);
            Buffer x = gaussian(1, rows * cols);
            Buffer weight = gaussian(2, cols);
            Buffer dx = filled(rows * cols);
            Buffer dweight = filled(cols);
            Buffer rstd = filled(rows);
            Buffer dTable = filled(9 * cols);
            VECTOR.run(new RmsNorm(rows, cols, 1e-5, x, cols, weight, dx, cols, rstd));
            VECTOR.run(new RmsNormBackward(rows, cols, x, cols, weight, rstd, x, cols, dx, false, dweight, false));
            VECTOR.run(new EmbeddingBackward(rows, cols, 9, TestMemory.of(gaussianIds(rows, 9)), x, dTable, false));
            results[t] = concat(read(dx, rows * cols), read(dweight, cols), read(dTable, 9 * cols));
        }
        assertThat(results[1]).isEqualTo(results[0]);
    }

    private static int[] gaussianIds(int n, int words) {
        float[] values = read(gaussian(9, n), n);
        int[] ids = new int[n];
        for (int i = 0; i < n; i++) {
            ids[i] = Math.floorMod(Float.floatToIntBits(values[i]), words);
        }
        return ids;
    }

    private static Buffer scaled(float factor, Buffer x, int length) {
        float[] values = read(x, length);
        for (int i = 0; i < length; i++) {
            values[i] *= factor;
        }
        return TestMemory.of(Arrays.copyOf(values, length));
    }
}
