package dev.isthmus.bench.ladder;

import dev.isthmus.bench.Data;
import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs;
import dev.isthmus.bench.ladder.Ladder.Rung;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** {@code C = A B} of square matrices whose size is a multiple of the tile: edges would hide what each rung is about. */
final class MatMulLadder {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final int TILE_ROWS = 8;
    private static final int TILE_COLS = 2 * LANES;
    private static final int K_BLOCK = 64;
    private static final int J_BLOCK = 256;
    private static final int DEEP_BLOCK = 256;

    private final int n;
    private final float[] a;
    private final float[] b;
    private final float[] c;
    private final float[] panels;

    MatMulLadder(int n) {
        if (n % 64 != 0) {
            throw new IllegalArgumentException("size " + n + " is no multiple of 64");
        }
        this.n = n;
        float[] numbers = Data.floats(2L * n * n).toFloats();
        a = Arrays.copyOf(numbers, n * n);
        b = Arrays.copyOfRange(numbers, n * n, numbers.length);
        c = new float[n * n];
        panels = new float[n * n];
    }

    Ladder ladder() {
        double flops = 2.0 * n * n * n;
        Tensor out = Tensor.empty(DType.FLOAT32, n, n);
        MatMul call = call(out);
        Device.scalar().run(call);
        return new Ladder(
                "matrix product " + n + " x " + n + " x " + n,
                Map.of("m", n, "n", n, "k", n, "dtype", "float32"),
                Unit.billions("FLOP", flops),
                Needs.flops(flops),
                out.toFloats(),
                c,
                1e-5,
                List.of(
                        Rung.of("naive", this::naive),
                        Rung.of("loop order", this::loopOrder),
                        Rung.of("blocked", this::blocked),
                        Rung.of("vector", this::vector),
                        Rung.of("register-blocked", this::registerBlocked),
                        Rung.of("packed", this::packed),
                        Rung.onAllThreads("all threads", this::allThreads),
                        Rung.kernel(call, out, c)));
    }

