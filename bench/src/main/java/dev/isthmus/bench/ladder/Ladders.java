package dev.isthmus.bench.ladder;

import dev.isthmus.bench.Bench;
import dev.isthmus.bench.ladder.Ladder.Rung;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Scope;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** Climbs the ladders: each rung is checked against the scalar twin, then timed. */
public final class Ladders {
    private static final int MATRIX = 768;

    private Ladders() {}

    /** Runs all ladders at the sizes of docs/kernels.md; the last rungs use the present number of threads. */
    public static void run(Bench bench) {
        List<Supplier<Ladder>> ladders = List.of(
                () -> new MatMulLadder(MATRIX).ladder(),
                () -> new AttentionLadder(1, 12, 512, 64).ladder(),
                () -> new CrossEntropyLadder(512, 50_257).ladder());
        for (Supplier<Ladder> make : ladders) {
            try (Scope scope = Scope.open()) {
                climb(bench, make.get());
            }
        }
    }

    /**
     * Runs one ladder.
     *
     * @throws IsthmusException if a rung computes something else than the scalar twin
     */
    static void climb(Bench bench, Ladder ladder) {
        bench.report().title(ladder.name());
        int all = Machine.threads();
        try {
            int number = 1;
            for (Rung rung : ladder.rungs()) {
                Machine.setThreads(rung.allThreads() ? all : 1);
                check(ladder, rung);
                Map<String, Object> fields = new LinkedHashMap<>();
                fields.put("op", ladder.name());
                fields.put("rung", rung.name());
                fields.putAll(ladder.shape());
                bench.figure("ladder", number++ + " " + rung.name(), fields, ladder.unit(), ladder.needs(), () -> {
                    rung.run().run();
                    return ladder.result()[0];
                });
            }
        } finally {
            Machine.setThreads(all);
        }
    }

    static void check(Ladder ladder, Rung rung) {
        Arrays.fill(ladder.result(), Float.NaN);
        rung.run().run();
        rung.fetch().run();
        double error = ladder.error();
        if (!(error <= ladder.tolerance())) {
            throw new IsthmusException(String.format(
                    Locale.ROOT,
                    "%s, %s: differs from the scalar twin by %.1e of its largest number; %.0e is allowed",
                    ladder.name(),
                    rung.name(),
                    error,
                    ladder.tolerance()));
        }
    }
}
