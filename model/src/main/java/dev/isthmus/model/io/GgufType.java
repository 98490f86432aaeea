package dev.isthmus.model.io;

import java.util.Optional;

/** The element types of GGUF tensors: plain numbers, or blocks of quantized ones that share a scale. */
public enum GgufType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    I8(24, 1, 1),
    I16(25, 1, 2),
    I32(26, 1, 4),
    I64(27, 1, 8),
    F64(28, 1, 8),
    BF16(30, 1, 2);

    private final int code;
    private final int blockElements;
    private final int blockBytes;

    GgufType(int code, int blockElements, int blockBytes) {
        this.code = code;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
    }

    /** The number in files. */
    public int code() {
        return code;
    }

    /** The number of elements that are stored together. */
    public int blockElements() {
        return blockElements;
    }

    /** The bytes of a block. */
    public int blockBytes() {
        return blockBytes;
    }

    /**
     * The bytes of a tensor, or -1 if its rows are not whole blocks.
     *
     * @throws ArithmeticException if there are more than a long can count
     */
    long bytes(long[] shape) {
        long blocks = 1;
        for (int d = 0; d < shape.length - 1; d++) {
            blocks = Math.multiplyExact(blocks, shape[d]);
        }
        long row = shape.length == 0 ? 1 : shape[shape.length - 1];
        if (row % blockElements != 0) {
            return -1;
        }
        return Math.multiplyExact(Math.multiplyExact(blocks, row / blockElements), (long) blockBytes);
    }

    static Optional<GgufType> of(int code) {
        for (GgufType type : values()) {
            if (type.code == code) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }
}
