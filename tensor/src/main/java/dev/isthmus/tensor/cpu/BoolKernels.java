package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.first;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.store;

import dev.isthmus.tensor.KernelCall.Binary;
import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.Where;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Comparisons of float32 numbers, and choices by their results: a mask of lanes for a vector, a byte of 0 or 1 in memory. */
final class BoolKernels {
    private static final long ONES = 0x0101010101010101L;

    private BoolKernels() {}

    // ---- masks and bytes: eight at a time in a long -----------------------------------------------------------------

    /** The mask of as many booleans as a vector has lanes. */
    static VectorMask<Float> mask(long address) {
        long bits = LANES == 4
                ? gather(Integer.toUnsignedLong(MEM.get(ValueLayout.JAVA_INT_UNALIGNED, address)))
                : gather(MEM.get(ValueLayout.JAVA_LONG_UNALIGNED, address));
        if (LANES == 16) {
            bits |= gather(MEM.get(ValueLayout.JAVA_LONG_UNALIGNED, address + 8)) << 8;
        }
        return VectorMask.fromLong(Simd.F, bits);
    }

    /** The mask of {@code n} booleans, fewer than a vector has lanes. */
    static VectorMask<Float> mask(long address, int n) {
        long bits = 0;
        for (int i = 0; i < n; i++) {
            bits |= (long) MEM.get(ValueLayout.JAVA_BYTE, address + i) << i;
        }
        return VectorMask.fromLong(Simd.F, bits);
    }

    static void storeMask(VectorMask<Float> mask, long address) {
        long bits = mask.toLong();
        if (LANES == 4) {
            MEM.set(ValueLayout.JAVA_INT_UNALIGNED, address, (int) spread(bits));
        } else {
            MEM.set(ValueLayout.JAVA_LONG_UNALIGNED, address, spread(bits & 0xff));
        }
        if (LANES == 16) {
            MEM.set(ValueLayout.JAVA_LONG_UNALIGNED, address + 8, spread(bits >>> 8));
        }
    }

    static void storeMask(VectorMask<Float> mask, long address, int n) {
        long bits = mask.toLong();
        for (int i = 0; i < n; i++) {
            MEM.set(ValueLayout.JAVA_BYTE, address + i, (byte) (bits >>> i & 1));
        }
    }

    /** Bit {@code i} of the result is byte {@code i}: the product moves all of them to the uppermost byte. */
    private static long gather(long bytes) {
        return bytes * 0x0102040810204080L >>> 56;
    }

    /** Byte {@code i} of the result is bit {@code i}: each byte keeps its bit, and adding 127 carries it to the sign. */
    private static long spread(long bits) {
        return (bits * ONES & 0x8040201008040201L) + 127 * ONES >>> 7 & ONES;
    }

    /** The address of {@code n} booleans without gaps that equal those at {@code address}, a copy if need be. */
    private static long row(Scratch.Use use, int n, long address, long step) {
        if (step == 1) {
            return address;
        }
        long row = Scratch.address(use, RowLoop.PIECE);
        for (int i = 0; i < n; i++) {
            MEM.set(ValueLayout.JAVA_BYTE, row + i, MEM.get(ValueLayout.JAVA_BYTE, address + i * step));
        }
        return row;
    }

    // ---- comparisons ------------------------------------------------------------------------------------------------

    /** Whether there is a vector form. */
    static boolean has(Binary c) {
        return c.op().isComparison() && new RowLoop(c.shape(), c.strideA(), c.strideB(), c.strideOut()).step(2) == 1;
    }

    static void compare(Binary c) {
        RowLoop loop = new RowLoop(c.shape(), c.strideA(), c.strideB(), c.strideOut());
        loop.run((n, at) -> {
            long a = RowLoop.row(Scratch.Use.ROW_A, n, c.a().plus(at[0]).address(), loop.step(0));
            long b = RowLoop.row(Scratch.Use.ROW_B, n, c.b().plus(at[1]).address(), loop.step(1));
            compare(c.op(), n, a, b, c.out().plus(at[2]).address());
        });
    }

    private static void compare(BinaryOp op, int n, long a, long b, long out) {
        switch (op) {
            case GT -> gt(n, a, b, out);
            case GE -> ge(n, a, b, out);
            case EQ -> eq(n, a, b, out);
            case NE -> ne(n, a, b, out);
            default -> throw new IllegalArgumentException(op.name());
        }
    }

    private static void gt(int n, long aAt, long bAt, long out) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            storeMask(a.compare(VectorOperators.GT, b), out + i);
        }
        if (i < n) {
            FloatVector a = load(aAt + i * 4L, first(n - i));
            FloatVector b = load(bAt + i * 4L, first(n - i));
            storeMask(a.compare(VectorOperators.GT, b), out + i, n - i);
        }
    }

    private static void ge(int n, long aAt, long bAt, long out) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            storeMask(a.compare(VectorOperators.GE, b), out + i);
        }
        if (i < n) {
            FloatVector a = load(aAt + i * 4L, first(n - i));
            FloatVector b = load(bAt + i * 4L, first(n - i));
            storeMask(a.compare(VectorOperators.GE, b), out + i, n - i);
        }
    }

    private static void eq(int n, long aAt, long bAt, long out) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            storeMask(a.compare(VectorOperators.EQ, b), out + i);
        }
        if (i < n) {
            FloatVector a = load(aAt + i * 4L, first(n - i));
            FloatVector b = load(bAt + i * 4L, first(n - i));
            storeMask(a.compare(VectorOperators.EQ, b), out + i, n - i);
        }
    }

    private static void ne(int n, long aAt, long bAt, long out) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector a = load(aAt + i * 4L);
            FloatVector b = load(bAt + i * 4L);
            storeMask(a.compare(VectorOperators.NE, b), out + i);
        }
        if (i < n) {
            FloatVector a = load(aAt + i * 4L, first(n - i));
            FloatVector b = load(bAt + i * 4L, first(n - i));
            storeMask(a.compare(VectorOperators.NE, b), out + i, n - i);
        }
    }

    // ---- choices ----------------------------------------------------------------------------------------------------

    static void where(Where c) {
        RowLoop loop = new RowLoop(c.shape(), c.strideCond(), c.strideA(), c.strideB(), RowLoop.dense(c.shape()));
        loop.run((n, at) -> where(
                n,
                row(Scratch.Use.ROW_A, n, c.cond().plus(at[0]).address(), loop.step(0)),
                RowLoop.row(Scratch.Use.ROW_B, n, c.a().plus(at[1]).address(), loop.step(1)),
                RowLoop.row(Scratch.Use.ROW_C, n, c.b().plus(at[2]).address(), loop.step(2)),
                c.out().plus(at[3]).address()));
    }

    private static void where(int n, long cond, long a, long b, long out) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = i * 4L;
            store(load(b + o).blend(load(a + o), mask(cond + i)), out + o);
        }
        if (i < n) {
            long o = i * 4L;
            VectorMask<Float> rest = first(n - i);
            store(load(b + o, rest).blend(load(a + o, rest), mask(cond + i, n - i)), out + o, rest);
        }
    }
}
