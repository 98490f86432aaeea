package dev.isthmus.train.loop;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.io.ParameterNames;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a run prints as it goes. */
final class LoopTable {
    private final Progress progress;
    private final List<String> shown;
    private final long steps;
    private final double secondsBefore;
    private final long start = System.nanoTime();
    private final TextTable table;

    LoopTable(Progress progress, List<String> shown, long steps, double secondsBefore) {
        this.progress = progress;
        this.shown = shown;
        this.steps = steps;
        this.secondsBefore = secondsBefore;
        List<Column> columns = new ArrayList<>();
        columns.add(Column.right("step", 8));
        columns.add(Column.right("loss", 8));
        columns.add(Column.right("eval loss", 9));
        shown.forEach(key -> columns.add(Column.right(key, 8)));
        columns.add(Column.right("learning rate", 13));
        columns.add(Column.right("time", 7));
        table = new TextTable(columns);
    }

    /** Seconds this run has taken, interruptions aside. */
    double seconds() {
        return secondsBefore + (System.nanoTime() - start) / 1e9;
    }

    void opening(MethodConfig<?> config, String data, Decoder model, long trainable) {
        long others = trainable - model.size();
        String trained = model.adapters().isEmpty()
                ? ""
                : String.format(Locale.ROOT, " and an adapter of %,d", model.size())
                        + (others == 0
                                ? ", which alone is trained"
                                : String.format(Locale.ROOT, ", which is trained with %,d others", others));
        progress.line(String.format(
                Locale.ROOT,
                "%s: %s; a model of %,d weights%s; %,d steps of %,d examples",
                config.base().method(),
                data,
                ParameterNames.count(model.config()),
                trained,
                steps,
                config.base().examplesPerStep()));
        progress.line("");
        progress.line(table.header());
        progress.line(table.rule());
    }

    /** A row; of a metric that is shown, what is held out comes before what was trained on. */
    void row(long step, double loss, Map<String, Double> last, double learningRate) {
        List<String> cells = new ArrayList<>();
        cells.add(String.format(Locale.ROOT, "%,d", step));
        cells.add(number("%.4f", loss));
        cells.add(number("%.4f", last.getOrDefault("eval_loss", Double.NaN)));
        for (String key : shown) {
            double trained = last.getOrDefault(key, Double.NaN);
            cells.add(number("%.4f", last.getOrDefault("eval_" + key, trained)));
        }
        cells.add(number("%.3g", learningRate));
        cells.add(String.format(Locale.ROOT, "%d:%02d", (long) seconds() / 60, (long) seconds() % 60));
        progress.line(table.row(cells.toArray(String[]::new)));
    }

    void end(Path directory, List<LanguageModel.Text> samples) {
        progress.close();
        progress.line("");
        if (!samples.isEmpty()) {
            LanguageModel.Text sample = samples.getFirst();
            progress.line("It writes:");
            (sample.prompt() + sample.completion()).lines().limit(8).forEach(line -> progress.line("  " + line));
            progress.line("");
        }
        progress.line("Curves, samples, settings:  " + directory.resolve("report.html"));
        if (samples.isEmpty()) {
            progress.line("The model:  " + directory.resolve("model"));
        } else {
            String prompt = samples.getFirst()
                    .prompt()
                    .lines()
                    .filter(line -> !line.isBlank())
                    .findFirst()
                    .orElse("")
                    .replace("'", "'\\''");
            progress.line("Try next:  ./isthmus generate --model " + directory.resolve("model") + " --prompt '" + prompt
                    + "'");
        }
    }

    /** Both losses, for the line of progress. */
    String losses(double loss, Map<String, Double> last) {
        double evalLoss = last.getOrDefault("eval_loss", Double.NaN);
        return "loss " + number("%.4f", loss)
                + (Double.isNaN(evalLoss) ? "" : "  eval loss " + number("%.4f", evalLoss));
    }

    private static String number(String format, double value) {
        return Double.isNaN(value) ? "" : String.format(Locale.ROOT, format, value);
    }
}
