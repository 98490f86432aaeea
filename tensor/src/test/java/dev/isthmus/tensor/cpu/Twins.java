package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.TestMemory;
import java.util.Arrays;
import java.util.function.Function;

/** The scalar and the vector twin side by side. */
final class Twins {
    static final Device SCALAR = new ScalarDevice();
    static final Device VECTOR = new VectorDevice(new ScalarDevice());

    private Twins() {}

    /** Numbers that depend on {@code seed} alone. */
    static Buffer gaussian(int seed, int length) {
        return TestMemory.gaussian(Rng.of(7).split("twins", seed), length);
    }

    /** Memory full of a number that no result has by chance, so that a missing or stray write shows. */
    static Buffer filled(int length) {
        Buffer buffer = TestMemory.allocate(DType.FLOAT32, length);
        float[] values = new float[length];
        Arrays.fill(values, 77.25f);
        TestMemory.write(buffer, values);
        return buffer;
    }

    /** What {@code run} returns must be the same on both devices but for {@code tolerance max(1, |expected|)}. */
    static void check(double tolerance, Function<Device, float[]> run) {
        float[] expected = run.apply(SCALAR);
        assertNear(run.apply(VECTOR), expected, tolerance);
    }

    static void assertNear(float[] actual, float[] expected, double tolerance) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            boolean equal = Float.compare(actual[i], expected[i]) == 0;
            if (!equal && !(Math.abs(actual[i] - expected[i]) <= tolerance * Math.max(1, Math.abs(expected[i])))) {
                assertThat(actual[i]).as("element " + i).isEqualTo(expected[i]);
            }
        }
    }

    static float[] concat(float[]... parts) {
        int length = 0;
        for (float[] part : parts) {
            length += part.length;
        }
        float[] all = new float[length];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
