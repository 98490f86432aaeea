package dev.isthmus.tensor.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The threads that share the work of one kernel call.
 *
 * <p>One region runs at a time: a call from inside a task, or from another thread meanwhile, runs serially. Threads take tasks
 * one by one, so that unequal or disturbed threads end together. Workers wait for the next region awake for a moment, since a
 * training step makes regions a few microseconds apart, and then sleep.
 */
final class WorkerPool {
    private static final long SPIN_NANOS = 40_000;
    private static final AtomicBoolean BUSY = new AtomicBoolean();
    private static final List<Worker> WORKERS = new ArrayList<>();
    private static volatile int threads = Math.max(
            1, Integer.getInteger("isthmus.threads", Runtime.getRuntime().availableProcessors()));
    private static volatile @Nullable Region current;

    private WorkerPool() {}

    /** The number of threads: what was set, else {@code -Disthmus.threads}, else all cores. */
    static int threads() {
        return threads;
    }

    /** Sets the number of threads of the regions to come. */
    static void setThreads(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads: " + count);
        }
        threads = count;
    }

    /**
     * Runs {@code body} for each task from 0 to {@code tasks - 1}, on all threads, and returns when all are done.
     *
     * <p>Which thread runs a task, and when, must not change any result: tasks write disjoint memory. What a task throws is
     * thrown here; the tasks that had not begun by then are skipped.
     */
    static void parallel(int tasks, IntConsumer body) {
        int helpers = Math.min(threads, tasks) - 1;
        if (helpers <= 0 || !BUSY.compareAndSet(false, true)) {
            for (int i = 0; i < tasks; i++) {
                body.accept(i);
            }
            return;
        }
        Region region = new Region(tasks, helpers, body);
        try {
            wake(region);
            region.work();
            region.await();
        } finally {
            current = null;
            BUSY.set(false);
        }
        region.rethrow();
    }

    private static void wake(Region region) {
        while (WORKERS.size() < region.helpers) {
            Worker worker = new Worker(WORKERS.size());
            WORKERS.add(worker);
            worker.start();
        }
        current = region;
        for (int i = 0; i < region.helpers; i++) {
            Worker worker = WORKERS.get(i);
            if (worker.asleep) {
                LockSupport.unpark(worker);
            }
        }
    }

    /** One call of {@link #parallel}; a worker that comes late finds no task left. */
    private static final class Region {
        final int tasks;
        final int helpers;
        private final IntConsumer body;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger done = new AtomicInteger();
        private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        private final Thread caller = Thread.currentThread();
        private volatile boolean callerAsleep;

        Region(int tasks, int helpers, IntConsumer body) {
            this.tasks = tasks;
            this.helpers = helpers;
            this.body = body;
        }

        void work() {
            for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
                try {
                    if (failure.get() == null) {
                        body.accept(i);
                    }
                } catch (Throwable e) { // whatever it is, it belongs to the caller
                    failure.compareAndSet(null, e);
                }
                if (done.incrementAndGet() == tasks && callerAsleep) {
                    LockSupport.unpark(caller);
                }
            }
        }

        void await() {
            long start = System.nanoTime();
            while (done.get() < tasks) {
                if (System.nanoTime() - start < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    callerAsleep = true;
                    if (done.get() < tasks) {
                        LockSupport.park(this);
                    }
                }
            }
        }

        void rethrow() {
            switch (failure.get()) {
                case null -> {}
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable e -> throw new IllegalStateException(e);
            }
        }
    }

    private static final class Worker extends Thread {
        private final int index;
        volatile boolean asleep;

        Worker(int index) {
            super("isthmus-" + (index + 1));
            this.index = index;
            setDaemon(true);
        }

        @Override
        public void run() {
            Region last = null;
            while (true) {
                last = next(last);
                if (index < last.helpers) {
                    last.work();
                }
            }
        }

        private Region next(@Nullable Region last) {
            long start = System.nanoTime();
            while (true) {
                Region region = current;
                if (region != null && region != last) {
                    return region;
                }
                if (System.nanoTime() - start < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    asleep = true;
                    region = current;
                    if (region == null || region == last) {
                        LockSupport.park(this);
                    }
                    asleep = false;
                }
            }
        }
    }
}
