package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Panels.NOTHING;

import dev.isthmus.tensor.Machine.KernelSpeed;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * Takes the tiles of the matrix product through the JIT before the first large product, and sees that they came out fast.
 *
 * <p>HotSpot counts calls and rounds of loops until it compiles, and a round costs the same work in a tiny call as in a large
 * one, but a hundredth of the time: some milliseconds of tiny calls replace a second of a product that crawls. Where C1 gives
 * up on a method (see {@link Simd}), the method can stay a hundred times slower than C2 makes it for as long as the process
 * lives: no directive that comes later moves it. So a warning says what to start the process with.
 */
final class TileWarmup {
    /** What compiled code reaches at least, and boxed vectors never do: operations a nanosecond and lane. */
    private static final double MIN_FLOPS_PER_LANE = 0.75;

    private static final String PROBLEM = "a tenth or less of its speed. Start again; if it stays so, "
            + "pass -XX:-TieredCompilation to java (JAVA_TOOL_OPTIONS for ./isthmus), which starts slower and leaves C1 out.";

    private static final long PATIENCE_NANOS = 3_000_000_000L;
    private static final int MIN_CALLS = 20_000;

    /** Enough calls for C1, in which each round is the dearest. */
    private static final int FIRST_CALLS = 250;

    private static final int CALLS = 20;
    private static final int DEPTH = 32;
    private static final int PROBE_DEPTH = 256;
    private static final int PROBE_CALLS = 2000;
    private static final List<Tile> TILES =
            List.of(new Tile("rows of A", false), new Tile("rows of A transposed", true));

    private TileWarmup() {}

    /** Returns when the tiles are fast, once in a process; about a third of a second after the first call. */
    static void once() {
        Once.run();
    }

    private static final class Once {
        static {
            warm();
        }

        static void run() {}
    }

    private static void warm() {
        try (Arena arena = Arena.ofConfined()) {
            long memory = memory(arena);
            for (Tile tile : TILES) {
                tile.call(FIRST_CALLS, 1, memory);
            }
            List<Tile> slow = await(TILES, memory);
            if (!slow.isEmpty()) {
                String names =
                        String.join(" and ", slow.stream().map(Tile::name).toList());
                System.getLogger("isthmus")
                        .log(
                                System.Logger.Level.WARNING,
                                "The JIT left the matrix product of " + names + " at " + PROBLEM);
            }
        }
    }

    private static long memory(Arena arena) {
        return arena.allocate(1 << 17, 64).address();
    }

    /** Calls the tiles until they are fast, and returns those that do not become so. */
    private static List<Tile> await(List<Tile> tiles, long memory) {
        List<Tile> slow = new ArrayList<>(tiles);
        long start = System.nanoTime();
        for (int calls = 0;
                !slow.isEmpty() && (calls < MIN_CALLS || System.nanoTime() - start < PATIENCE_NANOS);
                calls += CALLS) {
            slow.removeIf(tile -> tile.flops(CALLS, DEPTH, memory) > 1e9 * MIN_FLOPS_PER_LANE * Simd.LANES);
        }
        return slow;
    }

    /** Measures the tiles on this thread, with all that they read in the nearest cache, each beside the ceiling. */
    static List<KernelSpeed> measure() {
        once();
        try (Arena arena = Arena.ofConfined()) {
            long memory = memory(arena);
            List<KernelSpeed> speeds = new ArrayList<>();
            for (Tile tile : TILES) {
                double best = 0;
                double ceiling = 0;
                for (int i = 0; i < 10; i++) {
                    ceiling = Math.max(ceiling, MachineProbe.flopsOfOneThread());
                    best = Math.max(best, tile.flops(PROBE_CALLS, PROBE_DEPTH, memory));
                }
                boolean slow = best < 0.3 * ceiling;
                speeds.add(new KernelSpeed("matrix product, " + tile.name, best, ceiling, slow ? PROBLEM : null));
            }
            return speeds;
        }
    }

    private record Tile(String name, boolean turned) {
        /** Operations a second. */
        double flops(int calls, int depth, long memory) {
            long start = System.nanoTime();
            call(calls, depth, memory);
            return 2.0 * calls * depth * GemmTiles.HEIGHT * GemmTiles.WIDTH / (System.nanoTime() - start) * 1e9;
        }

        void call(int calls, int depth, long memory) {
            long b = memory + (1 << 15);
            long d = memory + (1 << 16);
            long ld = GemmTiles.WIDTH * 4L;
            for (int i = 0; i < calls; i++) {
                if (turned) {
                    GemmTiles.turnedTile(depth, memory, b, NOTHING, 0, d, ld);
                } else {
                    GemmTiles.tile(depth, memory, PROBE_DEPTH * 4L, b, NOTHING, 0, d, ld);
                }
            }
        }
    }
}