    /** The definition: row times column. Each step reads B a row further down, in another cache line. */
    void naive() {
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int k = 0; k < n; k++) {
                    sum += a[i * n + k] * b[k * n + j];
                }
                c[i * n + j] = sum;
            }
        }
    }

    /**
     * The same products in another order: now B and C are read along their rows. HotSpot 25 makes no vectors of it, since it
     * cannot know that B and C are two arrays.
     */
    void loopOrder() {
        Arrays.fill(c, 0);
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                addRow(a[i * n + k], k * n, i * n, n);
            }
        }
    }

    private void addRow(float x, int fromB, int toC, int count) {
        for (int j = 0; j < count; j++) {
            c[toC + j] += x * b[fromB + j];
        }
    }

    /**
     * A block of B that fits the L2 cache serves all rows of A before the next one is fetched. That is no gain while the loop is
     * bound by its instructions; the rungs that follow need it.
     */
    void blocked() {
        Arrays.fill(c, 0);
        for (int k0 = 0; k0 < n; k0 += K_BLOCK) {
            for (int j0 = 0; j0 < n; j0 += J_BLOCK) {
                int end = Math.min(n, j0 + J_BLOCK);
                for (int i = 0; i < n; i++) {
                    for (int k = k0; k < k0 + K_BLOCK; k++) {
                        addRow(a[i * n + k], k * n + j0, i * n + j0, end - j0);
                    }
                }
            }
        }
    }

    /** Vectors by hand: a fused multiply-add is one instruction, which Java may not make of a product and a sum. */
    void vector() {
        Arrays.fill(c, 0);
        for (int k0 = 0; k0 < n; k0 += K_BLOCK) {
            for (int j0 = 0; j0 < n; j0 += J_BLOCK) {
                int end = Math.min(n, j0 + J_BLOCK);
                for (int i = 0; i < n; i++) {
                    for (int k = k0; k < k0 + K_BLOCK; k++) {
                        FloatVector x = FloatVector.broadcast(S, a[i * n + k]);
                        for (int j = j0; j < end; j += LANES) {
                            FloatVector sum = FloatVector.fromArray(S, c, i * n + j);
                            x.fma(FloatVector.fromArray(S, b, k * n + j), sum).intoArray(c, i * n + j);
                        }
                    }
                }
            }
        }
    }

    /** A tile of C stays in registers while k runs: 16 multiply-adds for two loads of B, and none of C. */
    void registerBlocked() {
        Arrays.fill(c, 0);
        for (int j = 0; j < n; j += TILE_COLS) {
            for (int i = 0; i < n; i += TILE_ROWS) {
                tile(n, i * n, b, j, n, i * n + j);
            }
        }
    }

    /** B is copied into panels as wide as the tile, so that k runs through memory without a gap; a panel stays in L1. */
    void packed() {
        Arrays.fill(c, 0);
        for (int k0 = 0; k0 < n; k0 += DEEP_BLOCK) {
            int depth = Math.min(DEEP_BLOCK, n - k0);
            pack(k0, depth, 0, n);
            multiply(k0, depth, 0, n);
        }
    }

    /** Each thread packs its share of the panels, then computes its share of the rows. */
    void allThreads() {
        Arrays.fill(c, 0);
        int threads = Machine.threads();
        for (int k0 = 0; k0 < n; k0 += DEEP_BLOCK) {
            int start = k0;
            int depth = Math.min(DEEP_BLOCK, n - k0);
            IntStream.range(0, threads)
                    .parallel()
                    .forEach(t -> pack(start, depth, share(t, threads, TILE_COLS), share(t + 1, threads, TILE_COLS)));
            IntStream.range(0, threads)
                    .parallel()
                    .forEach(t ->
                            multiply(start, depth, share(t, threads, TILE_ROWS), share(t + 1, threads, TILE_ROWS)));
        }
    }

    private int share(int thread, int threads, int unit) {
        return n / unit * thread / threads * unit;
    }

    /** Copies the columns {@code from} to {@code to} of {@code depth} rows of B. */
    private void pack(int k0, int depth, int from, int to) {
        for (int j = from; j < to; j += TILE_COLS) {
            for (int k = 0; k < depth; k++) {
                System.arraycopy(b, (k0 + k) * n + j, panels, j * depth + k * TILE_COLS, TILE_COLS);
            }
        }
    }

    private void multiply(int k0, int depth, int from, int to) {
        for (int j = 0; j < n; j += TILE_COLS) {
            for (int i = from; i < to; i += TILE_ROWS) {
                tile(depth, i * n + k0, panels, j * depth, TILE_COLS, i * n + j);
            }
        }
    }

    /**
     * Eight rows by two vectors of C: 16 accumulators, one chain of additions each, enough to keep both multiply-add units
     * busy for the four cycles that one takes. No helper may take a vector: one that is not inlined gets it boxed.
     *
     * @param stride from one row of {@code source} to the next
     */
    private void tile(int depth, int fromA, float[] source, int fromB, int stride, int toC) {
        FloatVector c00 = FloatVector.fromArray(S, c, toC), c01 = FloatVector.fromArray(S, c, toC + LANES);
        FloatVector c10 = FloatVector.fromArray(S, c, toC + n), c11 = FloatVector.fromArray(S, c, toC + n + LANES);
        FloatVector c20 = FloatVector.fromArray(S, c, toC + 2 * n),
                c21 = FloatVector.fromArray(S, c, toC + 2 * n + LANES);
        FloatVector c30 = FloatVector.fromArray(S, c, toC + 3 * n),
                c31 = FloatVector.fromArray(S, c, toC + 3 * n + LANES);
        FloatVector c40 = FloatVector.fromArray(S, c, toC + 4 * n),
                c41 = FloatVector.fromArray(S, c, toC + 4 * n + LANES);
        FloatVector c50 = FloatVector.fromArray(S, c, toC + 5 * n),
                c51 = FloatVector.fromArray(S, c, toC + 5 * n + LANES);
        FloatVector c60 = FloatVector.fromArray(S, c, toC + 6 * n),
                c61 = FloatVector.fromArray(S, c, toC + 6 * n + LANES);
        FloatVector c70 = FloatVector.fromArray(S, c, toC + 7 * n),
                c71 = FloatVector.fromArray(S, c, toC + 7 * n + LANES);
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = FloatVector.fromArray(S, source, fromB + k * stride);
            FloatVector b1 = FloatVector.fromArray(S, source, fromB + k * stride + LANES);
            FloatVector x = FloatVector.broadcast(S, a[fromA + k]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, a[fromA + n + k]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, a[fromA + 2 * n + k]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, a[fromA + 3 * n + k]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(S, a[fromA + 4 * n + k]);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(S, a[fromA + 5 * n + k]);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(S, a[fromA + 6 * n + k]);
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(S, a[fromA + 7 * n + k]);
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
        }
        c00.intoArray(c, toC);
        c01.intoArray(c, toC + LANES);
        c10.intoArray(c, toC + n);
        c11.intoArray(c, toC + n + LANES);
        c20.intoArray(c, toC + 2 * n);
        c21.intoArray(c, toC + 2 * n + LANES);
        c30.intoArray(c, toC + 3 * n);
        c31.intoArray(c, toC + 3 * n + LANES);
        c40.intoArray(c, toC + 4 * n);
        c41.intoArray(c, toC + 4 * n + LANES);
        c50.intoArray(c, toC + 5 * n);
        c51.intoArray(c, toC + 5 * n + LANES);
        c60.intoArray(c, toC + 6 * n);
        c61.intoArray(c, toC + 6 * n + LANES);
        c70.intoArray(c, toC + 7 * n);
        c71.intoArray(c, toC + 7 * n + LANES);
    }

    private MatMul call(Tensor out) {
        return new MatMul(
                false,
                Storing.PLAIN,
                n,
                n,
                n,
                Tensor.of(a, n, n).buffer(),
                n,
                Tensor.of(b, n, n).buffer(),
                n,
                null,
                out.buffer(),
                n,
                false);
    }
}
