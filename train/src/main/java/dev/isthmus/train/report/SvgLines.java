package dev.isthmus.train.report;

import dev.isthmus.train.report.LineChart.Point;
import dev.isthmus.train.report.LineChart.Series;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/** Draws a {@link LineChart} as inline SVG, its colors left to the page's style sheet. */
final class SvgLines {
    private static final double WIDTH = 480;
    private static final double HEIGHT = 270;
    private static final double TOP = 26;
    private static final double RIGHT = 14;
    private static final double BOTTOM = 42;
    private static final double CHARACTER = 6.7;
    private static final int COLORS = 5;
    private static final int CONTROLS = 3;
    private static final int MOST_POINTS = 300;
    private static final int MOST_MARKERS = 40;
    private static final int MOST_HOVER_TARGETS = 60;

    private final LineChart chart;
    private final Scale x;
    private final Scale y;
    private final double left;
    private final StringBuilder out = new StringBuilder();

    private SvgLines(LineChart chart) {
        this.chart = chart;
        List<Point> all = chart.series().stream()
                .flatMap(series -> series.points().stream())
                .filter(Point::isFinite)
                .toList();
        double[] xs = all.stream().mapToDouble(Point::x).toArray();
        double[] ys = all.stream()
                .flatMapToDouble(
                        p -> p.hasInterval() ? DoubleStream.of(p.y(), p.low(), p.high()) : DoubleStream.of(p.y()))
                .toArray();
        boolean whole = DoubleStream.of(xs).allMatch(v -> v == Math.rint(v));
        x = Scale.of(least(xs), most(xs), 8, whole);
        y = vertical(ys);
        int widest = DoubleStream.of(y.ticks())
                .mapToObj(tick -> y.label(tick, chart.y().percent()))
                .mapToInt(String::length)
                .max()
                .orElse(1);
        left = 12 + CHARACTER * widest;
    }

    static String draw(LineChart chart) {
        return new SvgLines(chart).svg();
    }

    /** The class that gives the series at {@code index} its color and dashes, in the chart and in its legend. */
    static String style(LineChart chart, int index) {
        boolean control = chart.series().get(index).control();
        int rank = (int) chart.series().stream()
                .limit(index)
                .filter(other -> other.control() == control)
                .count();
        return control ? "c" + rank % CONTROLS : "s" + rank % COLORS;
    }

    private Scale vertical(double[] ys) {
        double min =
                Double.isNaN(chart.y().min()) ? least(ys) : Math.min(chart.y().min(), least(ys));
        double max =
                Double.isNaN(chart.y().max()) ? most(ys) : Math.max(chart.y().max(), most(ys));
        if (ys.length == 0) {
            min = Double.isNaN(chart.y().min()) ? 0 : chart.y().min();
            max = Double.isNaN(chart.y().max()) ? min + 1 : chart.y().max();
        } else if (max - min < 1e-12 * Math.abs(max)) {
            double margin = Math.max(Math.abs(max) * 0.1, 1e-3);
            min = Double.isNaN(chart.y().min()) ? min - margin : min;
            max += margin;
        }
        return Scale.of(min, max, 5, false).rounded();
    }

    private static double least(double[] values) {
        return DoubleStream.of(values).min().orElse(0);
    }

    private static double most(double[] values) {
        return DoubleStream.of(values).max().orElse(1);
    }

    private String svg() {
        add(
                "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">",
                WIDTH, HEIGHT, Html.escape(chart.title()));
        axes();
        for (int i = 0; i < chart.series().size(); i++) {
            add("<g class=\"%s\">", style(chart, i));
            List<Point> points = thinned(chart.series().get(i).points());
            band(points);
            line(points);
            add("</g>");
        }
        // Above every line, so that each can be pointed at.
        for (int i = 0; i < chart.series().size(); i++) {
            add("<g class=\"%s\">", style(chart, i));
            markers(chart.series().get(i));
            add("</g>");
        }
        return out.append("</svg>").toString();
    }

    private void axes() {
        double bottom = HEIGHT - BOTTOM;
        add("<g class=\"axis\">");
        for (double tick : y.ticks()) {
            add("<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", left, down(tick), WIDTH - RIGHT);
            String label = y.label(tick, chart.y().percent());
            add("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", left - 6, down(tick) + 4, label);
        }
        for (double tick : x.ticks()) {
            add("<path class=\"tick\" d=\"M%.1f %.1fv4\"/>", across(tick), bottom);
            add(
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>",
                    across(tick), bottom + 17, x.label(tick, false));
        }
        add("<path class=\"base\" d=\"M%.1f %.1fH%.1f\"/>", left, bottom, WIDTH - RIGHT);
        add(
                "<text class=\"label\" x=\"2\" y=\"12\">%s</text>",
                Html.escape(chart.y().label()));
        add(
                "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
                WIDTH - RIGHT, HEIGHT - 6, Html.escape(chart.xLabel()));
        add("</g>");
    }

