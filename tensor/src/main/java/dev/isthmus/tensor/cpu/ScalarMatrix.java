package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getOr;
import static dev.isthmus.tensor.cpu.Numbers.put;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackMatrix;
import dev.isthmus.tensor.KernelCall.SumRows;

/** Matrix products, scalar. */
final class ScalarMatrix {
    private ScalarMatrix() {}

    static void matMul(MatMul c) {
        for (int batch = 0; batch < c.batch(); batch++) {
            long a = batch * c.strideA();
            long b = batch * c.strideB();
            long out = batch * c.strideC();
            for (int i = 0; i < c.m(); i++) {
                for (int j = 0; j < c.n(); j++) {
                    double sum = 0;
                    for (int k = 0; k < c.k(); k++) {
                        long atA = c.transA() ? k * c.lda() + i : i * c.lda() + k;
                        sum += get(c.a(), a + atA) * get(c.b(), b + indexB(c, k, j));
                    }
                    put(c.c(), out + i * c.ldc() + j, sum + getOr(c.bias(), j, 0), c.accumulate());
                }
            }
        }
    }

    private static long indexB(MatMul c, int k, int j) {
        return switch (c.storingB()) {
            case PLAIN -> k * c.ldb() + j;
            case TRANSPOSED -> j * c.ldb() + k;
            case PACKED ->
                (long) (j / PackMatrix.PANEL) * PackMatrix.PANEL * c.k()
                        + (long) k * PackMatrix.PANEL
                        + j % PackMatrix.PANEL;
        };
    }

    static void packMatrix(PackMatrix c) {
        long at = 0;
        for (int panel = 0; panel < c.n(); panel += PackMatrix.PANEL) {
            for (int k = 0; k < c.k(); k++) {
                for (int j = panel; j < panel + PackMatrix.PANEL; j++) {
                    long from = c.transposed() ? j * c.ldb() + k : k * c.ldb() + j;
                    set(c.packed(), at++, j < c.n() ? get(c.b(), from) : 0);
                }
            }
        }
    }

    static void sumRows(SumRows c) {
        for (int j = 0; j < c.n(); j++) {
            double sum = 0;
            for (int i = 0; i < c.m(); i++) {
                sum += get(c.x(), i * c.ldx() + j);
            }
            put(c.out(), j, sum, c.accumulate());
        }
    }
}
