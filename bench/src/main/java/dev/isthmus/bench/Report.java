package dev.isthmus.bench;

import dev.isthmus.tensor.Machine.Ceilings;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.io.PrintWriter;
import java.util.Locale;
import tools.jackson.databind.json.JsonMapper;

/** Writes figures as they come: a table for people, or one JSON object a line and what else there is to say on stderr. */
public final class Report {
    private static final TextTable TABLE = new TextTable(
            Column.left("", 46),
            Column.right("threads", 7),
            Column.right("median", 9),
            Column.right("best", 9),
            Column.left("unit", 8),
            Column.right("of the ceiling", 14),
            Column.left("", 0));

    private final PrintWriter out;
    private final PrintWriter err;
    private final boolean json;

    /** A report to {@code out}; with {@code json}, notes go to {@code err}. */
    public Report(PrintWriter out, PrintWriter err, boolean json) {
        this.out = out;
        this.err = err;
        this.json = json;
    }

    /** What the figures that follow are about. */
    public void title(String title) {
        if (!json) {
            out.println();
            out.println(title);
            out.println(TABLE.header());
            out.flush();
        }
    }

    /** The ceilings that the next figures are held against. */
    public void ceilings(int threads, Ceilings c) {
        note(String.format(
                Locale.ROOT,
                "ceilings, %s: %.0f GFLOP/s of fused multiply-adds, %.1f GB/s read, %.1f GB/s updated in place",
                threads == 1 ? "1 thread" : threads + " threads",
                c.flops() / 1e9,
                c.readBytes() / 1e9,
                c.updateBytes() / 1e9));
    }

    /** A line for people. */
    public void note(String line) {
        (json ? err : out).println(line);
        (json ? err : out).flush();
    }

    /** A figure of Isthmus. */
    public void add(Figure figure) {
        if (json) {
            object(figure);
        } else {
            out.println(row(figure.label(), figure, ""));
            out.flush();
        }
    }

    /** A figure of a peer, which did what {@code ours} is about. */
    public void add(Figure peer, Figure ours) {
        if (json) {
            object(peer);
        } else {
            double ratio = peer.seconds().median() / ours.seconds().median();
            out.println(row(
                    "    " + peer.peer(), peer, String.format(Locale.ROOT, "Isthmus is %.2f times as fast", ratio)));
            out.flush();
        }
    }

    private void object(Figure figure) {
        out.println(JsonMapper.shared().writeValueAsString(figure.fields()));
        out.flush();
    }

    private static String row(String label, Figure f, String remark) {
        return TABLE.row(
                label,
                Integer.toString(f.threads()),
                number(f.value()),
                number(f.unit().of(f.seconds().best())),
                f.unit().name(),
                String.format(
                        Locale.ROOT, "%.0f%% %s", 100 * f.fraction(), f.bound().of()),
                remark);
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, value < 10 ? "%.2f" : "%.1f", value);
    }
}
