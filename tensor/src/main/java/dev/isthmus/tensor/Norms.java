package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Normalizations of rows and their gradients, which stand at {@link RmsNormBackward} and {@link LayerNormBackward}. */
final class Norms {
    private Norms() {}

    static Tensor rmsNorm(Tensor input, @Nullable Tensor weight, double eps) {
        if (input.dtype().isHalf()) {
            return rmsNorm(input.to(DType.FLOAT32), Elementwise.toFloat32(weight), eps)
                    .to(input.dtype());
        }
        Tensor x = input.alive().contiguous();
        int cols = Functional.cols(x);
        int rows = Functional.rows(x);
        requireFits("rmsNorm", x, weight, cols);
        Tensor w = weight == null ? Tensor.full(x.dtype(), 1, cols) : weight.contiguous();
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        Tensor rstd = Tensor.empty(x.dtype(), rows);
        y.run(new KernelCall.RmsNorm(rows, cols, eps, x.buffer(), cols, w.buffer(), y.buffer(), cols, rstd.buffer()));
        return Autograd.record(
                "rms_norm",
                y,
                dy -> {
                    GradTarget dw = w.requiresGrad() ? w.gradInto() : null;
                    GradTarget dx = x.requiresGrad() ? x.gradInto() : null;
                    dy.run(new RmsNormBackward(
                            rows,
                            cols,
                            x.buffer(),
                            cols,
                            w.buffer(),
                            rstd.buffer(),
                            dy.buffer(),
                            cols,
                            Functional.bufferOf(dx),
                            dx != null && dx.accumulate(),
                            Functional.bufferOf(dw),
                            dw != null && dw.accumulate()));
                },
                x,
                w);
    }

    /** Rows are all that {@code normalizedShape} covers. */
    static Tensor layerNorm(
            Tensor input, long[] normalizedShape, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        long[] shape = input.shape();
        int lead = shape.length - normalizedShape.length;
        if (lead < 0 || !Arrays.equals(Arrays.copyOfRange(shape, lead, shape.length), normalizedShape)) {
            throw new TensorException("layerNorm: " + input.layout() + " does not end in the normalized shape "
                    + Arrays.toString(normalizedShape));
        }
        if (input.dtype().isHalf()) {
            Tensor x = input.to(DType.FLOAT32);
            return layerNorm(x, normalizedShape, Elementwise.toFloat32(weight), Elementwise.toFloat32(bias), eps)
                    .to(input.dtype());
        }
        int cols = Layout.intSize(Layout.count(normalizedShape));
        Tensor x = input.alive().contiguous();
        int rows = Layout.intSize(x.count() / Math.max(1, cols));
        requireFits("layerNorm", x, weight, cols);
        requireFits("layerNorm", x, bias, cols);
        Tensor w = weight == null ? null : weight.contiguous();
        Tensor b = bias == null ? null : bias.contiguous();
        Tensor y = Tensor.empty(x.dtype(), shape);
        Tensor mean = Tensor.empty(x.dtype(), rows);
        Tensor rstd = Tensor.empty(x.dtype(), rows);
        y.run(new KernelCall.LayerNorm(
                rows,
                cols,
                eps,
                x.buffer(),
                Functional.bufferOf(w),
                Functional.bufferOf(b),
                y.buffer(),
                mean.buffer(),
                rstd.buffer()));
        return Autograd.record(
                "layer_norm",
                y,
                dy -> {
                    GradTarget dw = w != null && w.requiresGrad() ? w.gradInto() : null;
                    GradTarget db = b != null && b.requiresGrad() ? b.gradInto() : null;
                    GradTarget dx = x.requiresGrad() ? x.gradInto() : null;
                    dy.run(new LayerNormBackward(
                            rows,
                            cols,
                            x.buffer(),
                            Functional.bufferOf(w),
                            mean.buffer(),
                            rstd.buffer(),
                            dy.buffer(),
                            Functional.bufferOf(dx),
                            dx != null && dx.accumulate(),
                            Functional.bufferOf(dw),
                            dw != null && dw.accumulate(),
                            Functional.bufferOf(db),
                            db != null && db.accumulate()));
                },
                x,
                w == null ? x : w,
                b == null ? x : b);
    }

    private static void requireFits(String op, Tensor x, @Nullable Tensor weight, int cols) {
        if (weight != null && (weight.alive().count() != cols || weight.dtype() != x.dtype())) {
            throw new TensorException(op + ": a weight of " + weight.dtype() + " " + weight.layout() + " for rows of "
                    + cols + " " + x.dtype());
        }
    }
}
