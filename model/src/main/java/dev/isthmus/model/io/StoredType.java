package dev.isthmus.model.io;

import java.util.Optional;

/**
 * The element types of stored tensors that can be read, named as safetensors names them, and the blocks of GGUF that are used as
 * they are.
 */
public enum StoredType {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U8(1),
    BOOL(1),
    Q8_0(32, 34),
    Q4_0(32, 18);

    private final int block;
    private final int bytes;

    StoredType(int bytes) {
        this(1, bytes);
    }

    StoredType(int block, int bytes) {
        this.block = block;
        this.bytes = bytes;
    }

    /** The number of elements that are stored together. */
    public int block() {
        return block;
    }

    /** The size of one element, or of one block of them, in bytes. */
    public int bytes() {
        return bytes;
    }

    static Optional<StoredType> named(String name) {
        for (StoredType type : values()) {
            if (type.name().equals(name)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }
}
