package dev.isthmus.train.report;

import java.util.Locale;
import java.util.stream.DoubleStream;

/** A linear axis with ticks at round numbers. */
record Scale(double min, double max, double step) {
    private static final double TOO_LONG = 1e8;

    /**
     * A scale over {@code min} to {@code max} with about {@code ticks} steps.
     *
     * @param whole whether only whole numbers make sense as ticks
     */
    static Scale of(double min, double max, int ticks, boolean whole) {
        double span = max > min ? max - min : 1;
        double power = Math.pow(10, Math.floor(Math.log10(span / ticks)));
        double step = DoubleStream.of(1, 2, 5, 10)
                .map(factor -> factor * power)
                .filter(candidate -> span / candidate <= ticks)
                .findFirst()
                .orElse(10 * power);
        return new Scale(min, min + span, whole ? Math.max(1, step) : step);
    }

    /** The same scale with its ends moved out to ticks. */
    Scale rounded() {
        return new Scale(Math.floor(min / step + 1e-9) * step, Math.ceil(max / step - 1e-9) * step, step);
    }

    double[] ticks() {
        double first = Math.ceil(min / step - 1e-9);
        double last = Math.floor(max / step + 1e-9);
        return DoubleStream.iterate(first, k -> k <= last, k -> k + 1)
                .map(k -> k * step + 0.0) // not minus zero
                .toArray();
    }

    /** Where a value lies, 0 at the minimum and 1 at the maximum. */
    double position(double value) {
        return (value - min) / (max - min);
    }

    /** A tick's label, with as many digits as tell neighboring ticks apart. */
    String label(double tick, boolean percent) {
        double unit = percent ? step * 100 : step;
        int digits = (int) Math.clamp(Math.ceil(-Math.log10(unit) - 1e-9), 0, 12);
        return number(percent ? tick * 100 : tick, digits) + (percent ? " %" : "");
    }

    /** A value's label, with four significant digits. */
    static String value(double value, boolean percent) {
        if (percent) {
            return number(value * 100, 1) + " %";
        }
        int digits = value == 0 ? 0 : (int) Math.clamp(3 - Math.floor(Math.log10(Math.abs(value))), 0, 12);
        String text = number(value, digits);
        return text.contains(".") ? text.replaceFirst("\\.?0+$", "") : text;
    }

    private static String number(double value, int digits) {
        if (Math.abs(value) >= TOO_LONG) {
            return String.format(Locale.ROOT, "%.1e", value);
        }
        String text = String.format(Locale.ROOT, "%,." + digits + "f", value);
        return text.matches("-[0.]+") ? text.substring(1) : text;
    }
}
