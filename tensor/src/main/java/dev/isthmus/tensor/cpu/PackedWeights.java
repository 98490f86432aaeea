package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.KernelCall.PackWeight.ROWS;

import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Weights of blocks as {@link PackWeight} lays them out. */
final class PackedWeights {
    /** The numbers of a block. */
    static final int BLOCK = 32;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private static final long LOW = 0x0F0F0F0F0F0F0F0FL;
    private static final long SIGNS = 0x8080808080808080L;

    private PackedWeights() {}

    /** The bits of a number. */
    static int bits(WeightFormat format) {
        return format == WeightFormat.Q4_0 ? 4 : 8;
    }

    /** The numbers of a panel, without its scales, in bytes. */
    static long numberBytes(WeightFormat format, int k) {
        return (long) ROWS * k * bits(format) / 8;
    }

    static void pack(PackWeight c) {
        int panels = (c.n() + ROWS - 1) / ROWS;
        WorkerPool.parallel(panels, panel -> {
            int rows = Math.min(ROWS, c.n() - panel * ROWS);
            for (int r = 0; r < rows; r++) {
                packRow(c, panel, r);
            }
        });
    }

    private static void packRow(PackWeight c, int panel, int r) {
        MemorySegment w = c.w();
        MemorySegment to = c.packed();
        WeightFormat format = c.format();
        long blockBytes = format.rowBytes(BLOCK);
        long from = ((long) panel * ROWS + r) * format.rowBytes(c.k());
        long first = panel * PackWeight.bytes(format, ROWS, c.k());
        long at = first + r * 4L;
        long scale = first + numberBytes(format, c.k()) + r * 4L;
        for (int block = 0; block < c.k() / BLOCK; block++) {
            to.set(FLOAT, scale, Float.float16ToFloat(w.get(SHORT, from)));
            if (format == WeightFormat.Q4_0) {
                long x = w.get(LONG, from + 2);
                long y = w.get(LONG, from + 10);
                to.set(INT, at, (int) Long.compress(x, LOW));
                to.set(INT, at + ROWS * 4L, (int) Long.compress(y, LOW));
                to.set(INT, at + 2 * ROWS * 4L, (int) Long.compress(x, ~LOW));
                to.set(INT, at + 3 * ROWS * 4L, (int) Long.compress(y, ~LOW));
            } else {
                for (int i = 0; i < 4; i++) {
                    long x = w.get(LONG, from + 2 + i * 8L) ^ SIGNS;
                    to.set(INT, at + 2L * i * ROWS * 4, (int) x);
                    to.set(INT, at + (2L * i + 1) * ROWS * 4, (int) (x >>> 32));
                }
            }
            from += blockBytes;
            at += (long) ROWS * BLOCK * bits(format) / 8;
            scale += ROWS * 4L;
        }
    }

    /** Number {@code x} of row {@code j} without its scale. */
    static int number(WeightFormat format, MemorySegment packed, int k, int j, int x) {
        int bits = bits(format);
        int perInt = 32 / bits;
        long at = j / ROWS * PackWeight.bytes(format, ROWS, k) + ((long) x / perInt * ROWS + j % ROWS) * 4;
        int half = 1 << bits - 1;
        return (packed.get(INT, at) >>> x % perInt * bits & 2 * half - 1) - half;
    }

    /** The scale of block {@code block} of row {@code j}. */
    static float scale(WeightFormat format, MemorySegment packed, int k, int j, int block) {
        long scales = j / ROWS * PackWeight.bytes(format, ROWS, k) + numberBytes(format, k);
        return packed.get(FLOAT, scales + ((long) block * ROWS + j % ROWS) * 4);
    }
}
