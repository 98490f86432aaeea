package dev.isthmus.tensor;

/**
 * The element types of tensors, named as PyTorch names them.
 *
 * <p>BFLOAT16 and FLOAT16 are types for storing: arithmetic converts them to FLOAT32, computes, and rounds to the nearest, ties
 * to even. Arithmetic on integers is exact and wraps around.
 */
public enum DType {
    BOOL(1),
    INT8(1),
    INT32(4),
    INT64(8),
    BFLOAT16(2),
    FLOAT16(2),
    FLOAT32(4),
    FLOAT64(8);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** The size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /** Whether tensors of this type can carry gradients. */
    public boolean isFloatingPoint() {
        return compareTo(BFLOAT16) >= 0;
    }

    /** Whether arithmetic on this type happens in FLOAT32. */
    public boolean isHalf() {
        return this == BFLOAT16 || this == FLOAT16;
    }

    /** The smallest type that holds what both hold, but for the size of integers beside floating-point numbers: {@code torch.promote_types}. */
    public static DType promote(DType a, DType b) {
        if (a != b && a.isHalf() && b.isHalf()) {
            return FLOAT32;
        }
        return a.compareTo(b) > 0 ? a : b;
    }
}
