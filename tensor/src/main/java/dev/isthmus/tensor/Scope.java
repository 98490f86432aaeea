package dev.isthmus.tensor;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The lifetime of tensors: everything allocated while a scope is the innermost one is freed when it closes.
 *
 * <pre>{@code
 * try (Scope step = Scope.open()) {
 *     Tensor loss = model.loss(batch);
 *     loss.backward();
 * } // every intermediate of the step is gone; parameters, made outside, live on
 * }</pre>
 *
 * <p>A scope belongs to the thread that opened it; scopes of one thread close in reverse order. Tensors lie one
 * behind the other in blocks of 32 MiB, or larger where one tensor is. A process keeps the blocks that a scope gives back: the
 * first training step takes as many as it needs, and later ones of its size take the same and ask the system for nothing.
 * Outside of any scope tensors are freed by the garbage collector.
 */
public final class Scope implements AutoCloseable {
    private static final ThreadLocal<Scope> CURRENT = ThreadLocal.withInitial(() -> new Scope(null, Device.cpu()));
    private static final long ALIGNMENT = 64;

    private final @Nullable Scope parent;
    private final Device device;
    private final int depth;
    private final Thread owner = Thread.currentThread();
    private final List<MemoryBlocks.Block> blocks = new ArrayList<>();
    private final Map<Long, ArrayDeque<MemorySegment>> recycled = new HashMap<>();
    private long used;
    private long innerPeak;
    private boolean open = true;

    private Scope(@Nullable Scope parent, Device device) {
        this.parent = parent;
        this.device = device;
        depth = parent == null ? 0 : parent.depth + 1;
    }

    /** Opens a scope inside the current one, on its device. */
    public static Scope open() {
        return open(current().device);
    }

    /** Opens a scope whose tensors live on {@code device}. */
    public static Scope open(Device device) {
        Scope scope = new Scope(current(), device);
        CURRENT.set(scope);
        return scope;
    }

    /** The innermost open scope of this thread. */
    public static Scope current() {
        return CURRENT.get();
    }

    /** The device that runs what is computed in this scope. */
    public Device device() {
        return device;
    }

    /** The scope around this one; the outermost is its own. */
    Scope parent() {
        return parent == null ? this : parent;
    }

    /** Whether the memory of this scope is there as long as that of {@code other}. */
    boolean outlives(Scope other) {
        return depth <= other.depth;
    }

    /** Whether the memory of this scope can still be used. */
    public boolean isOpen() {
        return open;
    }

    /** The bytes handed out by this scope so far, recycled ones counted once. */
    public long bytes() {
        return blocks.stream().mapToLong(b -> b.used).sum() + used;
    }

    /**
     * The most bytes that this scope and those opened within it have held at once: what a step needs.
     *
     * <p>An inner scope counts when it closes. What this scope hands out while one is open is counted as if it had been there at
     * the inner one's peak, so the figure may be a little high, never low.
     */
    public long peakBytes() {
        return Math.max(bytes(), innerPeak);
    }

    /**
     * Allocates memory that is not cleared.
     *
     * @throws OutOfMemoryException if there is none
     */
    Storage allocate(DType dtype, long length) {
        if (length < 0) {
            throw new TensorException("cannot allocate " + length + " elements of " + dtype);
        }
        if (!open) {
            throw new ScopeException("a tensor of " + dtype + " was asked of a scope that has closed");
        }
        try {
            long bytes = Math.ceilDiv(Math.max(1, Math.multiplyExact(length, dtype.bytes())), ALIGNMENT) * ALIGNMENT;
            return new Storage(this, memory(bytes), dtype, length);
        } catch (OutOfMemoryError | ArithmeticException | IllegalArgumentException e) {
            throw outOfMemory(dtype, length, e);
        }
    }

    private MemorySegment memory(long bytes) {
        if (parent == null) {
            used += bytes;
            return MemoryBlocks.collected(bytes);
        }
        ArrayDeque<MemorySegment> free = recycled.get(bytes);
        if (free != null && !free.isEmpty()) {
            return free.pop();
        }
        for (int i = blocks.size() - 1; i >= 0; i--) {
            if (blocks.get(i).free() >= bytes) {
                return blocks.get(i).slice(bytes);
            }
        }
        blocks.add(MemoryBlocks.take(bytes));
        return blocks.getLast().slice(bytes);
    }

    private OutOfMemoryException outOfMemory(DType dtype, long length, Throwable cause) {
        long around = 0;
        for (Scope s = parent; s != null && s.parent != null; s = s.parent) {
            around += s.bytes();
        }
        return new OutOfMemoryException(
                String.format(
                        Locale.ROOT,
                        "out of native memory: %d elements of %s are %,.1f MiB more; this scope holds %,.1f MiB, the scopes"
                                + " around it %,.1f MiB (%s). Use a smaller batch or length, or Autograd.checkpoint; or allow more"
                                + " with java -XX:MaxDirectMemorySize=SIZE.",
                        length,
                        dtype,
                        length / (double) (1 << 20) * dtype.bytes(),
                        bytes() / (double) (1 << 20),
                        around / (double) (1 << 20),
                        cause.getMessage()),
                cause);
    }

    /** Gives memory back before the scope ends; the caller knows that nothing uses it any more. */
    void recycle(Storage storage) {
        if (storage.scope() == this && open && parent != null) {
            recycled.computeIfAbsent(storage.segment().byteSize(), _ -> new ArrayDeque<>())
                    .push(storage.segment());
        }
    }

    /**
     * Frees everything allocated in this scope.
     *
     * @throws ScopeException if an inner scope is still open, or on another thread than the one that opened it
     */
    @Override
    public void close() {
        if (!open) {
            return;
        }
        if (Thread.currentThread() != owner || CURRENT.get() != this || parent == null) {
            throw new ScopeException("scopes close on their own thread, the innermost first");
        }
        parent.innerPeak = Math.max(parent.innerPeak, parent.bytes() + peakBytes());
        open = false;
        CURRENT.set(parent);
        blocks.forEach(MemoryBlocks::giveBack);
        blocks.clear();
        recycled.clear();
    }
}
