package dev.isthmus.tensor.cpu;

import java.util.function.IntConsumer;

/** The threads that share the work of one kernel call. */
final class WorkerPool {
    private WorkerPool() {}

    /** The number of threads, {@code -Disthmus.threads} or all cores. */
    static int threads() {
        return 1;
    }

    /**
     * Runs {@code body} for each task from 0 to {@code tasks - 1}, on all threads, and returns when all are done.
     *
     * <p>Which thread runs a task, and when, must not change any result: tasks write disjoint memory.
     */
    static void parallel(int tasks, IntConsumer body) {
        for (int i = 0; i < tasks; i++) {
            body.accept(i);
        }
    }
}
