package dev.isthmus.bench;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Numbers to compute with: neither all the same nor slow to make. */
public final class Data {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private Data() {}

    /** Numbers between -1 and 1. */
    public static Tensor floats(long... shape) {
        Tensor t = Tensor.empty(DType.FLOAT32, shape);
        MemorySegment memory = t.segment();
        for (long i = 0; i < t.count(); i++) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, (GOLDEN * (i + 1) >> 40) / (float) (1 << 23));
        }
        return t;
    }

    /** Numbers from 0 to {@code bound - 1}. */
    public static Tensor ints(int bound, int count) {
        int[] values = new int[count];
        for (int i = 0; i < count; i++) {
            values[i] = (int) ((GOLDEN * (i + 1) >>> 33) % bound);
        }
        return Tensor.of(values, count);
    }
}
