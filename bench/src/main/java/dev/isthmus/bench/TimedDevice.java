package dev.isthmus.bench;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import java.util.HashMap;
import java.util.Map;

/** A device that notes how long another one takes for each kind of call. */
final class TimedDevice implements Device {
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

    void reset() {
        nanos.clear();
        total = 0;
        calls = 0;
    }
}
