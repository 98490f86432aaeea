package dev.isthmus.rl.improve;

import dev.isthmus.rl.eval.Interval;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.Device;
import dev.isthmus.train.report.HtmlReport;
import dev.isthmus.train.report.HtmlReport.Answer;
import dev.isthmus.train.report.HtmlReport.Figure;
import dev.isthmus.train.report.HtmlReport.Sample;
import dev.isthmus.train.report.LineChart;
import dev.isthmus.train.report.LineChart.Axis;
import dev.isthmus.train.report.LineChart.Point;
import dev.isthmus.train.report.LineChart.Series;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/** The page that shows what a run came to. */
final class ImproveReport {
    private final Recipe recipe;
    private final RunState state;
    private final Measurement before;
    private final List<Measurement> main;
    private final List<JsonNode> metrics;

    private ImproveReport(Recipe recipe, RunState state, List<JsonNode> metrics) {
        this.recipe = recipe;
        this.state = state;
        this.metrics = metrics;
        before = Objects.requireNonNull(state.before);
        main = state.main();
    }

    static String html(Recipe recipe, String yaml, RunState state, List<Problem> heldOut, List<JsonNode> metrics) {
        return new ImproveReport(recipe, state, metrics).page(yaml, heldOut);
    }

    private String page(String yaml, List<Problem> heldOut) {
        Measurement after = main.getLast();
        Interval gain = Summary.gain(before, after);
        HtmlReport page = new HtmlReport(
                recipe.name() + ": " + percent(before.accuracy()) + " \u2192 " + percent(after.accuracy()),
                recipe.description());
        page.figures(
                figure("Solved before", before, "accuracy"),
                figure("Solved after", after, "accuracy"),
                new Figure(
                        "Gain",
                        points(gain.mean()),
                        "95 % interval " + points(gain.low()) + " to " + points(gain.high())));
        page.paragraph("Solved: the share of " + before.solved().length()
                + " held-out problems whose greedy answer the verifier finds right. No problem of this set, in any order of "
                + "its numbers, was ever trained on. Bands are 95 % bootstrap intervals over problems.");
        page.heading("Round by round").charts(accuracy(), series("Reward", "reward", "share of answers found right"));
        page.charts(
                series("Entropy", "entropy", "nats a token, of sampled answers"),
                series("Length of answers", "completions/mean_length", "tokens"));
        page.table(header(), rows());
        List<HeldOut.Part> parts = HeldOut.byDifficulty(heldOut, before, after);
        if (!parts.isEmpty()) {
            List<List<String>> rows = HeldOut.rows(parts, recipe.eval().samples());
            page.heading("Beside people").table(rows.getFirst(), rows.subList(1, rows.size()));
        }
        LineChart learned = learned();
        page.heading("Training");
        if (learned.series().getFirst().points().isEmpty()) {
            page.charts(loss());
        } else {
            page.charts(loss(), learned);
        }
        page.heading("Answers before and after").samples("Base model", "Improved model", samples(heldOut, after));
        page.heading("Recipe").facts(facts()).details("config.yaml", r -> r.code(yaml));
        return page.html();
    }

    private LineChart accuracy() {
        List<Series> series = new ArrayList<>();
        series.add(Series.of("solved (greedy)", points(main, "accuracy")));
        series.add(Series.of("solved by a sample", points(main, "pass_at_1")));
        series.add(Series.of("solved by one of 8 samples", points(main, "pass_at_8")));
        state.rounds.forEach((key, list) -> {
            if (!key.equals(Control.NONE.key())) {
                series.add(Series.control("control: " + key.replace('_', ' '), points(list, "accuracy")));
            }
        });
        return new LineChart(
                "Held-out problems solved", "Round 0 is the base model.", "round", Axis.share("solved"), series);
    }

    private List<Point> points(List<Measurement> rounds, String figure) {
        List<Point> points = new ArrayList<>();
        List<Measurement> all = new ArrayList<>(List.of(before));
        all.addAll(rounds);
        for (int i = 0; i < all.size(); i++) {
            if (!Double.isNaN(all.get(i).figure(figure))) {
                Interval band = all.get(i).interval(figure);
                points.add(new Point(i, all.get(i).figure(figure), band.low(), band.high()));
            }
        }
        return points;
    }

