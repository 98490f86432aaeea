package dev.isthmus.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class VectorMathTests {
    @Test
    void expIsAccurateOverTheWholeRange() {
        float worst = 0;
        for (float x = -86.9f; x < 88.72f; x += 0.00037f) {
            double expected = Math.exp(x);
            float error = (float) Math.abs((exp(x) - expected) / Math.ulp((float) expected));
            worst = Math.max(worst, error);
        }
        assertThat(worst).isLessThan(1.1f);
    }

    @Test
    void expOfOrdinaryNumbersNearZero() {
        for (float x : new float[] {0, -0f, 1e-30f, -1e-30f, 1e-7f, -1e-7f, Float.MIN_VALUE}) {
            assertThat(exp(x)).isEqualTo((float) Math.exp(x));
        }
    }

    @Test
    void expAtTheEndsOfTheRange() {
        assertThat(exp(-87.5f)).isEqualTo(0f);
        assertThat(exp(-1000)).isEqualTo(0f);
        assertThat(exp(-Float.MAX_VALUE)).isEqualTo(0f);
        assertThat(exp(Float.NEGATIVE_INFINITY)).isEqualTo(0f);
        assertThat(exp(88.72283f)).isFinite();
        assertThat(exp(88.73f)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(exp(Float.MAX_VALUE)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(exp(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(exp(Float.NaN)).isNaN();
        assertThat(exp(Float.intBitsToFloat(0x7fc12345))).isNaN();
    }

    @Test
    void logIsAccurateOverTheWholeRange() {
        float worst = 0;
        for (float x = Float.MIN_VALUE; x < Float.POSITIVE_INFINITY; x = Math.max(x * 1.00037f, Math.nextUp(x))) {
            worst = Math.max(worst, logError(x));
        }
        for (float x = 0.4f; x < 2.5f; x += 0.000013f) {
            worst = Math.max(worst, logError(x));
        }
        assertThat(worst).isLessThan(1.5f);
    }

    @Test
    void logOfSpecialNumbers() {
        assertThat(log(1)).isEqualTo(0f);
        assertThat(log(0)).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(log(-0f)).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(log(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(log(-1)).isNaN();
        assertThat(log(Float.NEGATIVE_INFINITY)).isNaN();
        assertThat(log(Float.NaN)).isNaN();
    }

    @Test
    void sineDoesNotDependOnItsNeighbours() {
        for (float x = -20; x < 20; x += 0.0137f) {
            for (int quadrant = 0; quadrant < 3; quadrant++) {
                FloatVector alone = FloatVector.broadcast(Simd.F, x);
                for (float neighbour : new float[] {1e6f, Float.POSITIVE_INFINITY, Float.NaN}) {
                    FloatVector beside = alone.withLane(0, neighbour);
                    assertThat(VectorMath.sine(beside, quadrant).lane(1))
                            .isEqualTo(VectorMath.sine(alone, quadrant).lane(1));
                }
            }
        }
    }

    private static float logError(float x) {
        double expected = Math.log(x);
        return (float) (Math.abs(log(x) - expected) / Math.ulp((float) expected));
    }

    private static float log(float x) {
        float y = VectorMath.log(FloatVector.broadcast(Simd.F, x)).lane(Simd.LANES - 1);
        if (Float.floatToIntBits(y) != Float.floatToIntBits(VectorMath.log(x))) {
            throw new AssertionError("log " + x + " is " + VectorMath.log(x) + " alone and " + y + " among others");
        }
        return y;
    }

    private static float exp(float x) {
        return VectorMath.exp(FloatVector.broadcast(Simd.F, x)).lane(Simd.LANES - 1);
    }
}
