package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Rope;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;

/** The cosines and sines of rotary positions, for every position a model can read. */
final class RotaryTable {
    /** Of each of the two tables: a million positions of heads of 128. */
    private static final long MAX_NUMBERS = 1 << 26;

    /** The positions that are computed at a time. */
    private static final int PART = 1024;

    private final int headDim;
    private final Tensor cos;
    private final Tensor sin;

    /**
     * @throws IsthmusException if there are more positions than memory is worth
     */
    RotaryTable(DecoderConfig config, Rope rope, DType dtype) {
        headDim = config.headDim();
        int half = headDim / 2;
        int positions = config.maxPositionEmbeddings();
        if ((long) positions * half > MAX_NUMBERS) {
            throw new IsthmusException("max_position_embeddings is " + positions
                    + ", too many for a table of their rotations; set it to the longest text that is to be read");
        }
        double[] frequencies = frequencies(rope, headDim);
        cos = Tensor.empty(dtype, positions, half);
        sin = Tensor.empty(dtype, positions, half);
        for (int p = 0; p < positions; p += PART) {
            fill(p, Math.min(PART, positions - p), frequencies);
        }
    }

    private void fill(int first, int count, double[] frequencies) {
        int half = frequencies.length;
        double[] c = new double[count * half];
        double[] s = new double[c.length];
        for (int p = 0; p < count; p++) {
            for (int i = 0; i < half; i++) {
                c[p * half + i] = Math.cos((first + p) * frequencies[i]);
                s[p * half + i] = Math.sin((first + p) * frequencies[i]);
            }
        }
        try (Scope part = Scope.open()) {
            cos.narrow(0, first, count).copyFrom(Tensor.of(c, count, half).to(cos.dtype()));
            sin.narrow(0, first, count).copyFrom(Tensor.of(s, count, half).to(sin.dtype()));
        }
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
