package dev.isthmus.train.loop;

import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.tensor.Device;
import dev.isthmus.train.report.HtmlReport;
import dev.isthmus.train.report.HtmlReport.Figure;
import dev.isthmus.train.report.LineChart;
import dev.isthmus.train.report.LineChart.Axis;
import dev.isthmus.train.report.LineChart.Point;
import dev.isthmus.train.report.LineChart.Series;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The page that shows what a run came to. */
final class LoopReport {
    private static final String EVAL = "eval_";

    /** What every line has and no chart needs. */
    private static final Set<String> NOT_CHARTED =
            Set.of("step", "num_tokens", "epoch", "loss", "learning_rate", "grad_norm");

    private LoopReport() {}

    static String html(
            MethodConfig<?> config, ObjectNode summary, List<JsonNode> metrics, List<LanguageModel.Text> samples) {
        String method = config.base().method();
        HtmlReport page = new HtmlReport(
                method
                        + (config.base().data() == null
                                ? ""
                                : " on " + config.base().data()),
                String.format(
                        Locale.ROOT,
                        "A model of %,d weights learned from %,d tokens in %,d steps.",
                        summary.path("parameters").asLong(),
                        summary.path("num_tokens").asLong(),
                        summary.path("global_step").asLong()));
        page.figures(figures(metrics, method).toArray(Figure[]::new));
        List<LineChart> charts = new ArrayList<>();
        charts.add(chart("loss", metrics, "Mean of the last logged steps."));
        for (String key : keys(metrics)) {
            charts.add(chart(key, metrics, ""));
        }
        charts.add(chart("learning_rate", metrics, "In force during the step."));
        charts.add(chart("grad_norm", metrics, "Before clipping."));
        page.heading("Metrics").charts(charts.toArray(LineChart[]::new));
        if (!samples.isEmpty()) {
            page.heading("What it writes");
        }
        for (LanguageModel.Text sample : samples) {
            page.paragraph(
                    "After `" + sample.prompt().replaceAll("[`\\s]+", " ").strip() + "`:");
            page.code(sample.prompt() + sample.completion());
        }
        page.heading("Settings").facts(facts(config)).details("config.yaml", r -> r.code(config.yaml()));
        return page.html();
    }

    private static List<Figure> figures(List<JsonNode> metrics, String method) {
        List<Figure> figures = new ArrayList<>();
        List<Point> loss = points(metrics, "loss");
        if (!loss.isEmpty()) {
            figures.add(figure("Loss", loss.getLast().y(), "mean of the last logged steps"));
        }
        List<Point> evalLoss = points(metrics, "eval_loss");
        if (!evalLoss.isEmpty()) {
            double first = evalLoss.getFirst().y();
            double last = evalLoss.getLast().y();
            figures.add(figure("Held-out loss", last, String.format(Locale.ROOT, "at first %.4f", first)));
            if (method.equals("pretrain") || method.equals("sft")) {
                String before = String.format(Locale.ROOT, "of held-out tokens, at first %.2f", Math.exp(first));
                figures.add(new Figure("Perplexity", String.format(Locale.ROOT, "%.2f", Math.exp(last)), before));
            }
        }
        for (String key : List.of("rewards/accuracies", "accuracy", "reward")) {
            List<Point> held = points(metrics, EVAL + key);
            List<Point> points = held.isEmpty() ? points(metrics, key) : held;
            if (!points.isEmpty()) {
                String from = held.isEmpty() ? "of what was trained on" : "held out";
                figures.add(figure(key, points.getLast().y(), from));
            }
        }
        return figures;
    }

    private static Figure figure(String label, double value, String note) {
        return new Figure(label, String.format(Locale.ROOT, "%.4f", value), note);
    }

    /** The metrics of this kind of training, each once. */
    private static Set<String> keys(List<JsonNode> metrics) {
        Set<String> keys = new LinkedHashSet<>();
        for (JsonNode line : metrics) {
            for (String name : line.propertyNames()) {
                String key = name.startsWith(EVAL) ? name.substring(EVAL.length()) : name;
                if (!NOT_CHARTED.contains(key) && line.path(name).isNumber()) {
                    keys.add(key);
                }
            }
        }
        return keys;
    }

    private static LineChart chart(String key, List<JsonNode> metrics, String note) {
        List<Series> series = new ArrayList<>();
        List<Point> trained = points(metrics, key);
        List<Point> held = points(metrics, EVAL + key);
        if (held.isEmpty()) {
            series.add(Series.of(key, trained));
        } else {
            if (!trained.isEmpty()) {
                series.add(Series.of("training", trained));
            }
            series.add(Series.of("held out", held));
        }
        return new LineChart(key, note, "optimizer step", Axis.fitted(key), series);
    }

    private static List<Point> points(List<JsonNode> metrics, String key) {
        return metrics.stream()
                .filter(line -> line.path(key).isNumber())
                .map(line ->
                        new Point(line.path("step").asLong(), line.path(key).asDouble()))
                .toList();
    }

    private static Map<String, String> facts(MethodConfig<?> config) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("seed", Long.toString(config.base().seed()));
        facts.put("device", Device.cpu().name());
        facts.put("Java", Runtime.version().toString());
        facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        return facts;
    }
}
