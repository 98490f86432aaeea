package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.load;

import dev.isthmus.tensor.KernelCall.SumSquares;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** The sum of squares of which the norm of a gradient is the root, in double precision. */
final class SumSquaresKernel {
    private static final VectorSpecies<Double> D =
            VectorSpecies.of(double.class, VectorShape.forBitSize(F.vectorBitSize()));

    /** The partial sums of a sum of squares: as many as the lanes of the widest vectors, so that all widths agree. */
    private static final int SUMS = 16;

    private SumSquaresKernel() {}

    static void run(SumSquares c) {
        int tasks = Math.toIntExact((c.n() + Elements.CHUNK - 1) / Elements.CHUNK);
        double[] sums = new double[tasks];
        Elements.parallel(
                c.n(),
                (from, count) -> sums[(int) (from / Elements.CHUNK)] =
                        sumSquares(count, c.x().plus(from).address()));
        double sum = 0;
        for (double s : sums) {
            sum += s;
        }
        MEM.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, c.out().address(), sum);
    }

    private static double sumSquares(int n, long x) {
        long sums = Scratch.address(Scratch.Use.TAILS, SUMS * 12L);
        long rest = sums + SUMS * 8L;
        int whole = n & -SUMS;
        if (whole < n) {
            MEM.asSlice(rest, SUMS * 4L).fill((byte) 0);
            Panels.copy(1, n - whole, x + whole * 4L, 0, rest, 0);
        }
        for (int lane = 0; lane < SUMS; lane += LANES) {
            sumSquares(whole / SUMS, x + lane * 4L, whole < n ? rest + lane * 4L : 0, sums + lane * 8L);
        }
        double sum = 0;
        for (int i = 0; i < SUMS; i++) {
            sum += MEM.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, sums + i * 8L);
        }
        return sum;
    }

    /** The squares of every {@value #SUMS}th vector, lane by lane. */
    private static void sumSquares(int steps, long x, long rest, long sums) {
        DoubleVector low = DoubleVector.zero(D);
        DoubleVector high = low;
        for (int i = 0; i < steps; i++) {
            FloatVector v = load(x + i * (SUMS * 4L));
            DoubleVector a = (DoubleVector) v.convertShape(VectorOperators.F2D, D, 0);
            DoubleVector b = (DoubleVector) v.convertShape(VectorOperators.F2D, D, 1);
            low = a.fma(a, low);
            high = b.fma(b, high);
        }
        if (rest != 0) {
            FloatVector v = load(rest);
            DoubleVector a = (DoubleVector) v.convertShape(VectorOperators.F2D, D, 0);
            DoubleVector b = (DoubleVector) v.convertShape(VectorOperators.F2D, D, 1);
            low = a.fma(a, low);
            high = b.fma(b, high);
        }
        low.intoMemorySegment(MEM, sums, ORDER);
        high.intoMemorySegment(MEM, sums + D.vectorByteSize(), ORDER);
    }
}
