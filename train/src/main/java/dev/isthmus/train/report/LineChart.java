package dev.isthmus.train.report;

import java.util.List;

/**
 * Lines over a common axis.
 *
 * @param title what is shown
 * @param note a sentence on how to read it; may be empty
 * @param xLabel what the horizontal axis counts
 * @param y the vertical axis
 * @param series the lines, drawn in this order
 */
public record LineChart(String title, String note, String xLabel, Axis y, List<Series> series) {
    public LineChart {
        series = List.copyOf(series);
    }

    public LineChart(String title, String note, String xLabel, Axis y, Series... series) {
        this(title, note, xLabel, y, List.of(series));
    }

    /**
     * A vertical axis.
     *
     * @param label the quantity and its unit
     * @param percent whether 0.5 is written as 50 %
     * @param min lowest value shown; NaN to fit the data
     * @param max highest value shown; NaN to fit the data
     */
    public record Axis(String label, boolean percent, double min, double max) {
        /** An axis that fits the data. */
        public static Axis fitted(String label) {
            return new Axis(label, false, Double.NaN, Double.NaN);
        }

        /** An axis that starts at 0. */
        public static Axis fromZero(String label) {
            return new Axis(label, false, 0, Double.NaN);
        }

        /** An axis from 0 to 100 %, for values from 0 to 1. */
        public static Axis share(String label) {
            return new Axis(label, true, 0, 1);
        }
    }

    /**
     * A line.
     *
     * @param points in the order of x
     * @param control whether it is there for comparison, and is drawn so
     */
    public record Series(String name, List<Point> points, boolean control) {
        public Series {
            points = List.copyOf(points);
        }

        /** A line that matters. */
        public static Series of(String name, List<Point> points) {
            return new Series(name, points, false);
        }

        /** A line to compare with. */
        public static Series control(String name, List<Point> points) {
            return new Series(name, points, true);
        }
    }

    /**
     * A value with an interval about it; a value that is not finite leaves a gap.
     *
     * @param low lower end of the interval; NaN if there is none
     * @param high upper end of the interval; NaN if there is none
     */
    public record Point(double x, double y, double low, double high) {
        /** A value without an interval. */
        public Point(double x, double y) {
            this(x, y, Double.NaN, Double.NaN);
        }

        boolean isFinite() {
            return Double.isFinite(x) && Double.isFinite(y);
        }

        boolean hasInterval() {
            return Double.isFinite(low) && Double.isFinite(high);
        }
    }
}
