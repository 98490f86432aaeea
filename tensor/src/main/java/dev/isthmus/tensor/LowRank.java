package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.Unary;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.Tensor.GradTarget;

/** The product with a low-rank matrix, added to the product with a full one (Hu et al. 2022, equation 3). */
final class LowRank {
    private LowRank() {}

    /**
     * {@code y_i += s (x A_i^T) B_i^T} for each part of the columns of {@code y}; all {@code x A_i^T} are one product.
     *
     * <p>With {@code h_i = s x A_i^T}: {@code dB_i = dy_i^T h_i, dh_i = s dy_i B_i, dA = dh^T x, dx = dh A}.
     */
    static Tensor add(Tensor y, Tensor input, Tensor a, Tensor b, double scaling, int[] starts, int[] sizes) {
        Tensor x = input.alive().contiguous();
        int parts = starts.length;
        int n = Layout.intSize(x.size(0));
        int in = Layout.intSize(x.size(1));
        int out = Layout.intSize(y.size(1));
        int ranks = Layout.intSize(a.size(0));
        int r = ranks / Math.max(1, parts);
        int rows = 0;
        for (int i = 0; i < parts; i++) {
            rows += sizes[i];
            if (starts[i] < 0 || starts[i] + sizes[i] > out) {
                throw new TensorException(
                        "addLowRank: columns " + starts[i] + " to " + (starts[i] + sizes[i]) + " of " + y.layout());
            }
        }
        if (parts == 0
                || y.size(0) != n
                || a.size(1) != in
                || ranks % parts != 0
                || b.size(0) != rows
                || b.size(1) != r
                || !y.layout().isContiguous()) {
            throw new TensorException(
                    "addLowRank: input of " + x.layout() + ", A of " + a.layout() + ", B of " + b.layout()
                            + " and a result of " + y.layout() + "; expected A [parts r, " + in + "] and B [" + rows
                            + ", r] for " + parts
                            + " parts");
        }
        Elementwise.requireSameType("addLowRank", x, y);
        Elementwise.requireSameType("addLowRank", a, y);
        Elementwise.requireSameType("addLowRank", b, y);
        Tensor h = Tensor.empty(y.dtype(), n, ranks);
        y.run(new MatMul(
                false,
                Storing.TRANSPOSED,
                n,
                ranks,
                in,
                x.buffer(),
                in,
                a.buffer(),
                in,
                null,
                h.buffer(),
                ranks,
                false));
        scale(h, scaling);
        Runnable change = () -> {
            long row = 0;
            for (int i = 0; i < parts; i++) {
                Buffer from = h.buffer().plus((long) i * r);
                Buffer up = b.buffer().plus(row * r);
                Buffer to = y.buffer().plus(starts[i]);
                y.run(new MatMul(false, Storing.TRANSPOSED, n, sizes[i], r, from, ranks, up, r, null, to, out, true));
                row += sizes[i];
            }
        };
        return InPlace.add(
                "add_low_rank_",
                y,
                change,
                dy -> {
                    Tensor dh = Tensor.empty(y.dtype(), n, ranks);
                    GradTarget db = b.requiresGrad() ? b.gradInto() : null;
                    long row = 0;
                    for (int i = 0; i < parts; i++) {
                        Buffer d = dy.buffer().plus(starts[i]);
                        Buffer from = h.buffer().plus((long) i * r);
                        if (db != null) {
                            Buffer to = db.target().buffer().plus(row * r);
                            dy.run(new MatMul(
                                    true,
                                    Storing.PLAIN,
                                    sizes[i],
                                    r,
                                    n,
                                    d,
                                    out,
                                    from,
                                    ranks,
                                    null,
                                    to,
                                    r,
                                    db.accumulate()));
                        }
                        Buffer up = b.buffer().plus(row * r);
                        Buffer to = dh.buffer().plus((long) i * r);
                        dy.run(new MatMul(false, Storing.PLAIN, n, r, sizes[i], d, out, up, r, null, to, ranks, false));
                        row += sizes[i];
                    }
                    scale(dh, scaling);
                    if (a.requiresGrad()) {
                        GradTarget da = a.gradInto();
                        Buffer to = da.target().buffer();
                        dy.run(new MatMul(
                                true,
                                Storing.PLAIN,
                                ranks,
                                in,
                                n,
                                dh.buffer(),
                                ranks,
                                x.buffer(),
                                in,
                                null,
                                to,
                                in,
                                da.accumulate()));
                    }
                    if (x.requiresGrad()) {
                        GradTarget dx = x.gradInto();
                        Buffer to = dx.target().buffer();
                        dy.run(new MatMul(
                                false,
                                Storing.PLAIN,
                                n,
                                in,
                                ranks,
                                dh.buffer(),
                                ranks,
                                a.buffer(),
                                in,
                                null,
                                to,
                                in,
                                dx.accumulate()));
                    }
                },
                x,
                a,
                b);
    }

    private static void scale(Tensor h, double scaling) {
        if (scaling != 1) {
            h.run(new Unary(UnaryOp.AFFINE, h.count(), h.buffer(), h.buffer(), scaling, 0));
        }
    }
}