    /** A metric of the improvement by step, and of the controls. */
    private LineChart series(String title, String key, String note) {
        List<Series> series = new ArrayList<>();
        for (String stage : state.rounds.keySet()) {
            boolean isMain = stage.equals(Control.NONE.key());
            List<Point> points = new ArrayList<>();
            for (JsonNode line : metrics) {
                JsonNode value = line.get(isMain ? key : stage + "/" + key);
                if (value != null && value.isNumber()) {
                    points.add(new Point(points.size() + 1, value.asDouble()));
                }
            }
            series.add(isMain ? Series.of("verified", points) : Series.control(stage.replace('_', ' '), points));
        }
        return new LineChart(title, note, "generation batch", Axis.fitted(title.toLowerCase(Locale.ROOT)), series);
    }

    private LineChart loss() {
        List<Point> points = new ArrayList<>();
        for (JsonNode line : metrics) {
            JsonNode value = line.get("loss");
            if (value != null && value.isNumber()) {
                points.add(new Point(line.get("step").asLong(), value.asDouble()));
            }
        }
        return new LineChart(
                "Loss",
                "Pre-training first, then the improvement.",
                "optimizer step",
                Axis.fitted("loss"),
                List.of(Series.of("loss", points)));
    }

    private LineChart learned() {
        List<Point> points = new ArrayList<>();
        for (JsonNode line : metrics) {
            JsonNode value = line.get("eval_accuracy");
            if (value != null) {
                points.add(new Point(line.get("step").asLong(), value.asDouble()));
            }
        }
        return new LineChart(
                "Dev problems solved while pre-training",
                "The base model is what has learned enough: "
                        + percent(recipe.pretrain().targetAccuracy()) + ".",
                "optimizer step",
                Axis.share("solved"),
                List.of(Series.of("solved (greedy)", points)));
    }

    private static List<String> header() {
        return List.of("model", "solved", "95 % interval", "sampled", "pass@8", "maj@8", "well formed", "length");
    }

    private List<List<String>> rows() {
        List<List<String>> rows = new ArrayList<>();
        rows.add(row("base", before));
        state.rounds.forEach((key, list) -> {
            for (int i = 0; i < list.size(); i++) {
                String stage = key.equals(Control.NONE.key()) ? "round " : key.replace('_', ' ') + ", round ";
                rows.add(row(stage + (i + 1), list.get(i)));
            }
        });
        return rows;
    }

    private static List<String> row(String name, Measurement m) {
        Interval interval = m.interval("accuracy");
        return List.of(
                name,
                percent(m.accuracy()),
                percent(interval.low()) + " \u2013 " + percent(interval.high()),
                percent(m.figure("pass_at_1")),
                percent(m.figure("pass_at_8")),
                percent(m.figure("maj_at_8")),
                percent(m.figure("formatted")),
                String.format(Locale.ROOT, "%.1f", m.figure("mean_length")));
    }

    /** The first problems that one of the models got wrong, and a few that both got right. */
    private List<Sample> samples(List<Problem> heldOut, Measurement after) {
        List<Sample> samples = new ArrayList<>();
        for (int i = 0; i < before.shown().size() && i < heldOut.size(); i++) {
            samples.add(new Sample(
                    heldOut.get(i).prompt(),
                    new Answer(before.shown().get(i), before.solved(i)),
                    new Answer(after.shown().get(i), after.solved(i))));
        }
        return samples;
    }

    private Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("task", recipe.makeTask().name());
        facts.put("method", recipe.improve().getClass().getSimpleName());
        if (!recipe.papers().isEmpty()) {
            facts.put("papers", String.join("; ", recipe.papers()));
        }
        if (!recipe.departures().isEmpty()) {
            facts.put("departs from them in", recipe.departures());
        }
        facts.put("seed", Long.toString(recipe.seed()));
        facts.put("device", Device.cpu().name());
        facts.put("Java", Runtime.version().toString());
        facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        return facts;
    }

    private static Figure figure(String label, Measurement m, String key) {
        Interval interval = m.interval(key);
        return new Figure(
                label,
                percent(m.figure(key)),
                "95 % interval " + percent(interval.low()) + " to " + percent(interval.high()));
    }

    private static String percent(double share) {
        return Double.isNaN(share) ? "\u2013" : String.format(Locale.ROOT, "%.1f %%", 100 * share);
    }

    private static String points(double share) {
        return String.format(Locale.ROOT, "%+.1f points", 100 * share);
    }
}
