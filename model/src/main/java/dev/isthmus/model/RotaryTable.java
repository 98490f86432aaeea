package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;

/** The cosines and sines of rotary positions, for every position a model can read. */
final class RotaryTable {
    private final int headDim;
    private final Tensor cos;
    private final Tensor sin;

    RotaryTable(DecoderConfig config, Rope rope, DType dtype) {
        headDim = config.headDim();
        int half = headDim / 2;
        int positions = config.maxPositionEmbeddings();
        double[] frequencies = frequencies(rope, headDim);
        double[] c = new double[Math.multiplyExact(positions, half)];
        double[] s = new double[c.length];
        for (int p = 0; p < positions; p++) {
            for (int i = 0; i < half; i++) {
                c[p * half + i] = Math.cos(p * frequencies[i]);
                s[p * half + i] = Math.sin(p * frequencies[i]);
            }
        }
        cos = Tensor.of(c, positions, half).to(dtype);
        sin = Tensor.of(s, positions, half).to(dtype);
    }

    /** {@code theta^(-2i / headDim)}, stretched where the configuration says so. */
    private static double[] frequencies(Rope rope, int headDim) {
        double[] f = new double[headDim / 2];
        for (int i = 0; i < f.length; i++) {
            f[i] = Math.pow(rope.theta(), -2.0 * i / headDim);
            if (rope.scaling() != null) {
                f[i] = rope.scaling().scale(f[i]);
            }
        }
        return f;
    }

    Tensor rotate(Tensor x, int heads, Tensor positions) {
        return Functional.rotaryInPlace(x, heads, headDim, cos, sin, positions, false);
    }
}