    private void band(List<Point> points) {
        for (List<Point> run : runs(points, Point::hasInterval)) {
            if (run.size() == 1) {
                Point p = run.getFirst();
                add("<path class=\"bar\" d=\"M%.1f %.1fV%.1f\"/>", across(p.x()), down(p.low()), down(p.high()));
                continue;
            }
            StringBuilder path = new StringBuilder();
            run.forEach(p -> path.append(at(path.isEmpty(), p.x(), p.high())));
            run.reversed().forEach(p -> path.append(at(false, p.x(), p.low())));
            add("<path class=\"band\" d=\"%sZ\"/>", path);
        }
    }

    private void line(List<Point> points) {
        for (List<Point> run : runs(points, Point::isFinite)) {
            StringBuilder path = new StringBuilder();
            run.forEach(p -> path.append(at(path.isEmpty(), p.x(), p.y())));
            add("<path class=\"line\" d=\"%s\"/>", path);
        }
    }

    private void markers(Series series) {
        List<Point> points = series.points().stream().filter(Point::isFinite).toList();
        String visible = points.size() <= MOST_MARKERS ? "dot" : "hit";
        int every = Math.ceilDiv(points.size(), MOST_HOVER_TARGETS);
        for (int i = 0; i < points.size(); i++) {
            if (i % Math.max(1, every) != 0 && i != points.size() - 1) {
                continue;
            }
            Point p = points.get(i);
            String name = chart.series().size() > 1 ? series.name() + ", " : "";
            String value = Scale.value(p.y(), chart.y().percent());
            String interval = p.hasInterval()
                    ? " (" + Scale.value(p.low(), chart.y().percent()) + " to "
                            + Scale.value(p.high(), chart.y().percent()) + ")"
                    : "";
            String title = name + chart.xLabel() + " " + Scale.value(p.x(), false) + ": " + value + interval;
            add(
                    "<g class=\"%s\"><title>%s</title><circle cx=\"%.1f\" cy=\"%.1f\" r=\"10\"/>"
                            + "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"/></g>",
                    visible, Html.escape(title), across(p.x()), down(p.y()), across(p.x()), down(p.y()));
        }
    }

    /** The stretches of points without a gap. */
    private static List<List<Point>> runs(List<Point> points, Predicate<Point> present) {
        List<List<Point>> runs = new ArrayList<>();
        boolean open = false;
        for (Point p : points) {
            boolean here = p.isFinite() && present.test(p);
            if (here && !open) {
                runs.add(new ArrayList<>());
            }
            if (here) {
                runs.getLast().add(p);
            }
            open = here;
        }
        return runs;
    }

    /** At most {@value #MOST_POINTS} points that keep every peak: of each bucket the lowest and the highest. */
    private static List<Point> thinned(List<Point> points) {
        if (points.size() <= MOST_POINTS) {
            return points;
        }
        List<Point> kept = new ArrayList<>();
        int buckets = MOST_POINTS / 2;
        for (int b = 0; b < buckets; b++) {
            List<Point> bucket = points.subList(
                    (int) ((long) points.size() * b / buckets), (int) ((long) points.size() * (b + 1) / buckets));
            Comparator<Point> byValue = Comparator.comparingDouble(Point::y);
            List<Point> finite = bucket.stream().filter(Point::isFinite).toList();
            if (finite.isEmpty()) {
                kept.add(bucket.getFirst());
                continue;
            }
            Point low = finite.stream().min(byValue).orElseThrow();
            Point high = finite.stream().max(byValue).orElseThrow();
            Stream.of(low, high)
                    .distinct()
                    .sorted(Comparator.comparingDouble(Point::x))
                    .forEach(kept::add);
        }
        return kept;
    }

    private String at(boolean first, double px, double py) {
        return String.format(Locale.ROOT, "%s%.1f %.1f", first ? "M" : "L", across(px), down(py));
    }

    private double across(double value) {
        double inset = 8;
        return left + inset + x.position(value) * (WIDTH - RIGHT - left - 2 * inset);
    }

    private double down(double value) {
        return HEIGHT - BOTTOM - y.position(value) * (HEIGHT - BOTTOM - TOP);
    }

    @SuppressWarnings("AnnotateFormatMethod")
    private void add(String format, Object... arguments) {
        out.append(String.format(Locale.ROOT, format, arguments));
    }
}
