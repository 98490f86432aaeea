package dev.isthmus.train.run;

import java.io.Console;
import java.io.PrintStream;
import java.util.Locale;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Shows how far a run has come.
 *
 * <p>On a terminal one line is redrawn at most ten times a second: bar, steps, a few numbers, tokens a second, time
 * left. Elsewhere plain lines come at growing intervals, the first at once. Results ({@link #line}) go to the standard
 * output and are never overwritten; progress goes to the standard error, so that a redirected output holds results
 * only.
 */
public final class Progress implements AutoCloseable {
    private static final long MILLISECOND = 1_000_000;
    private static final long REDRAW_EVERY = 100 * MILLISECOND;
    private static final long FIRST_LINE_AFTER = 1_000 * MILLISECOND;
    private static final long A_LINE_AT_LEAST_EVERY = 10_000 * MILLISECOND;
    private static final double RATE_MEMORY_NANOS = 5_000.0 * MILLISECOND;
    private static final int BAR_WIDTH = 24;

    // Wrapping is off while the line is drawn: the terminal cuts what is too long, and its width need not be known.
    private static final String START_OF_LINE = "\r\033[?7l";
    private static final String END_OF_LINE = "\033[K\033[?7h";
    private static final String ERASE = "\r\033[K";

    private final PrintStream results;
    private final PrintStream status;
    private final boolean live;
    private final boolean color;
    private final boolean unicode;
    private final LongSupplier nanoTime;
    private @Nullable Stage stage;

    /** Progress for the terminal, or the lack of one, that this process has. */
    public Progress() {
        this(System.out, System.err, isTerminal(), System.getenv("NO_COLOR") == null, System::nanoTime);
    }

    Progress(PrintStream results, PrintStream status, boolean live, boolean color, LongSupplier nanoTime) {
        this.results = results;
        this.status = status;
        this.live = live;
        this.color = color;
        this.unicode = status.charset().newEncoder().canEncode("━");
        this.nanoTime = nanoTime;
    }

    /** Begins a stage of {@code total} steps, ending the one before. */
    public void stage(String name, long total) {
        stage(name, total, 0);
    }

    /** Goes on with a stage of {@code total} steps of which {@code done} were made before an interruption. */
    public synchronized void stage(String name, long total, long done) {
        endStage();
        stage = new Stage(name, total, done, nanoTime.getAsLong());
        if (live) {
            draw(stage);
        } else {
            status.println(name + ": " + count(total) + (total == 1 ? " step" : " steps")
                    + (done > 0 ? ", " + count(done) + " of them done" : ""));
        }
    }

    /**
     * Tells that {@code step} steps of the stage are done.
     *
     * @param tokens how many tokens were processed since the last call; 0 if that is not what the stage does
     * @param text a few numbers, such as {@code loss 1.234}
     */
    public synchronized void update(long step, long tokens, String text) {
        if (stage == null) {
            throw new IllegalStateException("update before stage");
        }
        long now = nanoTime.getAsLong();
        stage.advance(step, tokens, text.replaceAll("\\p{Cntrl}", " "), now);
        boolean last = step >= stage.total;
        if (live) {
            if (last || now - stage.shown >= REDRAW_EVERY) {
                stage.shown = now;
                draw(stage);
            }
        } else if (!last && now - stage.shown >= stage.interval(now)) {
            stage.shown = now;
            status.println(stage.line(stage.position(), now));
        }
    }

    /** Prints a line of results. */
    public synchronized void line(String line) {
        if (!live) {
            results.println(line);
            return;
        }
        status.print(ERASE);
        status.flush();
        results.println(line);
        results.flush();
        if (stage != null) {
            draw(stage);
        }
    }

    /** Ends the stage, leaving a line that sums it up. */
    @Override
    public synchronized void close() {
        endStage();
    }

    private void endStage() {
        if (stage != null) {
            String sum = stage.sum(nanoTime.getAsLong());
            status.println(live ? START_OF_LINE + sum + END_OF_LINE : sum);
            stage = null;
        }
    }

    private void draw(Stage shown) {
        String line = shown.line(bar(shown) + " " + shown.position(), nanoTime.getAsLong());
        status.print(START_OF_LINE + line + END_OF_LINE);
        status.flush();
    }

    private String bar(Stage shown) {
        int full = Math.clamp(shown.step * BAR_WIDTH / Math.max(1, shown.total), 0, BAR_WIDTH);
        String done = (unicode ? "━" : "#").repeat(full);
        String rest = (unicode ? "─" : "-").repeat(BAR_WIDTH - full);
        return color ? "\033[36m" + done + "\033[2;39m" + rest + "\033[0m" : done + rest;
    }

    @SuppressWarnings("SystemConsoleNull") // it depends on the version and on jdk.console
    private static boolean isTerminal() {
        Console console = System.console();
        return console != null && console.isTerminal() && !"dumb".equals(System.getenv("TERM"));
    }

    private static String count(long number) {
        return String.format(Locale.ROOT, "%,d", number);
    }

    /** A duration as {@code m:ss} or {@code h:mm:ss}. */
    static String time(double seconds) {
        long whole = Math.round(seconds);
        return whole < 3600
                ? String.format(Locale.ROOT, "%d:%02d", whole / 60, whole % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    }

    /** A number to three digits: {@code 950}, {@code 9.5k}, {@code 210k}, {@code 1.2M}. */
    static String compact(double value) {
        double scaled = value;
        String unit = "";
        for (String next : new String[] {"k", "M", "G"}) {
            if (scaled < 999.5) {
                break;
            }
            scaled /= 1000;
            unit = next;
        }
        return String.format(Locale.ROOT, unit.isEmpty() || scaled >= 99.95 ? "%.0f" : "%.1f", scaled) + unit;
    }

    private static final class Stage {
        private final String name;
        private final long total;
        private final long firstStep;
        private final long start;
        private long step;
        private long tokens;
        private String text = "";
        private long shown;
        private long measured;
        private long measuredStep;
        private long measuredTokens;
        private double recentNanos;
        private double recentSteps;
        private double recentTokens;

        Stage(String name, long total, long done, long now) {
            this.name = name;
            this.total = total;
            firstStep = done;
            start = now;
            step = done;
            shown = now;
            measured = now;
            measuredStep = done;
        }

        void advance(long newStep, long newTokens, String newText, long now) {
            step = newStep;
            tokens += newTokens;
            text = newText;
            long elapsed = now - measured;
            if (elapsed < MILLISECOND) {
                return;
            }
            // The latest seconds count most: the first steps of a JVM are slow.
            double memory = Math.exp(-elapsed / RATE_MEMORY_NANOS);
            recentNanos = recentNanos * memory + elapsed;
            recentSteps = recentSteps * memory + step - measuredStep;
            recentTokens = recentTokens * memory + tokens - measuredTokens;
            measured = now;
            measuredStep = step;
            measuredTokens = tokens;
        }

        /** How long to wait between plain lines: as long as the stage has lasted, within bounds. */
        long interval(long now) {
            return Math.clamp(now - start, FIRST_LINE_AFTER, A_LINE_AT_LEAST_EVERY);
        }

        String position() {
            return count(step) + "/" + count(total);
        }

        String line(String position, long now) {
            String line = name + "  " + position + (text.isEmpty() ? "" : "  " + text)
                    + tokensPerSecond(recentTokens, recentNanos);
            if (recentSteps > 0 && step < total) {
                line += "  " + time((total - step) * recentNanos / recentSteps / 1e9) + " left";
            } else if (step < total) {
                line += "  " + time((now - start) / 1e9);
            }
            return line;
        }

        String sum(long now) {
            String steps = step < total ? count(step) + " of " + count(total) : count(step);
            return name + "  " + steps + " in " + time((now - start) / 1e9)
                    + (text.isEmpty() ? "" : "  " + text)
                    + tokensPerSecond((double) tokens, (double) (now - start))
                    + (firstStep > 0 ? "  (resumed at " + count(firstStep) + ")" : "");
        }

        private static String tokensPerSecond(double tokens, double nanos) {
            return tokens > 0 && nanos > 0 ? "  " + compact(tokens / nanos * 1e9) + " tokens/s" : "";
        }
    }
}
