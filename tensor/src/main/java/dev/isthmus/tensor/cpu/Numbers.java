package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.Buffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Reads and writes single numbers of any type as doubles or longs, with bounds checks: the scalar twin's memory. */
final class Numbers {
    private Numbers() {}

    static double get(Buffer b, long i) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        return switch (b.dtype()) {
            case FLOAT32 -> s.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            case FLOAT64 -> s.getAtIndex(ValueLayout.JAVA_DOUBLE, at);
            case BFLOAT16 -> BFloat16.toFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, at));
            case FLOAT16 -> Float.float16ToFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, at));
            case BOOL, INT8, INT32, INT64 -> getLong(b, i);
        };
    }

    /** Numbers of the half types are rounded by way of float32; integers are cut off at the point. */
    static void set(Buffer b, long i, double value) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        switch (b.dtype()) {
            case FLOAT32 -> s.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) value);
            case FLOAT64 -> s.setAtIndex(ValueLayout.JAVA_DOUBLE, at, value);
            case BFLOAT16 -> s.setAtIndex(ValueLayout.JAVA_SHORT, at, BFloat16.of((float) value));
            case FLOAT16 -> s.setAtIndex(ValueLayout.JAVA_SHORT, at, Float.floatToFloat16((float) value));
            case INT32 -> s.setAtIndex(ValueLayout.JAVA_INT, at, (int) value);
            case INT64 -> s.setAtIndex(ValueLayout.JAVA_LONG, at, (long) value);
            case INT8 -> s.set(ValueLayout.JAVA_BYTE, at, (byte) (long) value);
            case BOOL -> s.set(ValueLayout.JAVA_BYTE, at, (byte) (value != 0 ? 1 : 0));
        }
    }

    /** An integer; true is 1. */
    static long getLong(Buffer b, long i) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        return switch (b.dtype()) {
            case BOOL, INT8 -> s.get(ValueLayout.JAVA_BYTE, at);
            case INT32 -> s.getAtIndex(ValueLayout.JAVA_INT, at);
            case INT64 -> s.getAtIndex(ValueLayout.JAVA_LONG, at);
            default -> throw new IllegalArgumentException(b.dtype().name());
        };
    }

    /** Writes an integer, which wraps around in a smaller type. */
    static void setLong(Buffer b, long i, long value) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        switch (b.dtype()) {
            case BOOL -> s.set(ValueLayout.JAVA_BYTE, at, (byte) (value != 0 ? 1 : 0));
            case INT8 -> s.set(ValueLayout.JAVA_BYTE, at, (byte) value);
            case INT32 -> s.setAtIndex(ValueLayout.JAVA_INT, at, (int) value);
            case INT64 -> s.setAtIndex(ValueLayout.JAVA_LONG, at, value);
            case FLOAT64 -> set(b, i, value);
            case BFLOAT16, FLOAT16, FLOAT32 -> set(b, i, (float) value);
        }
    }

    /** {@code to[j] = from[i]}, converted. */
    static void convert(Buffer from, long i, Buffer to, long j) {
        if (from.dtype().isFloatingPoint()) {
            set(to, j, get(from, i));
        } else {
            setLong(to, j, getLong(from, i));
        }
    }

    static int getInt(Buffer b, long i) {
        return b.storage().segment().getAtIndex(ValueLayout.JAVA_INT, b.offset() + i);
    }

    /** {@code to[j] = from[i]}, of one type. */
    static void move(Buffer from, long i, Buffer to, long j) {
        long bytes = from.dtype().bytes();
        MemorySegment.copy(
                from.storage().segment(),
                (from.offset() + i) * bytes,
                to.storage().segment(),
                (to.offset() + j) * bytes,
                bytes);
    }

    static void add(Buffer b, long i, double value) {
        set(b, i, get(b, i) + value);
    }

    /** {@code b[i] = value}, or {@code += value}. */
    static void put(Buffer b, long i, double value, boolean accumulate) {
        set(b, i, accumulate ? get(b, i) + value : value);
    }

    static double getOr(@Nullable Buffer b, long i, double missing) {
        return b == null ? missing : get(b, i);
    }
}
