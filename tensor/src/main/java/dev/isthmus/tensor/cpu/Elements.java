package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.LANES;

/** Work on long rows of numbers in chunks, on all threads. */
final class Elements {
    /** The elements of a chunk: 128 KiB, so that a chunk's arrays stay in the second-level cache. */
    static final int CHUNK = 1 << 15;

    private Elements() {}

    /** Work on some elements. */
    interface Range {
        /** Does elements {@code from} to {@code from + count - 1}. */
        void run(long from, int count);
    }

    /** Runs {@code body} for all chunks of {@code n} elements. */
    static void parallel(long n, Range body) {
        WorkerPool.parallel(Math.toIntExact((n + CHUNK - 1) / CHUNK), task -> {
            long from = (long) task * CHUNK;
            body.run(from, (int) Math.min(CHUNK, n - from));
        });
    }

    /** Work on whole vectors of numbers at some addresses. */
    interface Vectors {
        /** Does {@code n} numbers, a multiple of the vector length. */
        void run(int n, long a, long b, long c, long d);
    }

    /**
     * Runs {@code body} for {@code n} numbers at up to four addresses, of which it only reads the first {@code inputs}: whole
     * vectors where they are, the rest on copies, so that a kernel needs no second form of its loop.
     */
    static void vectors(int n, int inputs, long a, long b, long c, long d, Vectors body) {
        int whole = n & -LANES;
        if (whole > 0) {
            body.run(whole, a, b, c, d);
        }
        if (whole < n) {
            rest(n - whole, inputs, whole * 4L, new long[] {a, b, c, d}, body);
        }
    }

    private static void rest(int n, int inputs, long offset, long[] arrays, Vectors body) {
        long bytes = Simd.BYTES;
        long copy = Scratch.address(Scratch.Use.TAILS, arrays.length * bytes);
        for (int i = 0; i < arrays.length; i++) {
            if (arrays[i] != 0) {
                Panels.copy(1, n, arrays[i] + offset, 0, copy + i * bytes, 0);
            }
        }
        body.run(LANES, copy, copy + bytes, copy + 2 * bytes, copy + 3 * bytes);
        for (int i = inputs; i < arrays.length; i++) {
            if (arrays[i] != 0) {
                Panels.copy(1, n, copy + i * bytes, 0, arrays[i] + offset, 0);
            }
        }
    }
}
