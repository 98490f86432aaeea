package dev.isthmus.tensor;

import java.lang.foreign.MemorySegment;

/** Native memory of one element type, 64-byte aligned, owned by a {@link Scope}. Views of a tensor share it. */
public final class Storage {
    private final Scope scope;
    private final MemorySegment segment;
    private final DType dtype;
    private final long length;

    /** How many gradients share this memory; at 0 it can be used again. */
    int gradOwners;

    /** The number of the node that would have come next when this was last changed in place; 0 if it never was. */
    long changedAt;

    /** The operation whose backward put a gradient here, under another name; empty if none did. */
    String overwrittenBy = "";

    /** What changed it. */
    String changedBy = "";

    Storage(Scope scope, MemorySegment segment, DType dtype, long length) {
        this.scope = scope;
        this.segment = segment;
        this.dtype = dtype;
        this.length = length;
    }

    /** The same memory for a gradient: whoever reads what was here is told that it is gone. */
    Storage overwrite(String op) {
        overwrittenBy = op;
        return new Storage(scope, segment, dtype, length);
    }

    /** The element type. */
    public DType dtype() {
        return dtype;
    }

    /** The number of elements. */
    public long length() {
        return length;
    }

    /** The scope that owns the memory. */
    public Scope scope() {
        return scope;
    }

    /** The memory; it is bounds-checked, the kernels' addresses are not. */
    public MemorySegment segment() {
        return segment;
    }

    /** The native address of the first element. */
    public long address() {
        return segment.address();
    }
}
