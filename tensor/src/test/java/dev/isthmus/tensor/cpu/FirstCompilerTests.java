package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Twins.VECTOR;
import static dev.isthmus.tensor.cpu.Twins.gaussian;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.Dropout;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.Reduce;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.KernelCall.Rope;
import dev.isthmus.tensor.KernelCall.Scan;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;
import dev.isthmus.tensor.KernelCall.Sort;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryBackward;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import dev.isthmus.tensor.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * C1, HotSpot's first compiler, takes every kernel with counters, too.
 *
 * <p>If it gives one up after it has compiled it without, which it does first while C2 is busy, no one counts and C2 never comes to it: ten
 * times slower for as long as the process lives. It happened to the gradients of norms, in one of three runs.
 */
class FirstCompilerTests {
    /** As many as it takes to have compiled what a step runs; that much later, too, all that is inlined is known. */
    private static final int ROUNDS = 10;

    private static final int ROWS = 37;
    private static final int[] COLS = {64, 133, 207};

    @Test
    @Timeout(value = 5, unit = TimeUnit.MINUTES)
    void givesUpNoKernel() throws Exception {
        assumeThat(System.getProperty("isthmus.vector.bits"))
                .as("one width is enough")
                .isNull();
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xbatch",
                "-XX:TieredStopAtLevel=3",
                "-XX:+PrintCompilation",
                "-cp",
                System.getProperty("java.class.path"),
                FirstCompilerTests.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.contains("dev.isthmus.tensor.cpu"))
                .toList();
        assertThat(process.waitFor()).isZero();
        assertThat(lines).anyMatch(line -> line.contains("NormLoops::wholeGradientAndDots"));
        assertThat(lines).noneMatch(line -> line.contains("COMPILE SKIPPED"));
    }

    /** In the child: each kernel often enough to be compiled, with and without ends of rows. */
    public static void main(String[] args) {
        WorkerPool.setThreads(1);
        for (int i = 0; i < ROUNDS; i++) {
            for (int cols : COLS) {
                try (Scope _ = Scope.open()) {
                    rows(cols);
                    elements(ROWS * cols);
                    optimizers(ROWS * cols);
                    products(cols);
                    folds(cols);
                }
            }
            try (Scope _ = Scope.open()) {
                attention();
                decoding();
                rotation();
                storedWeights();
            }
        }
    }

    private static void rows(int cols) {
        int n = ROWS * cols;
        Buffer x = gaussian(1, n);
        Buffer dy = gaussian(2, n);
        Buffer w = gaussian(3, cols);
        Buffer y = gaussian(4, n);
        Buffer mean = gaussian(5, ROWS);
        Buffer rstd = gaussian(6, ROWS);
        Buffer dw = gaussian(7, cols);
        Buffer db = gaussian(8, cols);
        VECTOR.run(new LayerNorm(ROWS, cols, 1e-5, x, w, w, y, mean, rstd));
        VECTOR.run(new LayerNormBackward(ROWS, cols, x, w, mean, rstd, dy, y, false, dw, false, db, false));
        VECTOR.run(new LayerNormBackward(ROWS, cols, x, w, mean, rstd, dy, y, true, dw, true, db, true));
        VECTOR.run(new RmsNorm(ROWS, cols, 1e-5, x, cols, w, y, cols, rstd));
        VECTOR.run(new RmsNormBackward(ROWS, cols, x, cols, w, rstd, dy, cols, y, false, dw, false));
        for (boolean log : new boolean[] {false, true}) {
            VECTOR.run(new Softmax(ROWS, cols, x, y, log));
            VECTOR.run(new SoftmaxBackward(ROWS, cols, y, dy, y, log));
        }
        Buffer target = TestMemory.of(new int[ROWS]);
        VECTOR.run(new CrossEntropy(ROWS, cols, x, 1, target, 0, null, mean, rstd, null));
        VECTOR.run(new CrossEntropy(ROWS, cols, x, 1, target, 0.1, w, mean, rstd, mean));
        VECTOR.run(new CrossEntropyBackward(ROWS, cols, x, 1, target, 0, null, rstd, mean, y));
        VECTOR.run(new SwiGlu(ROWS, cols, gaussian(9, 2 * n), y));
        VECTOR.run(new SwiGluBackward(ROWS, cols, gaussian(9, 2 * n), dy, gaussian(10, 2 * n)));
        VECTOR.run(new SumRows(ROWS, cols, x, cols, dw, true));
    }

    private static void elements(int n) {
        Buffer x = gaussian(1, n);
        Buffer dy = gaussian(2, n);
        Buffer y = gaussian(3, n);
        for (UnaryOp op : UnaryOp.values()) {
            VECTOR.run(new Unary(op, n, x, y, 1.5, 2));
            VECTOR.run(new UnaryBackward(op, n, x, dy, y, 1.5, 2, true));
        }
    }

    private static void optimizers(int n) {
        for (UpdateRule rule : OptimizerTests.rules()) {
            List<Buffer> state =
                    rule.state().stream().map(_ -> TestMemory.of(new float[n])).toList();
            VECTOR.run(new OptimizerStep(rule, n, gaussian(1, n), gaussian(2, n), state, 1e-2, 0.1, 1, 0.5));
        }
    }

    private static void products(int n) {
        int k = 45;
        for (int m : new int[] {1, 3, ROWS}) {
            for (Storing storing : new Storing[] {Storing.PLAIN, Storing.TRANSPOSED}) {
                for (boolean transA : new boolean[] {false, true}) {
                    int ldb = storing == Storing.TRANSPOSED ? k : n;
                    VECTOR.run(new MatMul(
                            transA,
                            storing,
                            m,
                            n,
                            k,
                            gaussian(1, m * k),
                            transA ? m : k,
                            gaussian(2, n * k),
                            ldb,
                            gaussian(3, n),
                            gaussian(4, m * n),
                            n,
                            true));
                }
            }
        }
    }

    private static void attention() {
        int width = 2 * 28;
        int n = 75;
        Ragged ragged = new Ragged(new int[] {0, 70, n});
        for (boolean causal : new boolean[] {false, true}) {
            Heads heads = new Heads(2, 2, 28, 0.2, causal);
            Buffer q = gaussian(1, n * width);
            Buffer k = gaussian(2, n * width);
            Buffer v = gaussian(3, n * width);
            Buffer out = gaussian(4, n * width);
            Buffer lse = gaussian(5, n * 2);
            VECTOR.run(new Attention(ragged, heads, q, width, k, width, v, width, out, width, lse));
            Buffer dq = gaussian(6, n * width);
            Buffer dk = gaussian(7, n * width);
            Buffer dv = gaussian(8, n * width);
            VECTOR.run(new AttentionBackward(
                    ragged, heads, q, width, k, width, v, width, out, out, width, lse, dq, dk, dv));
        }
    }

    /** Reductions, cumulative sums, copies, orders, and what is dropped. */
    private static void folds(int cols) {
        int n = ROWS * cols;
        Buffer x = gaussian(1, n);
        Buffer y = gaussian(2, n);
        for (ReduceOp op : ReduceOp.values()) {
            VECTOR.run(new Reduce(op, 1, ROWS, cols, x, y));
            VECTOR.run(new Reduce(op, ROWS, cols, 1, x, y));
        }
        for (ReduceOp op : new ReduceOp[] {ReduceOp.SUM, ReduceOp.PROD}) {
            for (boolean reverse : new boolean[] {false, true}) {
                VECTOR.run(new Scan(op, 1, ROWS, cols, x, y, reverse));
                VECTOR.run(new Scan(op, ROWS, cols, 1, x, y, reverse));
            }
        }
        long[] shape = {ROWS, cols};
        long[] dense = {cols, 1};
        for (boolean accumulate : new boolean[] {false, true}) {
            VECTOR.run(new Copy(shape, x, dense, y, dense, accumulate));
            VECTOR.run(new Copy(new long[] {cols, ROWS}, x, new long[] {1, cols}, y, new long[] {ROWS, 1}, accumulate));
            VECTOR.run(new Copy(shape, x, new long[] {0, 1}, y, dense, accumulate));
        }
        VECTOR.run(new Sort(ROWS, cols, cols / 2, true, x, TestMemory.of(new int[n])));
        VECTOR.run(new Dropout(n, x, y, Rng.of(1), 0.3));
    }

    private static void decoding() {
        int rows = 5;
        int heads = 4;
        int d = 28;
        int width = heads * d;
        int size = 4 * rows * 2 * d * KvPages.PAGE;
        KvPages cache = new KvPages(gaussian(1, size), gaussian(2, size));
        int[][] pages = new int[rows][];
        int[] page = new int[rows];
        int[] shared = new int[rows];
        int[] length = new int[rows];
        int[] slot = new int[rows];
        for (int i = 0; i < rows; i++) {
            pages[i] = new int[] {0, 1 + 3 * i, 2 + 3 * i, 3 + 3 * i};
            shared[i] = 9;
            length[i] = 20 + 7 * i;
            page[i] = pages[i][KvPages.page(length[i] - 1, shared[i])];
            slot[i] = KvPages.slot(length[i] - 1, shared[i]);
        }
        Buffer q = gaussian(3, rows * width);
        KvAppend append = new KvAppend(rows, 2, d, q, width, q, width, cache, page, slot);
        Buffer out = gaussian(4, rows * width);
        for (KvAppend with : new KvAppend[] {null, append}) {
            VECTOR.run(new CachedAttention(
                    rows, new Heads(heads, 2, d, 0.2, true), q, width, cache, pages, shared, length, with, out, width));
        }
    }

    private static void rotation() {
        for (int d : new int[] {20, 32}) {
            Buffer angles = gaussian(1, ROWS * d / 2);
            Buffer position = TestMemory.of(IntStream.range(0, ROWS).toArray());
            for (boolean interleaved : new boolean[] {false, true}) {
                Buffer x = gaussian(2, ROWS * 3 * d);
                VECTOR.run(new Rope(ROWS, 3, d, x, 3L * d, angles, angles, position, interleaved, false));
                VECTOR.run(new Rope(ROWS, 3, d, x, 3L * d, angles, angles, position, interleaved, true));
            }
        }
    }

    private static void storedWeights() {
        int k = 224;
        int n = 71;
        for (WeightFormat format : WeightFormat.values()) {
            MemorySegment w = Arena.ofAuto().allocate(n * format.rowBytes(k), 64);
            if (format.isPacked()) {
                MemorySegment packed = Arena.ofAuto().allocate(PackWeight.bytes(format, n, k), 64);
                VECTOR.run(new PackWeight(format, n, k, w, packed));
                w = packed;
            }
            for (int m : new int[] {1, 2, 7, 32}) {
                VECTOR.run(new WeightMatMul(format, m, n, k, gaussian(1, m * k), k, w, null, gaussian(2, m * n), n));
            }
        }
    }
}
