package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.Gather;
import dev.isthmus.tensor.KernelCall.Scatter;
import dev.isthmus.tensor.KernelCall.Sort;
import java.util.Arrays;
import java.util.Comparator;

/** Elements picked by index, and their order, scalar. */
final class ScalarIndex {
    private ScalarIndex() {}

    static void gather(Gather c) {
        long[] at = new long[c.shape().length];
        long count = ScalarElementwise.count(c.shape());
        for (long i = 0; i < count; i++) {
            Numbers.move(c.x(), picked(at, c.dim(), c.strideX(), c.index(), c.strideIndex()), c.out(), i);
            ScalarElementwise.advance(at, c.shape());
        }
    }

    static void scatter(Scatter c) {
        long[] at = new long[c.shape().length];
        for (long i = ScalarElementwise.count(c.shape()); i > 0; i--) {
            long to = picked(at, c.dim(), c.strideX(), c.index(), c.strideIndex());
            long from = ScalarElementwise.offset(at, c.strideSrc());
            if (c.accumulate()) {
                Numbers.add(c.x(), to, Numbers.get(c.src(), from));
            } else {
                Numbers.move(c.src(), from, c.x(), to);
            }
            ScalarElementwise.advance(at, c.shape());
        }
    }

    /** Where the element {@code at} lies whose place along {@code dim} the index says. */
    private static long picked(long[] at, int dim, long[] strideX, Buffer index, long[] strideIndex) {
        long pick = Numbers.getLong(index, ScalarElementwise.offset(at, strideIndex));
        return ScalarElementwise.offset(at, strideX) + (pick - at[dim]) * strideX[dim];
    }

    static void sort(Sort c) {
        Integer[] order = new Integer[c.cols()];
        for (int row = 0; row < c.rows(); row++) {
            Arrays.setAll(order, i -> i);
            Comparator<Integer> ascending = comparator(c.x().plus((long) row * c.cols()));
            Arrays.sort(order, c.descending() ? ascending.reversed() : ascending);
            for (int i = 0; i < c.k(); i++) {
                Numbers.set(c.index(), (long) row * c.k() + i, order[i]);
            }
        }
    }

    private static Comparator<Integer> comparator(Buffer x) {
        return x.dtype() == DType.INT64
                ? Comparator.comparingLong(i -> Numbers.getLong(x, i))
                : Comparator.comparingDouble(i -> Numbers.get(x, i) + 0.0); // -0 + 0 is 0
    }
}
