package dev.isthmus.train.supervised;

import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.tensor.Device;
import dev.isthmus.train.report.HtmlReport;
import dev.isthmus.train.report.HtmlReport.Figure;
import dev.isthmus.train.report.LineChart;
import dev.isthmus.train.report.LineChart.Axis;
import dev.isthmus.train.report.LineChart.Point;
import dev.isthmus.train.report.LineChart.Series;
import dev.isthmus.train.supervised.SupervisedConfig.Method;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The page that shows what a run came to. */
final class SupervisedReport {
    private SupervisedReport() {}

    static String html(
            SupervisedConfig config,
            String yaml,
            ObjectNode summary,
            List<JsonNode> metrics,
            List<LanguageModel.Text> samples) {
        List<Point> loss = points(metrics, "loss");
        List<Point> evalLoss = points(metrics, "eval_loss");
        String task = config.method() == Method.PRETRAIN ? "Pre-training on " : "Fine-tuning on ";
        HtmlReport page = new HtmlReport(
                task + config.data(),
                String.format(
                        Locale.ROOT,
                        "A model of %,d weights learned from %,d tokens in %,d steps.",
                        summary.path("parameters").asLong(),
                        summary.path("num_tokens").asLong(),
                        summary.path("global_step").asLong()));
        List<Figure> figures = new ArrayList<>();
        figures.add(figure("Loss", loss, "nats a token, mean of the last logged steps"));
        if (!evalLoss.isEmpty()) {
            double first = evalLoss.getFirst().y();
            figures.add(figure(
                    "Held-out loss", evalLoss, String.format(Locale.ROOT, "nats a token, at first %.4f", first)));
            figures.add(new Figure(
                    "Perplexity",
                    String.format(
                            Locale.ROOT, "%.2f", Math.exp(evalLoss.getLast().y())),
                    "of held-out tokens, at first " + String.format(Locale.ROOT, "%.2f", Math.exp(first))));
        }
        page.figures(figures.toArray(Figure[]::new));
        List<Series> losses = new ArrayList<>();
        losses.add(Series.of("training", loss));
        if (!evalLoss.isEmpty()) {
            losses.add(Series.of("held out", evalLoss));
        }
        page.heading("Loss")
                .charts(
                        new LineChart("Loss", "Nats a token.", "optimizer step", Axis.fitted("loss"), losses),
                        chart("Learning rate", metrics, "learning_rate", "In force during the step."),
                        chart("Gradient norm", metrics, "grad_norm", "Before clipping."));
        page.heading("What it writes");
        for (LanguageModel.Text sample : samples) {
            page.paragraph(
                    "After `" + sample.prompt().replaceAll("[`\\s]+", " ").strip() + "`:");
            page.code(sample.prompt() + sample.completion());
        }
        page.heading("Settings").facts(facts(config)).details("config.yaml", r -> r.code(yaml));
        return page.html();
    }

    private static Figure figure(String label, List<Point> points, String note) {
        return new Figure(
                label, String.format(Locale.ROOT, "%.4f", points.getLast().y()), note);
    }

    private static LineChart chart(String title, List<JsonNode> metrics, String key, String note) {
        return new LineChart(
                title,
                note,
                "optimizer step",
                Axis.fitted(title.toLowerCase(Locale.ROOT)),
                Series.of(title.toLowerCase(Locale.ROOT), points(metrics, key)));
    }

    private static List<Point> points(List<JsonNode> metrics, String key) {
        return metrics.stream()
                .filter(line -> line.path(key).isNumber())
                .map(line ->
                        new Point(line.path("step").asLong(), line.path(key).asDouble()))
                .toList();
    }

    private static Map<String, String> facts(SupervisedConfig config) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("seed", Long.toString(config.seed()));
        facts.put("device", Device.cpu().name());
        facts.put("Java", Runtime.version().toString());
        facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        return facts;
    }
}
