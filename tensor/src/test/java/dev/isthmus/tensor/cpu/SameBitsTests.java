package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.TestMemory.read;
import static dev.isthmus.tensor.cpu.Twins.VECTOR;
import static dev.isthmus.tensor.cpu.Twins.filled;
import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.CrossEntropy;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.LayerNorm;
import dev.isthmus.tensor.KernelCall.LayerNormBackward;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.RmsNorm;
import dev.isthmus.tensor.KernelCall.RmsNormBackward;
import dev.isthmus.tensor.KernelCall.Softmax;
import dev.isthmus.tensor.KernelCall.SwiGlu;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;

/**
 * The bits of results, as hashes that hold for every processor and vector width, before and after compilation.
 *
 * <p>A change of the order of operations changes them; that is allowed, as long as all widths change alike.
 */
class SameBitsTests {
    private static final int ROWS = 75;
    private static final int COLS = 207;

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Buffer numbers(int seed, int length) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = ((i + 1) * (seed * 2 + 1) * 0x9E3779B9 >> 8) * 0x1p-22f;
        }
        return TestMemory.of(values);
    }

    private static void assertHash(int hash, Buffer... results) {
        int actual = 0;
        for (Buffer result : results) {
            actual = 31 * actual
                    + Arrays.hashCode(read(result, (int) result.storage().length()));
        }
        assertThat(actual).isEqualTo(hash);
    }

    @RepeatedTest(2)
    void norms() {
        Buffer x = numbers(1, ROWS * COLS);
        Buffer weight = numbers(2, COLS);
        Buffer y = filled(ROWS * COLS);
        Buffer mean = filled(ROWS);
        Buffer rstd = filled(ROWS);
        Buffer dx = filled(ROWS * COLS);
        Buffer dweight = filled(COLS);
        VECTOR.run(new RmsNorm(ROWS, COLS, 1e-5, x, COLS, weight, y, COLS, rstd));
        VECTOR.run(new RmsNormBackward(ROWS, COLS, x, COLS, weight, rstd, y, COLS, dx, false, dweight, false));
        Buffer y2 = filled(ROWS * COLS);
        VECTOR.run(new LayerNorm(ROWS, COLS, 1e-5, x, weight, null, y2, mean, rstd));
        VECTOR.run(new LayerNormBackward(ROWS, COLS, x, weight, mean, rstd, y, dx, true, dweight, true, null, false));
        assertHash(-2008352908, y, y2, mean, rstd, dx, dweight);
    }

    @RepeatedTest(2)
    void softmaxAndActivation() {
        Buffer x = numbers(1, 2 * ROWS * COLS);
        Buffer y = filled(2 * ROWS * COLS);
        VECTOR.run(new Softmax(2 * ROWS, COLS, x, y, true));
        Buffer gated = filled(ROWS * COLS);
        VECTOR.run(new SwiGlu(ROWS, COLS, x, gated));
        Buffer loss = filled(ROWS);
        Buffer lse = filled(ROWS);
        Buffer entropy = filled(ROWS);
        Buffer target = TestMemory.of(new int[ROWS]);
        VECTOR.run(new CrossEntropy(ROWS, COLS, x, 0.7, target, loss, lse, entropy));
        assertHash(1375283085, y, gated, loss, lse, entropy);
    }

    @RepeatedTest(2)
    void attention() {
        int d = 20;
        Ragged ragged = new Ragged(new int[] {0, 3, 40, 75});
        Heads heads = new Heads(4, 2, d, 0.2, true);
        Buffer q = numbers(1, 75 * 4 * d);
        Buffer k = numbers(2, 75 * 2 * d);
        Buffer v = numbers(3, 75 * 2 * d);
        Buffer out = filled(75 * 4 * d);
        Buffer lse = filled(75 * 4);
        Buffer dq = filled(75 * 4 * d);
        Buffer dk = filled(75 * 2 * d);
        Buffer dv = filled(75 * 2 * d);
        VECTOR.run(new Attention(ragged, heads, q, 4 * d, k, 2 * d, v, 2 * d, out, 4 * d, lse));
        VECTOR.run(new AttentionBackward(ragged, heads, q, 4 * d, k, 2 * d, v, 2 * d, out, q, 4 * d, lse, dq, dk, dv));
        assertHash(1677419306, out, lse, dq, dk, dv);
    }
}
