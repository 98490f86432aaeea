package dev.isthmus.model.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.IsthmusException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A tensor as it lies in a file: its name, type and shape, and its bytes, little-endian and row-major.
 *
 * @param name the parameter's name
 * @param typeName the element type as the file names it; {@link #type()} is the one to use
 * @param shape the sizes, outermost first; empty for a scalar
 * @param data the bytes, mostly a view of the mapped file, which need not be aligned
 */
public record TensorEntry(String name, String typeName, long[] shape, MemorySegment data) {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    public TensorEntry(String name, StoredType type, long[] shape, MemorySegment data) {
        this(name, type.name(), shape, data);
    }

    /**
     * The element type.
     *
     * @throws IsthmusException if it is one that cannot be read, such as an 8-bit float
     */
    public StoredType type() {
        return StoredType.named(typeName)
                .orElseThrow(
                        () -> new IsthmusException("The tensor " + ModelFormatException.quote(name) + " has the type "
                                + ModelFormatException.quote(typeName) + ", which cannot be read; readable are "
                                + Arrays.toString(StoredType.values())));
    }

    /** The number of elements. */
    public long elements() {
        return data.byteSize() / type().bytes() * type().block();
    }

    /**
     * Converts the elements to float32 in {@code target}, which has room for exactly that many in native byte order.
     * From F64 it rounds, else it is exact.
     *
     * @throws IsthmusException if this tensor does not hold floating-point numbers, or the sizes differ
     */
    public void copyTo(MemorySegment target) {
        long n = elements();
        if (target.byteSize() != n * Float.BYTES) {
            throw new IsthmusException("The tensor " + ModelFormatException.quote(name) + " has " + n
                    + " elements; the target holds " + target.byteSize() / Float.BYTES);
        }
        ValueLayout.OfFloat out = ValueLayout.JAVA_FLOAT_UNALIGNED;
        switch (type()) {
            case F32 -> MemorySegment.copy(data, INT, 0, target, ValueLayout.JAVA_INT_UNALIGNED, 0, n);
            case F64 -> {
                for (long i = 0; i < n; i++) {
                    target.set(out, i * 4, (float) data.get(DOUBLE, i * 8));
                }
            }
            case F16 -> {
                for (long i = 0; i < n; i++) {
                    target.set(out, i * 4, Float.float16ToFloat(data.get(SHORT, i * 2)));
                }
            }
            case BF16 -> {
                for (long i = 0; i < n; i++) {
                    target.set(out, i * 4, BFloat16.toFloat(data.get(SHORT, i * 2)));
                }
            }
            case Q8_0, Q4_0 -> GgufBlocks.dequantize(GgufType.valueOf(typeName), data, target);
            default -> throw notOfKind("floating-point numbers");
        }
    }

    /**
     * The elements as F32, F16, BF16, Q8_0 or Q4_0, rounded to nearest; the same memory if they are of that type.
     *
     * @param arena how long what is converted lives
     */
    public TensorEntry as(StoredType other, Arena arena) {
        return new TensorEntry(name, other, shape, GgufWriter.encoded(this, GgufType.valueOf(other.name()), arena));
    }

    /** The elements as float32, see {@link #copyTo}. */
    public float[] toFloats() {
        float[] floats = new float[arrayLength()];
        copyTo(MemorySegment.ofArray(floats));
        return floats;
    }

    /** The elements of a floating-point tensor, exactly. */
    public double[] toDoubles() {
        double[] doubles = new double[arrayLength()];
        if (type() == StoredType.F64) {
            MemorySegment.copy(data, DOUBLE, 0, doubles, 0, doubles.length);
        } else {
            float[] floats = toFloats();
            Arrays.setAll(doubles, i -> floats[i]);
        }
        return doubles;
    }

    /** The elements of an integer or boolean tensor; true is 1. */
    public long[] toLongs() {
        long[] longs = new long[arrayLength()];
        switch (type()) {
            case I64 -> Arrays.setAll(longs, i -> data.get(LONG, i * 8L));
            case I32 -> Arrays.setAll(longs, i -> data.get(INT, i * 4L));
            case I16 -> Arrays.setAll(longs, i -> data.get(SHORT, i * 2L));
            case I8 -> Arrays.setAll(longs, i -> data.get(JAVA_BYTE, i));
            case U8, BOOL -> Arrays.setAll(longs, i -> data.get(JAVA_BYTE, i) & 0xff);
            default -> throw notOfKind("integers");
        }
        return longs;
    }

    @Override
    public String toString() {
        return name + " " + typeName + Arrays.toString(shape);
    }

    private int arrayLength() {
        long n = elements();
        if (n > Integer.MAX_VALUE - 8) {
            throw new IsthmusException("The tensor " + ModelFormatException.quote(name) + " has " + n
                    + " elements, too many for a Java array; copy it into a memory segment");
        }
        return (int) n;
    }

    private IsthmusException notOfKind(String wanted) {
        return new IsthmusException(
                "The tensor " + ModelFormatException.quote(name) + " of type " + typeName + " does not hold " + wanted);
    }
}
