package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.ADDRESS;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.STRIDE;

import java.lang.foreign.ValueLayout;

/**
 * Brings rows of matrices into the cache before they are used in pieces.
 *
 * <p>A tile takes a few numbers of many rows at a time: the processor fetches nothing ahead there, and waits for each line. Read
 * in the order of memory, one line comes while others are on their way. Strides are bytes.
 */
final class ReadAhead {
    /** The numbers of a cache line. */
    private static final int LINE = 16;

    private static final long LINE_BYTES = LINE * 4L & STRIDE;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    private ReadAhead() {}

    /** {@code rows} rows of {@code cols} numbers. */
    static void matrix(int rows, int cols, long address, long ld) {
        int sum = 0;
        for (int i = 0; i < rows; i++) {
            sum += row(cols, address + i * ld);
        }
        keep(sum);
    }

    /** Reads a number of each cache line of a row and returns their sum. */
    static int row(int cols, long address) {
        address &= ADDRESS;
        int lines = (cols + LINE - 1) / LINE;
        int sum = 0;
        for (int i = 0; i < lines; i++) {
            sum += MEM.get(INT, address + i * LINE_BYTES);
        }
        return sum;
    }

    /** Stores what was read, so that the compiler does not leave the reading out. */
    static void keep(int sum) {
        MEM.set(INT, Scratch.address(Scratch.Use.LANES, 4), sum);
    }
}
