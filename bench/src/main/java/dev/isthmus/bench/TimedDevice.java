package dev.isthmus.bench;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** A device that notes how long another one takes for each kind of call. */
final class TimedDevice implements Device {
    private static final int SHOWN = 8;

    private final Device device;
    private final Map<Class<?>, Long> nanos = new HashMap<>();
    private long total;
    private long calls;

    TimedDevice(Device device) {
        this.device = device;
    }

    @Override
    public void run(KernelCall call) {
        long start = System.nanoTime();
        device.run(call);
        long spent = System.nanoTime() - start;
        total += spent;
        calls++;
        nanos.merge(call.getClass(), spent, Long::sum);
    }

    @Override
    public String name() {
        return device.name() + ", timed";
    }

    /** Seconds inside of calls. */
    double seconds() {
        return total / 1e9;
    }

    long calls() {
        return calls;
    }

    /** Seconds by kind of call. */
    Map<String, Double> byKind() {
        Map<String, Double> seconds = new HashMap<>();
        nanos.forEach((kind, spent) -> seconds.put(kind.getSimpleName(), spent / 1e9));
        return seconds;
    }

    /** The kinds of call that take most of {@code seconds}, with their shares. */
    String shares(double seconds) {
        return byKind().entrySet().stream()
                .sorted(Map.Entry.<String, Double>comparingByValue(Comparator.reverseOrder()))
                .limit(SHOWN)
                .map(e -> String.format(Locale.ROOT, "%s %.1f%%", e.getKey(), 100 * e.getValue() / seconds))
                .collect(Collectors.joining(", "));
    }

    void reset() {
        nanos.clear();
        total = 0;
        calls = 0;
    }
}
