package dev.isthmus.train.supervised;

import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

/** What a run prints as it goes. */
final class SupervisedTable {
    private final Progress progress;
    private final long steps;
    private final double secondsBefore;
    private final long start = System.nanoTime();
    private final TextTable table = new TextTable(
            Column.right("step", 8),
            Column.right("loss", 8),
            Column.right("eval loss", 9),
            Column.right("learning rate", 13),
            Column.right("time", 7));

    SupervisedTable(Progress progress, long steps, double secondsBefore) {
        this.progress = progress;
        this.steps = steps;
        this.secondsBefore = secondsBefore;
    }

    /** Seconds this run has taken, interruptions aside. */
    double seconds() {
        return secondsBefore + (System.nanoTime() - start) / 1e9;
    }

    void opening(SupervisedConfig config, String data, long parameters) {
        progress.line(String.format(
                Locale.ROOT,
                "%s: %s; a model of %,d weights; %,d steps of %,d examples",
                config.method().key(),
                data,
                parameters,
                steps,
                config.examplesPerStep()));
        progress.line("");
        progress.line(table.header());
        progress.line(table.rule());
    }

    void row(long step, double loss, double evalLoss, double learningRate) {
        progress.line(table.row(
                String.format(Locale.ROOT, "%,d", step),
                number("%.4f", loss),
                number("%.4f", evalLoss),
                number("%.3g", learningRate),
                String.format(Locale.ROOT, "%d:%02d", (long) seconds() / 60, (long) seconds() % 60)));
    }

    void end(Path directory, ObjectNode summary, List<LanguageModel.Text> samples) {
        progress.close();
        progress.line("");
        LanguageModel.Text sample = samples.getFirst();
        progress.line("It writes:");
        (sample.prompt() + sample.completion()).lines().limit(8).forEach(line -> progress.line("  " + line));
        progress.line("");
        progress.line("Loss curves, samples, settings:  " + directory.resolve("report.html"));
        progress.line("Try next:  ./isthmus generate --model " + directory.resolve("model") + " --prompt '"
                + sample.prompt().lines().findFirst().orElse("").replace("'", "'\\''") + "'");
    }

    /** Both losses, for the line of progress. */
    static String losses(double loss, double evalLoss) {
        return "loss " + number("%.4f", loss)
                + (Double.isNaN(evalLoss) ? "" : "  eval loss " + number("%.4f", evalLoss));
    }

    private static String number(String format, double value) {
        return Double.isNaN(value) ? "" : String.format(Locale.ROOT, format, value);
    }
}
