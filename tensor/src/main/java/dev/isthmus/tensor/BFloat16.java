package dev.isthmus.tensor;

/** Conversions of bfloat16 numbers, the upper halves of float32 numbers. ({@link Float#float16ToFloat} does the same for float16.) */
public final class BFloat16 {
    private static final short NAN = 0x7fc0;

    private BFloat16() {}

    /** The same number as a float, exactly. */
    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** The nearest bfloat16 number, of two equally near ones the even one. */
    public static short of(float value) {
        if (Float.isNaN(value)) {
            return NAN;
        }
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }
}
