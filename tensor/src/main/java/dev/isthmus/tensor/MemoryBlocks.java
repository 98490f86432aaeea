package dev.isthmus.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The process's store of large native blocks.
 *
 * <p>Fresh memory costs page faults, so a block that a scope gives back is kept for the next one; but not more of them than a
 * process can be asked to hold for nothing.
 */
final class MemoryBlocks {
    private static final long BLOCK = 32L << 20;
    private static final long IDLE_LIMIT = 1L << 30;
    private static final List<Block> FREE = new ArrayList<>();

    private MemoryBlocks() {}

    /** A block with a bump pointer. */
    static final class Block {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory;
        long used;

        Block(long size) {
            memory = arena.allocate(size, 4096);
        }

        long free() {
            return memory.byteSize() - used;
        }

        MemorySegment slice(long bytes) {
            MemorySegment slice = memory.asSlice(used, bytes);
            used += bytes;
            return slice;
        }
    }

    /** Memory that the garbage collector frees. */
    static MemorySegment collected(long bytes) {
        try {
            return Arena.ofAuto().allocate(bytes, 64);
        } catch (OutOfMemoryError e) {
            throw outOfMemory(bytes, e);
        }
    }

    /** The smallest kept block with {@code bytes} free, or a new one. */
    static synchronized Block take(long bytes) {
        Block best = null;
        for (Block block : FREE) {
            if (block.free() >= bytes && (best == null || block.free() < best.free())) {
                best = block;
            }
        }
        if (best != null) {
            FREE.remove(best);
            return best;
        }
        // None fits. What lies idle was made for smaller requests: beyond the limit it goes, or sizes that differ from call to
        // call would pile up.
        if (FREE.stream().mapToLong(Block::free).sum() > IDLE_LIMIT) {
            FREE.forEach(block -> block.arena.close());
            FREE.clear();
        }
        long size = (bytes + BLOCK - 1) / BLOCK * BLOCK;
        try {
            return new Block(size);
        } catch (OutOfMemoryError e) {
            throw outOfMemory(size, e);
        }
    }

    static synchronized void giveBack(Block block) {
        block.used = 0;
        FREE.add(block);
    }

    private static TensorException outOfMemory(long bytes, OutOfMemoryError cause) {
        return new TensorException(
                "out of native memory: " + (bytes >> 20) + " MiB more were asked for; use a smaller batch or length", cause);
    }
}
