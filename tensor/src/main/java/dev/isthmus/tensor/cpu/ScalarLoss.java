package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.add;
import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getInt;
import static dev.isthmus.tensor.cpu.Numbers.getOr;
import static dev.isthmus.tensor.cpu.Numbers.put;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.CrossEntropyBackward;
import dev.isthmus.tensor.KernelCall.Embedding;
import dev.isthmus.tensor.KernelCall.EmbeddingBackward;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SoftmaxBackward;

/** Embedding, softmax and cross-entropy, scalar. */
final class ScalarLoss {
    private ScalarLoss() {}

    static void embedding(Embedding c) {
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                double value = get(c.table(), (long) getInt(c.ids(), i) * c.cols() + j);
                put(c.out(), (long) i * c.cols() + j, value, c.accumulate());
            }
        }
    }

    static void embeddingBackward(EmbeddingBackward c) {
        for (long i = 0; i < (long) c.words() * c.cols() && !c.accumulate(); i++) {
            set(c.dTable(), i, 0);
        }
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                add(c.dTable(), (long) getInt(c.ids(), i) * c.cols() + j, get(c.dOut(), (long) i * c.cols() + j));
            }
        }
    }

    static void softmax(Softmax c) {
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.cols();
            double lse = logSumExp(c.x(), row, c.cols(), 1);
            for (int j = 0; j < c.cols(); j++) {
                double logp = get(c.x(), row + j) - lse;
                set(c.y(), row + j, c.log() ? logp : Math.exp(logp));
            }
        }
    }

    static void softmaxBackward(SoftmaxBackward c) {
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.cols();
            double sum = 0;
            for (int j = 0; j < c.cols(); j++) {
                sum += get(c.dy(), row + j) * (c.log() ? 1 : get(c.y(), row + j));
            }
            for (int j = 0; j < c.cols(); j++) {
                double y = get(c.y(), row + j);
                double dy = get(c.dy(), row + j);
                set(c.dx(), row + j, c.log() ? dy - Math.exp(y) * sum : y * (dy - sum));
            }
        }
    }

    static void crossEntropy(CrossEntropy c) {
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.words();
            double lse = logSumExp(c.logits(), row, c.words(), c.invTemperature());
            int target = getInt(c.target(), i);
            set(c.lse(), i, lse);
            set(c.loss(), i, target < 0 ? 0 : loss(c, row, target, lse));
            if (c.entropy() != null) {
                double mean = 0;
                for (int j = 0; j < c.words(); j++) {
                    double z = get(c.logits(), row + j) * c.invTemperature();
                    mean += z == Double.NEGATIVE_INFINITY ? 0 : Math.exp(z - lse) * z;
                }
                set(c.entropy(), i, lse - mean);
            }
        }
    }

    private static double loss(CrossEntropy c, long row, int target, double lse) {
        double hit = lse - get(c.logits(), row + target) * c.invTemperature();
        double even = 0;
        for (int j = 0; j < c.words() && c.smoothing() != 0; j++) {
            even += getOr(c.weight(), j, 1) * (lse - get(c.logits(), row + j) * c.invTemperature()) / c.words();
        }
        return (1 - c.smoothing()) * getOr(c.weight(), target, 1) * hit + c.smoothing() * even;
    }

    static void crossEntropyBackward(CrossEntropyBackward c) {
        double meanWeight = 0;
        for (int j = 0; j < c.words(); j++) {
            meanWeight += getOr(c.weight(), j, 1) / c.words();
        }
        for (int i = 0; i < c.rows(); i++) {
            long row = (long) i * c.words();
            int target = getInt(c.target(), i);
            double lse = get(c.lse(), i);
            double g = target < 0 ? 0 : get(c.dLoss(), i) * c.invTemperature();
            double hit = target < 0 ? 0 : (1 - c.smoothing()) * getOr(c.weight(), target, 1);
            for (int j = 0; j < c.words(); j++) {
                double p = Math.exp(get(c.logits(), row + j) * c.invTemperature() - lse);
                double even = c.smoothing() * getOr(c.weight(), j, 1) / c.words();
                double q = (j == target ? hit : 0) + even;
                set(c.dLogits(), row + j, g == 0 ? 0 : g * ((hit + c.smoothing() * meanWeight) * p - q));
            }
        }
    }

    private static double logSumExp(Buffer x, long row, int cols, double factor) {
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < cols; j++) {
            max = Math.max(max, get(x, row + j) * factor);
        }
        if (Double.isInfinite(max)) {
            return max;
        }
        double sum = 0;
        for (int j = 0; j < cols; j++) {
            sum += Math.exp(get(x, row + j) * factor - max);
        }
        return max + Math.log(sum);
    }
}
