package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.KernelCall.SumSquares;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.TensorException;
import dev.isthmus.tensor.TestMemory;
import dev.isthmus.tensor.UpdateRule;
import dev.isthmus.tensor.UpdateRule.Adadelta;
import dev.isthmus.tensor.UpdateRule.Adagrad;
import dev.isthmus.tensor.UpdateRule.Adam;
import dev.isthmus.tensor.UpdateRule.Adamax;
import dev.isthmus.tensor.UpdateRule.Lion;
import dev.isthmus.tensor.UpdateRule.NAdam;
import dev.isthmus.tensor.UpdateRule.RAdam;
import dev.isthmus.tensor.UpdateRule.RmsProp;
import dev.isthmus.tensor.UpdateRule.Sgd;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class OptimizerTests {
    private static final int[] SIZES = {1, 7, 13, 207, 702, 32_768, 100_003};

    private final int threads = WorkerPool.threads();
    private final SplittableRandom random = new SplittableRandom(1);
    private final ScalarDevice scalar = new ScalarDevice();
    private final VectorDevice vector = new VectorDevice(scalar);

    @AfterEach
    void restoreThreads() {
        WorkerPool.setThreads(threads);
    }

    static List<UpdateRule> rules() {
        return List.of(
                new Sgd(0, 0, false),
                new Sgd(0.9, 0.3, false),
                new Sgd(0.8, 0, true),
                new Adam(0.9, 0.95, 1e-8, false, true),
                new Adam(0.9, 0.95, 1e-8, true, false),
                new NAdam(0.9, 0.95, 1e-8, 4e-3, false),
                new RAdam(0.9, 0.6, 1e-8, true),
                new RAdam(0.9, 0.999, 1e-8, false),
                new Adamax(0.9, 0.95, 1e-8),
                new RmsProp(0.9, 1e-8, 0, false),
                new RmsProp(0.9, 1e-8, 0.8, false),
                new RmsProp(0.9, 1e-8, 0, true),
                new RmsProp(0.9, 1e-8, 0.8, true),
                new Adagrad(0.1, 0.2, 1e-10),
                new Adadelta(0.9, 1e-6),
                new Lion(0.9, 0.99));
    }

    /** Ten steps with weight decay and clipping; every array starts elsewhere in its memory. */
    @ParameterizedTest
    @MethodSource("rules")
    void everyRuleEqualsTheScalarTwin(UpdateRule rule) {
        for (int n : SIZES) {
            int steps = n > 1000 ? 3 : 10;
            try (Scope _ = Scope.open()) {
                float[] expected = run(scalar, rule, n, steps);
                WorkerPool.setThreads(1);
                float[] one = run(vector, rule, n, steps);
                WorkerPool.setThreads(2);
                float[] two = run(vector, rule, n, steps);
                Twins.assertNear(one, expected, 1e-5);
                assertThat(two).as("two threads, %d numbers", n).isEqualTo(one);
            }
        }
    }

    /** The parameters and states after some steps, with what lies around them, which must not change. */
    private static float[] run(Device device, UpdateRule rule, int n, int steps) {
        Buffer param = Twins.gaussian(1, n + 2);
        List<Buffer> state = new ArrayList<>();
        for (int i = 0; i < rule.state().size(); i++) {
            Buffer buffer = Twins.filled(n + 5);
            float[] start = new float[n];
            Arrays.fill(start, (float) rule.initialState());
            TestMemory.write(buffer.plus(3 - i), start);
            state.add(buffer);
        }
        List<Buffer> places = IntStream.range(0, state.size())
                .mapToObj(i -> state.get(i).plus(3 - i))
                .toList();
        for (int step = 1; step <= steps; step++) {
            Buffer grad = Twins.gaussian(1 + step, n + 3);
            float[] before = TestMemory.read(grad, n + 3);
            device.run(new OptimizerStep(rule, n, param.plus(1), grad.plus(2), places, 1e-2, 0.1, step, 0.5));
            assertThat(TestMemory.read(grad, n + 3)).isEqualTo(before);
        }
        float[] all = TestMemory.read(param, n + 2);
        for (Buffer buffer : state) {
            all = Twins.concat(all, TestMemory.read(buffer, n + 5));
        }
        return all;
    }

    /** A gradient of nothing moves nothing, and divides nothing by nothing. */
    @ParameterizedTest
    @MethodSource("rules")
    void noGradientNoMove(UpdateRule rule) {
        for (Device device : List.of(scalar, vector)) {
            try (Scope _ = Scope.open()) {
                int n = 19;
                Buffer param = Twins.gaussian(1, n);
                float[] before = TestMemory.read(param, n);
                List<Buffer> state = rule.state().stream()
                        .map(_ -> TestMemory.of(new float[n]))
                        .toList();
                Buffer grad = TestMemory.of(new float[n]);
                for (int step = 1; step <= 10; step++) {
                    device.run(new OptimizerStep(rule, n, param, grad, state, 1e-2, 0, step, 1));
                }
                assertThat(TestMemory.read(param, n)).isEqualTo(before);
            }
        }
    }

    @Test
    void aRuleIsGivenTheStatesThatItKeeps() {
        try (Scope _ = Scope.open()) {
            Buffer x = TestMemory.of(1f);
            assertThatThrownBy(() -> new OptimizerStep(new Lion(0.9, 0.99), 1, x, x, List.of(), 1, 0, 1, 1))
                    .isInstanceOf(TensorException.class)
                    .hasMessageContainingAll("Lion", "exp_avg", "0 buffers");
        }
        assertThatThrownBy(() -> new Sgd(0.9, 0.1, true)).hasMessageContaining("no dampening, found momentum 0.9");
        assertThatThrownBy(() -> new Adam(1, 0.9, 0, false, true)).hasMessageContaining("[0, 1), found 1.0, 0.9");
        assertThatThrownBy(() -> new Adagrad(0, 0, -1)).hasMessageContaining("eps must be 0 or more, found -1.0");
    }

    @Test
    void sumOfSquaresDoesNotDependOnThreads() {
        for (int n : SIZES) {
            try (Scope _ = Scope.open()) {
                Buffer x = TestMemory.gaussian(random, n + 1).plus(1);
                double expected = sumSquares(scalar, n, x);
                WorkerPool.setThreads(1);
                double one = sumSquares(vector, n, x);
                WorkerPool.setThreads(2);
                assertThat(sumSquares(vector, n, x)).isEqualTo(one).isEqualTo(expected, within(1e-12 * expected));
            }
        }
    }

    /** The same bits for every vector width: 16 partial sums of each chunk, added in order. */
    @Test
    void sumOfSquaresHasOneOrder() {
        int n = 1003;
        try (Scope _ = Scope.open()) {
            Buffer x = TestMemory.gaussian(random, n);
            double[] sums = new double[16];
            for (int i = 0; i < n; i++) {
                double value = TestMemory.read(x.plus(i), 1)[0];
                sums[i % 16] = Math.fma(value, value, sums[i % 16]);
            }
            double expected = 0;
            for (double s : sums) {
                expected += s;
            }
            assertThat(sumSquares(vector, n, x)).isEqualTo(expected);
        }
    }

    private static double sumSquares(Device device, int n, Buffer x) {
        Buffer out = TestMemory.allocate(DType.FLOAT64, 1);
        device.run(new SumSquares(n, x, out));
        return out.storage().segment().getAtIndex(ValueLayout.JAVA_DOUBLE, 0);
    }

    @Test
    void sumRowsEqualsTheScalarTwin() {
        for (int n : new int[] {1, 13, 64, 65, 207, 702}) {
            for (int m : new int[] {1, 7, 256, 700}) {
                for (boolean accumulate : new boolean[] {false, true}) {
                    try (Scope _ = Scope.open()) {
                        Buffer x = TestMemory.gaussian(random, m * (n + 2) + 1).plus(1);
                        Buffer expected = TestMemory.gaussian(random, n);
                        Buffer actual = TestMemory.copy(expected, n);
                        scalar.run(new SumRows(m, n, x, n + 2, expected, accumulate));
                        vector.run(new SumRows(m, n, x, n + 2, actual, accumulate));
                        float[] e = TestMemory.read(expected, n);
                        float[] a = TestMemory.read(actual, n);
                        for (int i = 0; i < n; i++) {
                            assertThat(a[i]).isEqualTo(e[i], within(1e-5f * (float) Math.sqrt(m)));
                        }
                    }
                }
            }
        }
    }
}
