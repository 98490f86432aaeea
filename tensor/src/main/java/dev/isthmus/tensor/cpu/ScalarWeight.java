package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getOr;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Products with stored weights, scalar. */
final class ScalarWeight {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private ScalarWeight() {}

    static void matMul(WeightMatMul c) {
        for (int i = 0; i < c.m(); i++) {
            for (int j = 0; j < c.n(); j++) {
                double sum = 0;
                for (int k = 0; k < c.k(); k++) {
                    sum += get(c.a(), i * c.lda() + k) * weight(c, j, k);
                }
                set(c.c(), i * c.ldc() + j, sum + getOr(c.bias(), j, 0));
            }
        }
    }

    private static float weight(WeightMatMul c, int j, int k) {
        WeightFormat format = c.format();
        if (!format.isPacked()) {
            return weight(format, c.w(), j * format.rowBytes(c.k()), k);
        }
        return PackedWeights.scale(format, c.w(), c.k(), j, k / format.block())
                * PackedWeights.number(format, c.w(), c.k(), j, k);
    }

    static void unpack(UnpackWeight c) {
        for (int i = 0; i < c.rows(); i++) {
            long row = row(c, i) * c.format().rowBytes(c.k());
            for (int k = 0; k < c.k(); k++) {
                set(c.out(), (long) i * c.k() + k, weight(c.format(), c.w(), row, k));
            }
        }
    }

    /** The row of the weight that becomes row {@code i}. */
    static long row(UnpackWeight c, int i) {
        return c.ids() == null ? i : (long) get(c.ids(), i);
    }

    /** Number {@code k} of the row that begins at byte {@code row}. */
    static float weight(WeightFormat format, MemorySegment w, long row, int k) {
        long block = row + format.rowBytes(k / format.block() * format.block());
        int i = k % format.block();
        return switch (format) {
            case F32 -> w.get(FLOAT, block);
            case BF16 -> Float.intBitsToFloat(w.get(SHORT, block) << 16);
            case F16 -> Float.float16ToFloat(w.get(SHORT, block));
            case Q8_0 -> Float.float16ToFloat(w.get(SHORT, block)) * w.get(ValueLayout.JAVA_BYTE, block + 2 + i);
            case Q4_0 -> {
                int q = w.get(ValueLayout.JAVA_BYTE, block + 2 + i % 16) >> (i < 16 ? 0 : 4) & 15;
                yield Float.float16ToFloat(w.get(SHORT, block)) * (q - 8);
            }
        };
    }
}
