package dev.isthmus.model;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What an adapter adds to a projection, {@code s (x A^T) B^T}; or to some of those that are joined in one.
 *
 * <p>DoRA makes of the whole {@code (x (W + s B A)^T) m / ||W + s B A||}, with the lengths of the rows as constants (Liu et al. 2024,
 * section 4.3). They come from {@code ||w + s b A||^2 = ||w||^2 + 2 s w A^T b^T + s^2 b A A^T b^T}, so that no changed weight is
 * ever in memory.
 *
 * @param names the projections that are changed
 * @param a {@code [parts r, in]}, the parts one below the other
 * @param b {@code [sum of sizes, r]}
 * @param starts the first output of each part among those that are joined
 * @param magnitude DoRA's lengths {@code [sum of sizes]}; or null
 * @param squares {@code ||w||^2} of each output, {@code [sum of sizes]}, where there is a magnitude
 * @param frozen {@link #rescaling} as it was when the projection was laid out for decoding; or null
 */
record Lora(
        Adapter adapter,
        String[] names,
        Tensor a,
        Tensor b,
        int[] starts,
        int[] sizes,
        @Nullable Tensor magnitude,
        @Nullable Tensor squares,
        @Nullable Tensor frozen) {
    private double scaling() {
        return adapter.config().scaling();
    }

    private int r() {
        return adapter.config().r();
    }

    /** Adds the low-rank product to {@code y [N, out]}, in place. */
    Tensor add(Tensor x, Tensor y) {
        Rng dropout = adapter.dropout();
        if (dropout == null) {
            return Functional.addLowRank(y, x, a, b, scaling(), starts, sizes);
        }
        Tensor sum = y;
        for (int i = 0; i < names.length; i++) {
            Tensor dropped = Functional.dropout(x, adapter.config().loraDropout(), dropout.split(names[i]));
            Tensor down = a.narrow(0, (long) i * r(), r());
            Tensor up = b.narrow(0, row(i), sizes[i]);
            sum = Functional.addLowRank(sum, dropped, down, up, scaling(), new int[] {starts[i]}, new int[] {sizes[i]});
        }
        return sum;
    }

    /** {@code s B A [size, in]} of one part. */
    Tensor delta(int part) {
        Tensor down = a.narrow(0, (long) part * r(), r());
        return b.narrow(0, row(part), sizes[part]).matmul(down).mul(scaling());
    }

    private int row(int part) {
        return Arrays.stream(sizes, 0, part).sum();
    }

    /** DoRA's {@code m / ||W + s B A||}, 1 for outputs that are not changed: {@code [out]}. */
    Tensor rescaling(Matrix weight) {
        if (frozen != null) {
            return frozen;
        }
        Tensor[] lengths = Autograd.noGrad(() -> lengths(weight.linear(a, null)));
        Tensor like = lengths[0];
        Tensor[] columns = new Tensor[2 * names.length + 1];
        int n = 0;
        int end = 0;
        for (int i = 0; i < names.length; i++) {
            columns[n++] = Tensor.full(like.dtype(), 1, starts[i] - end);
            columns[n++] = Objects.requireNonNull(magnitude)
                    .narrow(0, row(i), sizes[i])
                    .div(lengths[i]);
            end = starts[i] + sizes[i];
        }
        columns[n] = Tensor.full(like.dtype(), 1, weight.out() - end);
        return Tensor.cat(0, Arrays.stream(columns).filter(c -> c.count() > 0).toArray(Tensor[]::new));
    }

    /** {@code ||W + s B A||} of the rows of each part, given {@code A W^T [parts r, out]}. */
    private Tensor[] lengths(Tensor aw) {
        Tensor own = Objects.requireNonNull(squares);
        double s = scaling();
        return IntStream.range(0, names.length)
                .mapToObj(i -> {
                    Tensor down = a.narrow(0, (long) i * r(), r());
                    Tensor up = b.narrow(0, row(i), sizes[i]);
                    Tensor cross = aw.narrow(0, (long) i * r(), r()).narrow(1, starts[i], sizes[i]);
                    Tensor both = cross.t()
                            .mul(2 * s)
                            .add(up.matmul(down.matmul(down.t())).mul(s * s));
                    return own.narrow(0, row(i), sizes[i])
                            .add(both.mul(up).sum(1, false))
                            .sqrt();
                })
                .toArray(Tensor[]::new);
    }

    /** The same with DoRA's lengths computed once. */
    Lora pack(Matrix weight) {
        Tensor scale = magnitude == null ? null : Autograd.noGrad(() -> rescaling(weight));
        return new Lora(adapter, names, a, b, starts, sizes, magnitude, squares, scale);
    }
}
