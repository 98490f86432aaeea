package dev.isthmus.train.run;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Lets a run end well when its process is asked to end, by Ctrl-C or SIGTERM: after the step at hand, which is saved, and with
 * the command that goes on with it.
 *
 * <p>The process waits for the end of a step only so long; then it ends with what was saved before.
 */
public final class Interruption implements AutoCloseable {
    /** So much of the wait passes in silence. */
    private static final Duration SILENCE = Duration.ofMillis(500);

    private final RunDirectory directory;
    private final String command;
    private final Duration patience;
    private final Thread hook = new Thread(this::interrupted, "interruption");
    private final CountDownLatch atStepEnd = new CountDownLatch(1);
    private final CountDownLatch saved = new CountDownLatch(1);
    private volatile boolean requested;

    /**
     * Watches over a run until closed.
     *
     * @param command what the run was begun with, such as {@code sft}
     * @param patience how long to wait for {@link #requested} to be asked; zero for a run that never asks
     */
    public Interruption(RunDirectory directory, String command, Duration patience) {
        this.directory = directory;
        this.command = command;
        this.patience = patience;
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /** Whether to save and {@link #end}; to be asked between two steps. */
    public boolean requested() {
        if (requested) {
            atStepEnd.countDown();
        }
        return requested;
    }

    /** Lets the process end, and does not return. */
    public void end() {
        saved.countDown();
        while (true) {
            LockSupport.park(this);
        }
    }

    /** Ends the watch: the run has finished, or failed. */
    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException _) {
            // The process is ending already; the hook need not wait for a step any more.
            atStepEnd.countDown();
            saved.countDown();
        }
    }

    private void interrupted() {
        requested = true;
        try {
            if (!patience.isZero() && !stepEnds(SILENCE)) {
                System.err.println();
                System.err.println("isthmus: stopping after this step, or in " + patience.toSeconds() + " seconds");
                stepEnds(patience);
            }
            if (atStepEnd.getCount() == 0) {
                saved.await();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        if (directory.summary().isEmpty()) {
            System.err.println();
            System.err.println("isthmus: stopped; " + directory.lastCheckpoint() + ", go on with");
            System.err.println("isthmus:   ./isthmus " + command + " --resume " + directory.path());
        }
    }

    private boolean stepEnds(Duration limit) throws InterruptedException {
        return atStepEnd.await(limit.toMillis(), TimeUnit.MILLISECONDS);
    }
}
