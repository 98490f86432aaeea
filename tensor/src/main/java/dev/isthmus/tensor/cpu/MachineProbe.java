package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.Machine;
import java.lang.foreign.Arena;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;

/** Measures what this machine can do at most: the ceilings that the kernels' speeds are held against. */
final class MachineProbe {
    private static final int FMA_ROUNDS = 400_000;
    private static final int FMA_CHAINS = 12;
    private static final long BYTES_PER_TASK = 64 << 20;
    private static final int REPEATS = 5;

    private MachineProbe() {}

    static Machine.Ceilings measure() {
        return new Machine.Ceilings(flops(), readBandwidth(), updateBandwidth());
    }

    /** The best of some repeats, in floating-point operations a second; a fused multiply-add counts as two. */
    static double flops() {
        float[] sink = new float[WorkerPool.threads()];
        double operations = 2.0 * sink.length * FMA_ROUNDS * FMA_CHAINS * Simd.LANES;
        return bestOf(sink.length, operations, i -> sink[i] = fma(FMA_ROUNDS));
    }

    /** {@link #flops()} of the calling thread alone, measured once, in less than a millisecond. */
    static double flopsOfOneThread() {
        int rounds = FMA_ROUNDS / 8;
        long start = System.nanoTime();
        float sum = fma(rounds);
        long nanos = System.nanoTime() - start;
        return sum > 0 ? 2.0 * rounds * FMA_CHAINS * Simd.LANES / nanos * 1e9 : 0;
    }

    /** Bytes a second read from memory far larger than the caches. */
    static double readBandwidth() {
        try (Arena arena = Arena.ofShared()) {
            int tasks = 4 * WorkerPool.threads();
            long memory = arena.allocate(tasks * BYTES_PER_TASK, 64).address();
            float[] sink = new float[tasks];
            return bestOf(tasks, tasks * BYTES_PER_TASK, i -> sink[i] = read(memory + i * BYTES_PER_TASK));
        }
    }

    /** Bytes a second read and written, each counted, where numbers change in place. */
    static double updateBandwidth() {
        try (Arena arena = Arena.ofShared()) {
            int tasks = 4 * WorkerPool.threads();
            long memory = arena.allocate(tasks * BYTES_PER_TASK, 64).address();
            return bestOf(tasks, 2 * tasks * BYTES_PER_TASK, i -> update(memory + i * BYTES_PER_TASK));
        }
    }

    private static double bestOf(int tasks, double work, IntConsumer task) {
        double best = 0;
        for (int i = 0; i < REPEATS; i++) {
            long start = System.nanoTime();
            WorkerPool.parallel(tasks, task);
            best = Math.max(best, work / (System.nanoTime() - start) * 1e9);
        }
        return best;
    }

    // Twelve chains hide the latency of four cycles on two units; with more vectors alive C1 could keep the method.
    static float fma(int rounds) {
        FloatVector a = FloatVector.broadcast(F, 0.5f);
        FloatVector b = FloatVector.broadcast(F, 0.25f);
        FloatVector c0 = b, c1 = b, c2 = b, c3 = b, c4 = b, c5 = b;
        FloatVector d0 = b, d1 = b, d2 = b, d3 = b, d4 = b, d5 = b;
        for (int i = 0; i < rounds; i++) {
            c0 = c0.fma(a, b);
            c1 = c1.fma(a, b);
            c2 = c2.fma(a, b);
            c3 = c3.fma(a, b);
            c4 = c4.fma(a, b);
            c5 = c5.fma(a, b);
            d0 = d0.fma(a, b);
            d1 = d1.fma(a, b);
            d2 = d2.fma(a, b);
            d3 = d3.fma(a, b);
            d4 = d4.fma(a, b);
            d5 = d5.fma(a, b);
        }
        c0 = c0.add(c1).add(c2).add(c3).add(c4).add(c5);
        d0 = d0.add(d1).add(d2).add(d3).add(d4).add(d5);
        return c0.add(d0).lane(0);
    }

    private static float read(long from) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector s0 = zero, s1 = zero, s2 = zero, s3 = zero;
        int rounds = (int) (BYTES_PER_TASK / (4 * BYTES));
        for (int i = 0; i < rounds; i++) {
            long at = from + i * (4L * BYTES);
            s0 = s0.add(load(at));
            s1 = s1.add(load(at + BYTES));
            s2 = s2.add(load(at + 2L * BYTES));
            s3 = s3.add(load(at + 3L * BYTES));
        }
        return s0.add(s1).add(s2).add(s3).lane(0);
    }

    private static void update(long at) {
        FloatVector one = FloatVector.broadcast(F, 1);
        int rounds = (int) (BYTES_PER_TASK / BYTES);
        for (int i = 0; i < rounds; i++) {
            store(load(at + (long) i * BYTES).add(one), at + (long) i * BYTES);
        }
    }
}
