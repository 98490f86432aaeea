package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Reads and writes single numbers of any type as doubles, with bounds checks: the scalar twin's memory. */
final class Numbers {
    private Numbers() {}

    static double get(Buffer b, long i) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        return switch (b.dtype()) {
            case FLOAT32 -> s.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            case FLOAT64 -> s.getAtIndex(ValueLayout.JAVA_DOUBLE, at);
            case INT32 -> s.getAtIndex(ValueLayout.JAVA_INT, at);
            case INT64 -> s.getAtIndex(ValueLayout.JAVA_LONG, at);
        };
    }

    static void set(Buffer b, long i, double value) {
        MemorySegment s = b.storage().segment();
        long at = b.offset() + i;
        switch (b.dtype()) {
            case FLOAT32 -> s.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) value);
            case FLOAT64 -> s.setAtIndex(ValueLayout.JAVA_DOUBLE, at, value);
            case INT32 -> s.setAtIndex(ValueLayout.JAVA_INT, at, (int) value);
            case INT64 -> s.setAtIndex(ValueLayout.JAVA_LONG, at, (long) value);
        }
    }

    static int getInt(Buffer b, long i) {
        return b.storage().segment().getAtIndex(ValueLayout.JAVA_INT, b.offset() + i);
    }

    /** An integer of either size, exactly. */
    static long getLong(Buffer b, long i) {
        MemorySegment s = b.storage().segment();
        return b.dtype() == DType.INT64
                ? s.getAtIndex(ValueLayout.JAVA_LONG, b.offset() + i)
                : s.getAtIndex(ValueLayout.JAVA_INT, b.offset() + i);
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
