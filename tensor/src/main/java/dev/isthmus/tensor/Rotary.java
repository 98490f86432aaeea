package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.Rope;
import java.util.Arrays;

/** Rotary position embedding (Su et al. 2021); its gradient is the rotation back. */
final class Rotary {
    private Rotary() {}

    static Tensor rotary(Tensor x, Tensor cos, Tensor sin, Tensor position, boolean interleaved) {
        Elementwise.requireSameType("rotary", x.alive(), cos.alive());
        Elementwise.requireSameType("rotary", x, sin.alive());
        long rotated = 2 * cos.size(-1);
        if (cos.rank() != 2 || !Arrays.equals(cos.shape(), sin.shape()) || rotated > x.size(-1)) {
            throw new TensorException("rotary: cosines of " + cos.layout() + " and sines of " + sin.layout() + " for "
                    + x.layout() + "; expected [positions, at most half of the last size]");
        }
        for (int p : position.alive().toInts()) {
            if (p < 0 || p >= cos.size(0)) {
                throw new TensorException("rotary: position " + p + " is outside a table of " + cos.size(0));
            }
        }
        long[] tokens = Arrays.copyOf(x.shape(), x.rank() - 1);
        Tensor at = position.to(DType.INT32).expand(tokens).contiguous();
        return rotate(x, cos.contiguous(), sin.contiguous(), at, interleaved, false);
    }

    private static Tensor rotate(Tensor x, Tensor cos, Tensor sin, Tensor at, boolean interleaved, boolean inverse) {
        Tensor y = Tensor.empty(x.dtype(), x.shape()).copyFrom(x);
        y.run(new Rope(
                Functional.rows(y),
                1,
                2 * Functional.cols(cos),
                y.buffer(),
                Functional.cols(y),
                cos.buffer(),
                sin.buffer(),
                at.buffer(),
                interleaved,
                inverse));
        return Autograd.record("rotary", y, dy -> x.addGrad(rotate(dy, cos, sin, at, interleaved, !inverse)), x);
    }

    static Tensor inPlace(
            Tensor x, int heads, int headDim, Tensor cos, Tensor sin, Tensor position, boolean interleaved) {
        if (!x.alive().layout().isContiguous() || Functional.cols(x) < heads * headDim) {
            throw new TensorException(
                    "rotaryInPlace: " + heads + " heads of " + headDim + " in a tensor of " + x.layout());
        }
        return InPlace.invertible(
                "rotary",
                x,
                () -> x.run(rope(x, heads, headDim, cos, sin, position, interleaved, false)),
                dx -> dx.run(rope(dx, heads, headDim, cos, sin, position, interleaved, true)));
    }

    private static Rope rope(
            Tensor x,
            int heads,
            int headDim,
            Tensor cos,
            Tensor sin,
            Tensor position,
            boolean interleaved,
            boolean inverse) {
        return new Rope(
                Functional.rows(x),
                heads,
                headDim,
                x.buffer(),
                Functional.cols(x),
                cos.buffer(),
                sin.buffer(),
                position.buffer(),
                interleaved,
                inverse);
    }
}
