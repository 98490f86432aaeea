package dev.isthmus.tensor;

import java.lang.foreign.ValueLayout;
import java.util.random.RandomGenerator;

/** Buffers for tests of kernels, in the current scope. */
public final class TestMemory {
    private TestMemory() {}

    /** Memory that is not cleared. */
    public static Buffer allocate(DType dtype, long length) {
        return new Buffer(Scope.current().allocate(dtype, length), 0);
    }

    public static Buffer of(float... values) {
        Buffer buffer = allocate(DType.FLOAT32, values.length);
        write(buffer, values);
        return buffer;
    }

    public static Buffer of(int... values) {
        Buffer buffer = allocate(DType.INT32, values.length);
        for (int i = 0; i < values.length; i++) {
            buffer.storage().segment().setAtIndex(ValueLayout.JAVA_INT, i, values[i]);
        }
        return buffer;
    }

    /** Normally distributed numbers. */
    public static Buffer gaussian(RandomGenerator random, int length) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return of(values);
    }

    public static void write(Buffer buffer, float... values) {
        for (int i = 0; i < values.length; i++) {
            buffer.storage().segment().setAtIndex(ValueLayout.JAVA_FLOAT, buffer.offset() + i, values[i]);
        }
    }

    public static float[] read(Buffer buffer, int length) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = buffer.storage().segment().getAtIndex(ValueLayout.JAVA_FLOAT, buffer.offset() + i);
        }
        return values;
    }

    /** A copy on the same scope, for a second device to write to. */
    public static Buffer copy(Buffer buffer, int length) {
        return of(read(buffer, length));
    }
}
