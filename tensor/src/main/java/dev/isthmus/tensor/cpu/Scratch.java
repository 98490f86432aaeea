package dev.isthmus.tensor.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Native work memory of a thread, 64-byte aligned, allocated once and grown when needed; its contents are not kept. */
final class Scratch {
    /** The uses that one thread can have at once. */
    enum Use {
        PANELS,
        PANEL_BLOCK,
        A_BLOCK,
        SUMS,
        TILE,
        ROWS,
        ROW_A,
        ROW_B,
        ROW_C,
        TAILS,
        ATTENTION,
        LANES,
        PARTIAL_SUMS,
        CONSTANTS,
        WEIGHTS
    }

    private static final ThreadLocal<Scratch> OF_THREAD = ThreadLocal.withInitial(Scratch::new);

    private final MemorySegment[] segments = new MemorySegment[Use.values().length];

    private Scratch() {}

    /** The address of at least {@code bytes} bytes, which are this thread's until it asks for the same use again. */
    static long address(Use use, long bytes) {
        return OF_THREAD.get().get(use.ordinal(), bytes);
    }

    private long get(int use, long bytes) {
        MemorySegment segment = segments[use];
        if (segment == null || segment.byteSize() < bytes) {
            segment = Arena.ofAuto().allocate(Math.max(4096, bytes), 64);
            segments[use] = segment;
        }
        return segment.address();
    }
}
