package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.bench.peer.Peer;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Machine.Ceilings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;

/**
 * One run of benchmarks: how much effort, where figures go, who is compared with.
 *
 * <p>Who is measured has the machine to itself: Isthmus and its peers take turns, figure by figure. The ceilings are measured
 * again between figures, since what a shared machine lets one see of them changes by the minute.
 */
public final class Bench {
    private static final double CEILINGS_SECONDS = 5;
    private static final int FIRST_PROBES = 3;

    private final Report report;
    private final Effort effort;
    private final List<Peer> peers;
    private final Supplier<Ceilings> probe;
    private final Map<Integer, Ceilings> ceilings = new LinkedHashMap<>();
    private final Map<Integer, Long> probed = new LinkedHashMap<>();

    /** A run whose ceilings come from {@link Machine#measure()}. */
    public Bench(Report report, Effort effort, List<Peer> peers) {
        this(report, effort, peers, Machine::measure);
    }

    Bench(Report report, Effort effort, List<Peer> peers, Supplier<Ceilings> probe) {
        this.report = report;
        this.effort = effort;
        this.peers = List.copyOf(peers);
        this.probe = probe;
    }

    /** Where figures go. */
    public Report report() {
        return report;
    }

    /** How much time each figure may take. */
    public Effort effort() {
        return effort;
    }

    /**
     * What the machine can do at most on the present number of threads: the best that was seen in this run, since whatever else
     * the machine does can only lower it.
     */
    public Ceilings ceilings() {
        int threads = Machine.threads();
        Ceilings known = ceilings.get(threads);
        if (known == null) {
            known = probe.get();
            for (int i = 1; i < FIRST_PROBES; i++) {
                known = larger(known, probe.get());
            }
            report.ceilings(threads, known);
        } else if ((System.nanoTime() - probed.getOrDefault(threads, 0L)) / 1e9 > CEILINGS_SECONDS) {
            known = larger(known, probe.get());
        } else {
            return known;
        }
        ceilings.put(threads, known);
        probed.put(threads, System.nanoTime());
        return known;
    }

    private static Ceilings larger(Ceilings a, Ceilings b) {
        return new Ceilings(
                Math.max(a.flops(), b.flops()),
                Math.max(a.readBytes(), b.readBytes()),
                Math.max(a.updateBytes(), b.updateBytes()));
    }

    /**
     * Measures {@code run}, then each peer that can do the same, and reports all.
     *
     * @param shape the fields that say what is measured; a peer is asked for the same
     */
    public Figure figure(String bench, String label, Map<String, ?> shape, Unit unit, Needs needs, DoubleSupplier run) {
        Figure ours = measure(bench, label, shape, unit, needs, run);
        report(ours);
        return ours;
    }

    /** Measures {@code run} without a report. */
    public Figure measure(
            String bench, String label, Map<String, ?> shape, Unit unit, Needs needs, DoubleSupplier run) {
        Ceilings most = ceilings();
        Measurement measured = Measurement.of(effort, run);
        return new Figure(bench, label, shape, Machine.threads(), unit, measured, needs.on(most), null, Map.of());
    }

    /** Reports a figure and what the peers reach. */
    public void report(Figure ours) {
        report.add(ours);
        for (Peer peer : peers) {
            peer.measure(ours, effort).ifPresent(m -> report.add(ours.by(peer.name(), m), ours));
        }
    }
}
