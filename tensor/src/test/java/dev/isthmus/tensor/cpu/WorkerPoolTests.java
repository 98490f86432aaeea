package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WorkerPoolTests {
    private final int threads = WorkerPool.threads();

    @BeforeEach
    void fourThreads() {
        WorkerPool.setThreads(4);
    }

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    @Test
    void everyTaskRunsOnce() throws InterruptedException {
        for (int round = 0; round < 2000; round++) {
            int tasks = round % 40;
            AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
            WorkerPool.parallel(tasks, runs::incrementAndGet);
            for (int i = 0; i < tasks; i++) {
                assertThat(runs.get(i)).isEqualTo(1);
            }
            if (round % 500 == 0) {
                Thread.sleep(5); // the workers fall asleep
            }
        }
    }

    @Test
    void tasksRunAtTheSameTimeOnAsManyThreadsAsWereSet() {
        for (int count : new int[] {4, 2, 3}) {
            WorkerPool.setThreads(count);
            Set<Thread> seen = ConcurrentHashMap.newKeySet();
            CountDownLatch all = new CountDownLatch(count);
            WorkerPool.parallel(count, _ -> {
                seen.add(Thread.currentThread());
                all.countDown();
                assertThat(await(all)).isTrue();
            });
            assertThat(seen).hasSize(count).contains(Thread.currentThread());
        }
    }

    @Test
    void whatATaskThrowsReachesTheCallerAndThePoolLivesOn() {
        for (int bad : new int[] {0, 50, 99}) {
            assertThatThrownBy(() -> WorkerPool.parallel(100, i -> {
                        if (i == bad) {
                            throw new IllegalStateException("task " + i);
                        }
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("task " + bad);
        }
        AtomicInteger runs = new AtomicInteger();
        WorkerPool.parallel(100, _ -> runs.incrementAndGet());
        assertThat(runs).hasValue(100);
    }

    @Test
    void regionsInsideOfTasksRunSerially() {
        AtomicInteger runs = new AtomicInteger();
        WorkerPool.parallel(8, _ -> {
            Thread outer = Thread.currentThread();
            WorkerPool.parallel(8, _ -> {
                assertThat(Thread.currentThread()).isSameAs(outer);
                runs.incrementAndGet();
            });
        });
        assertThat(runs).hasValue(64);
    }

    @Test
    void anyThreadMayCallAtAnyTime() throws InterruptedException {
        AtomicInteger runs = new AtomicInteger();
        List<Thread> callers = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            callers.add(Thread.ofPlatform().start(() -> {
                for (int i = 0; i < 200; i++) {
                    WorkerPool.parallel(10, _ -> runs.incrementAndGet());
                }
            }));
        }
        for (Thread caller : callers) {
            caller.join();
        }
        assertThat(runs).hasValue(4 * 200 * 10);
    }

    private static boolean await(CountDownLatch latch) {
        try {
            return latch.await(30, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
