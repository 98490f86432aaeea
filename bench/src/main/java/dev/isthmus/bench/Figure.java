package dev.isthmus.bench;

import dev.isthmus.bench.Needs.Bound;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One measured figure beside its ceiling: a line of a table, or an object of {@code --json}.
 *
 * @param bench the benchmark
 * @param label what a person calls it
 * @param shape what was measured, as the fields of the JSON object
 * @param unit how the time of a run is said
 * @param peer who did it; null for Isthmus
 * @param extras what else is known of it, as further fields of the JSON object
 */
public record Figure(
        String bench,
        String label,
        Map<String, ?> shape,
        int threads,
        Unit unit,
        Measurement seconds,
        Bound bound,
        @Nullable String peer,
        Map<String, ?> extras) {

    /**
     * A unit of measure.
     *
     * @param perRun how much of it a run does, in the unit; 0 where the figure is the time itself
     * @param perSecond how many of the unit a second has, where the figure is the time
     */
    public record Unit(String name, double perRun, double perSecond) {
        /** Milliseconds a run. */
        public static final Unit MILLISECONDS = new Unit("ms", 0, 1e3);

        /** Seconds a run. */
        public static final Unit SECONDS = new Unit("s", 0, 1);

        /** {@code amount} a run, such as 2e9 of {@code FLOP}; billions of it a second. */
        public static Unit billions(String name, double amount) {
            return new Unit("G" + name + "/s", amount / 1e9, 0);
        }

        /** {@code tokens} a run; tokens a second. */
        public static Unit tokens(double tokens) {
            return new Unit("tokens/s", tokens, 0);
        }

        /** Says a run of {@code seconds} in this unit. */
        public double of(double seconds) {
            return perSecond > 0 ? seconds * perSecond : perRun / seconds;
        }
    }

    /** The same figure of someone else. */
    public Figure by(String name, Measurement measured) {
        return new Figure(bench, label, shape, threads, unit, measured, bound, name, Map.of());
    }

    /** The same figure with more fields. */
    public Figure with(Map<String, ?> more) {
        return new Figure(bench, label, shape, threads, unit, seconds, bound, peer, more);
    }

    /** The median in the unit. */
    public double value() {
        return unit.of(seconds.median());
    }

    /** The ceiling in the unit. */
    public double ceiling() {
        return unit.of(bound.seconds());
    }

    /** How much of the ceiling the median reaches. */
    public double fraction() {
        return bound.seconds() / seconds.median();
    }

    /** The fields of {@code --json}. */
    public Map<String, @Nullable Object> fields() {
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put("bench", bench);
        fields.putAll(shape);
        fields.put("threads", threads);
        fields.put("value", value());
        fields.put("best", unit.of(seconds.best()));
        fields.put("unit", unit.name());
        fields.put("ceiling", ceiling());
        fields.put("ceiling_of", bound.of());
        fields.put("fraction", fraction());
        fields.put("peer", peer);
        fields.putAll(extras);
        return fields;
    }
}
