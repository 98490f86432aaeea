package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getOr;
import static dev.isthmus.tensor.cpu.Numbers.put;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.KernelCall.SwiGluBackward;
import org.jspecify.annotations.Nullable;

/** Norms and the gated activation, scalar. */
final class ScalarNorm {
    private ScalarNorm() {}

    static void rmsNorm(RmsNorm c) {
        for (int i = 0; i < c.rows(); i++) {
            double squares = 0;
            for (int j = 0; j < c.cols(); j++) {
                double x = get(c.x(), i * c.ldx() + j);
                squares += x * x;
            }
            double rstd = 1 / Math.sqrt(squares / c.cols() + c.eps());
            set(c.rstd(), i, rstd);
            for (int j = 0; j < c.cols(); j++) {
                set(c.y(), i * c.ldy() + j, get(c.x(), i * c.ldx() + j) * rstd * get(c.weight(), j));
            }
        }
    }

    static void rmsNormBackward(RmsNormBackward c) {
        double[] dw = new double[c.cols()];
        for (int i = 0; i < c.rows(); i++) {
            double rstd = get(c.rstd(), i);
            double meanGn = 0;
            for (int j = 0; j < c.cols(); j++) {
                double n = get(c.x(), i * c.ldx() + j) * rstd;
                double dy = get(c.dy(), i * c.ldy() + j);
                meanGn += dy * get(c.weight(), j) * n / c.cols();
                dw[j] += dy * n;
            }
            for (int j = 0; j < c.cols() && c.dx() != null; j++) {
                double n = get(c.x(), i * c.ldx() + j) * rstd;
                double g = get(c.dy(), i * c.ldy() + j) * get(c.weight(), j);
                put(c.dx(), i * c.ldx() + j, rstd * (g - n * meanGn), c.accumulateX());
            }
        }
        putAll(c.dweight(), dw, c.accumulateWeight());
    }

    static void layerNorm(LayerNorm c) {
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.cols();
            double mean = 0;
            for (int j = 0; j < c.cols(); j++) {
                mean += get(c.x(), row + j) / c.cols();
            }
            double variance = 0;
            for (int j = 0; j < c.cols(); j++) {
                double d = get(c.x(), row + j) - mean;
                variance += d * d / c.cols();
            }
            double rstd = 1 / Math.sqrt(variance + c.eps());
            set(c.mean(), i, mean);
            set(c.rstd(), i, rstd);
            for (int j = 0; j < c.cols(); j++) {
                double n = (get(c.x(), row + j) - mean) * rstd;
                set(c.y(), row + j, n * getOr(c.weight(), j, 1) + getOr(c.bias(), j, 0));
            }
        }
    }

    static void layerNormBackward(LayerNormBackward c) {
        double[] dw = new double[c.cols()];
        double[] db = new double[c.cols()];
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.cols();
            double mean = get(c.mean(), i);
            double rstd = get(c.rstd(), i);
            double meanG = 0;
            double meanGn = 0;
            for (int j = 0; j < c.cols(); j++) {
                double n = (get(c.x(), row + j) - mean) * rstd;
                double dy = get(c.dy(), row + j);
                double g = dy * getOr(c.weight(), j, 1);
                meanG += g / c.cols();
                meanGn += g * n / c.cols();
                dw[j] += dy * n;
                db[j] += dy;
            }
            for (int j = 0; j < c.cols() && c.dx() != null; j++) {
                double n = (get(c.x(), row + j) - mean) * rstd;
                double g = get(c.dy(), row + j) * getOr(c.weight(), j, 1);
                put(c.dx(), row + j, rstd * (g - meanG - n * meanGn), c.accumulateX());
            }
        }
        putAll(c.dweight(), dw, c.accumulateWeight());
        putAll(c.dbias(), db, c.accumulateBias());
    }

    private static void putAll(@Nullable Buffer out, double[] values, boolean accumulate) {
        for (int j = 0; j < values.length && out != null; j++) {
            put(out, j, values[j], accumulate);
        }
    }

    static void swiGlu(SwiGlu c) {
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                double gate = get(c.gateUp(), 2L * i * c.cols() + j);
                double up = get(c.gateUp(), (2L * i + 1) * c.cols() + j);
                set(c.out(), (long) i * c.cols() + j, gate * up / (1 + Math.exp(-gate)));
            }
        }
    }

    static void swiGluBackward(SwiGluBackward c) {
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                long gateAt = 2L * i * c.cols() + j;
                double gate = get(c.gateUp(), gateAt);
                double up = get(c.gateUp(), gateAt + c.cols());
                double dOut = get(c.dOut(), (long) i * c.cols() + j);
                double s = 1 / (1 + Math.exp(-gate));
                set(c.dGateUp(), gateAt, dOut * up * s * (1 + gate * (1 - s)));
                set(c.dGateUp(), gateAt + c.cols(), dOut * gate * s);
            }
        }
    }
}
