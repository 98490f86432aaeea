package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The blocks of ggml's quantized types: to float32 and, for the plain ones, back.
 *
 * <p>The types with a K hold 256 elements in eight or sixteen groups, whose scales are quantized in turn.
 *
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c">their layouts</a>
 */
final class GgufBlocks {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int SMALL = 32;
    private static final int LARGE = 256;

    private final MemorySegment in;
    private final MemorySegment out;
    private long from;
    private long to;

    private GgufBlocks(MemorySegment in, MemorySegment out) {
        this.in = in;
        this.out = out;
    }

    /** Writes the elements of whole blocks to {@code out} as float32, as ggml computes them. */
    static void dequantize(GgufType type, MemorySegment in, MemorySegment out) {
        GgufBlocks blocks = new GgufBlocks(in, out);
        for (; blocks.from < in.byteSize(); blocks.from += type.blockBytes()) {
            switch (type) {
                case Q4_0 -> blocks.nibbles(2, -1, 8);
                case Q4_1 -> blocks.nibbles(4, -1, 0);
                case Q5_0 -> blocks.nibbles(6, 2, 16);
                case Q5_1 -> blocks.nibbles(8, 4, 0);
                case Q8_0 -> blocks.bytes();
                case Q2_K -> blocks.twoBits();
                case Q3_K -> blocks.threeBits();
                case Q4_K -> blocks.fourOrFiveBits(16, -1);
                case Q5_K -> blocks.fourOrFiveBits(48, 16);
                case Q6_K -> blocks.sixBits();
                default -> throw new IllegalArgumentException(type + " is not a type of blocks");
            }
        }
    }

    private float half(long offset) {
        return Float.float16ToFloat(in.get(SHORT, from + offset));
    }

    private int u8(long offset) {
        return in.get(ValueLayout.JAVA_BYTE, from + offset) & 0xff;
    }

    private void put(int at, float value) {
        out.set(FLOAT, to + 4L * at, value);
    }

    /** Two elements a byte, the second in the upper half of the block; with a fifth bit from a word at {@code high}. */
    private void nibbles(int at, int high, int zero) {
        int bits = high < 0 ? 0 : in.get(INT, from + high);
        for (int j = 0; j < SMALL / 2; j++) {
            int q = u8(at + j);
            put(j, scaled(q & 15 | (bits >>> j & 1) << 4, zero));
            put(j + SMALL / 2, scaled(q >> 4 | (bits >>> j + 16 & 1) << 4, zero));
        }
        to += 4L * SMALL;
    }

    /** {@code (q - zero) d}, or {@code q d + m} where the block holds a minimum instead. */
    private float scaled(int q, int zero) {
        return zero > 0 ? (q - zero) * half(0) : q * half(0) + half(2);
    }

    private void bytes() {
        float scale = half(0);
        for (int j = 0; j < SMALL; j++) {
            put(j, (byte) u8(2 + j) * scale);
        }
        to += 4L * SMALL;
    }

    /** Sixteen groups: {@code (q (s & 15) d) - (s >> 4) dmin}. */
    private void twoBits() {
        float d = half(80);
        float min = half(82);
        for (int g = 0; g < 16; g++) {
            int s = u8(g);
            for (int l = 0; l < 16; l++) {
                int q = u8(16 + g / 8 * 32 + g % 2 * 16 + l) >> 2 * (g % 8 / 2) & 3;
                put(16 * g + l, d * (s & 15) * q - min * (s >> 4));
            }
        }
        to += 4L * LARGE;
    }

