package dev.isthmus.tensor;

/**
 * A place in a storage: what a kernel call reads or writes.
 *
 * @param storage the memory
 * @param offset where the buffer starts, in elements
 */
public record Buffer(Storage storage, long offset) {
    /** The type of the elements. */
    public DType dtype() {
        return storage.dtype();
    }

    /** The native address of the first element. */
    public long address() {
        return storage.address() + offset * storage.dtype().bytes();
    }

    /** The buffer that starts {@code elements} further on. */
    public Buffer plus(long elements) {
        return new Buffer(storage, offset + elements);
    }
}
