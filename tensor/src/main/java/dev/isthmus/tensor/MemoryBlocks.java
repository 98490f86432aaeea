package dev.isthmus.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

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
    private static long held;

    private MemoryBlocks() {}

    /** A block with a bump pointer. */
    static final class Block {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory;
        long used;

        Block(long size) {
            memory = arena.allocate(size, 4096); // that fails before there is anything to free
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
        return allocated(() -> Arena.ofAuto().allocate(bytes, 64));
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
        // None fits. What lies idle was made for smaller requests: beyond the limit it goes, or sizes that differ from
        // call to
        // call would pile up.
        if (FREE.stream().mapToLong(Block::free).sum() > IDLE_LIMIT) {
            freeIdle();
        }
        long size = (bytes + BLOCK - 1) / BLOCK * BLOCK;
        Block block = allocated(() -> new Block(size));
        held += size;
        return block;
    }

    /** What {@code allocate} gives; if there is no memory, once more without the blocks that lie idle. */
    private static <T> T allocated(Supplier<T> allocate) {
        try {
            return allocate.get();
        } catch (OutOfMemoryError e) {
            freeIdle();
            return allocate.get();
        }
    }

    private static synchronized void freeIdle() {
        for (Block block : FREE) {
            held -= block.memory.byteSize();
            block.arena.close();
        }
        FREE.clear();
    }

    /** The bytes of all blocks, in use or idle. */
    static synchronized long held() {
        return held;
    }

    static synchronized void giveBack(Block block) {
        block.used = 0;
        FREE.add(block);
    }
}