    /** Sixteen groups with scales of six bits: {@code (q - (h ? 0 : 4)) (s - 32) d}. */
    private void threeBits() {
        float d = half(108);
        for (int g = 0; g < 16; g++) {
            int low = g < 8 ? u8(96 + g) & 15 : u8(96 + g - 8) >> 4;
            int high = u8(104 + g % 4) >> 2 * (g / 4) & 3;
            float scale = d * ((low | high << 4) - 32);
            for (int l = 0; l < 16; l++) {
                int q = u8(32 + g / 8 * 32 + g % 2 * 16 + l) >> 2 * (g % 8 / 2) & 3;
                int h = u8(g % 2 * 16 + l) >> g / 2 & 1;
                put(16 * g + l, scale * (q - (h == 1 ? 0 : 4)));
            }
        }
        to += 4L * LARGE;
    }

    /** Eight groups with scales and minima of six bits: {@code q s d - m dmin}; a fifth bit from {@code high}. */
    private void fourOrFiveBits(int at, int high) {
        float d = half(0);
        float min = half(2);
        for (int g = 0; g < 8; g++) {
            int s = g < 4 ? u8(4 + g) & 63 : u8(4 + g + 4) & 15 | u8(4 + g - 4) >> 6 << 4;
            int m = g < 4 ? u8(4 + g + 4) & 63 : u8(4 + g + 4) >> 4 | u8(4 + g) >> 6 << 4;
            float scale = d * s;
            float shift = min * m;
            for (int l = 0; l < 32; l++) {
                int q = u8(at + g / 2 * 32 + l) >> 4 * (g % 2) & 15;
                int fifth = high < 0 ? 0 : u8(high + l) >> g & 1;
                put(32 * g + l, scale * (q + 16 * fifth) - shift);
            }
        }
        to += 4L * LARGE;
    }

    /** Sixteen groups with signed scales: {@code (q - 32) s d}. */
    private void sixBits() {
        float d = half(208);
        for (int i = 0; i < LARGE; i++) {
            int half = i / 128;
            int quarter = i % 128 / 32;
            int l = i % 32;
            int low = u8(half * 64 + quarter % 2 * 32 + l) >> 4 * (quarter / 2) & 15;
            int high = u8(128 + half * 32 + l) >> 2 * quarter & 3;
            float scale = d * (byte) u8(192 + i / 16);
            put(i, scale * ((low | high << 4) - 32));
        }
        to += 4L * LARGE;
    }

    /**
     * The blocks of float32 elements, of Q8_0 or Q4_0, rounded as ggml does.
     *
     * @throws IsthmusException if an element is not finite, which no scale can hold
     */
    static byte[] quantize(GgufType type, float[] values) {
        byte[] blocks = new byte[values.length / SMALL * type.blockBytes()];
        MemorySegment out = MemorySegment.ofArray(blocks);
        long at = 0;
        for (int start = 0; start < values.length; start += SMALL) {
            float most = 0;
            for (int j = 0; j < SMALL; j++) {
                float value = values[start + j];
                if (!Float.isFinite(value)) {
                    throw new IsthmusException("cannot quantize " + value + " to " + type);
                }
                most = Math.abs(value) > Math.abs(most) ? value : most;
            }
            float scale = type == GgufType.Q8_0 ? Math.abs(most) / 127 : most / -8;
            float inverse = scale == 0 ? 0 : 1 / scale;
            out.set(SHORT, at, Float.floatToFloat16(scale));
            if (type == GgufType.Q8_0) {
                for (int j = 0; j < SMALL; j++) {
                    float q = values[start + j] * inverse;
                    // half away from zero, as C's roundf
                    out.set(ValueLayout.JAVA_BYTE, at + 2 + j, (byte) Math.copySign(Math.floor(Math.abs(q) + 0.5f), q));
                }
            } else {
                for (int j = 0; j < SMALL / 2; j++) {
                    int low = Math.min(15, (int) (values[start + j] * inverse + 8.5f));
                    int high = Math.min(15, (int) (values[start + j + SMALL / 2] * inverse + 8.5f));
                    out.set(ValueLayout.JAVA_BYTE, at + 2 + j, (byte) (low | high << 4));
                }
            }
            at += type.blockBytes();
        }
        return blocks;
    }
}
