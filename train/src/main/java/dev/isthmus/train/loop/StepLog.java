package dev.isthmus.train.loop;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Collects metrics; what is put several times under one key is averaged. */
public final class StepLog {
    private final Map<String, Mean> means = new LinkedHashMap<>();
    private final Consumer<Map<String, ?>> samples;

    private record Mean(double sum, double weight) {}

    /** A log whose samples go to {@code samples}. */
    public StepLog(Consumer<Map<String, ?>> samples) {
        this.samples = samples;
    }

    /** Puts a metric under TRL's key; NaN means that there is none. */
    public void put(String key, double value) {
        put(key, value, 1);
    }

    /** Puts a metric that counts {@code weight} times in the mean. */
    public void put(String key, double value, double weight) {
        if (!Double.isNaN(value) && weight > 0) {
            means.merge(key, new Mean(value * weight, weight), (a, b) -> new Mean(a.sum + b.sum, a.weight + b.weight));
        }
    }

    /** Puts several metrics. */
    public void putAll(Map<String, Double> metrics) {
        putAll(metrics, 1);
    }

    /** Puts several metrics that count {@code weight} times in the means. */
    public void putAll(Map<String, Double> metrics, double weight) {
        metrics.forEach((key, value) -> put(key, value, weight));
    }

    /** Writes a line of {@code samples.jsonl}: {@code prompt}, {@code completion}, {@code reward} and the like. */
    public void sample(Map<String, ?> line) {
        samples.accept(line);
    }

    /** The means. */
    public Map<String, Double> means() {
        Map<String, Double> values = new LinkedHashMap<>();
        means.forEach((key, mean) -> values.put(key, mean.sum / mean.weight));
        return values;
    }

    /** Takes over what another log has collected. */
    void addAll(StepLog other) {
        other.means.forEach(
                (key, mean) -> means.merge(key, mean, (a, b) -> new Mean(a.sum + b.sum, a.weight + b.weight)));
    }

    void clear() {
        means.clear();
    }

    void save(ObjectNode to) {
        means.forEach((key, mean) -> to.putArray(key).add(mean.sum).add(mean.weight));
    }

    void restore(JsonNode from) {
        for (Map.Entry<String, JsonNode> entry : from.properties()) {
            if (entry.getValue() instanceof ArrayNode pair) {
                means.put(
                        entry.getKey(),
                        new Mean(pair.path(0).asDouble(), pair.path(1).asDouble()));
            }
        }
    }
}
