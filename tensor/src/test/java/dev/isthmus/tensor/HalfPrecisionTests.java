package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Bfloat16 and float16 have the same bits as in PyTorch 2.13 on the CPU, which made the numbers here. */
class HalfPrecisionTests {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final float NAN = Float.NaN;

    private static final float[] A = {1, 3.1415f, -0.3333f, 65504, 6e-8f, 1e-5f, INF, NAN, -7.77f, 1e-40f};
    private static final float[] B = {3, 2.7182f, 0.001f, 2, 0.5f, 6.2e-5f, -INF, 1, 123.4f, 1e-3f};

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static int[] bits(Tensor x) {
        int[] bits = new int[(int) x.count()];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Short.toUnsignedInt(x.segment().getAtIndex(java.lang.foreign.ValueLayout.JAVA_SHORT, i));
        }
        return bits;
    }

    /** Equal bits, or both NaN. */
    private static void assertBits(Tensor actual, int... expected) {
        int[] bits = bits(actual);
        float[] numbers = actual.toFloats();
        int infinity = actual.dtype() == DType.BFLOAT16 ? 0x7f80 : 0x7c00;
        for (int i = 0; i < expected.length; i++) {
            if ((expected[i] & 0x7fff) > infinity) {
                assertThat(numbers[i]).as("element " + i).isNaN();
            } else {
                assertThat(bits[i]).as("element " + i).isEqualTo(expected[i]);
            }
        }
    }

    @Test
    void rounding() {
        float[] x = {
            0,
            -0f,
            1,
            1.00390625f,
            1.01171875f,
            3.14159265f,
            -2.71828f,
            65504,
            65519.99f,
            65520,
            65536,
            1e-8f,
            2.98e-8f,
            2.9802322e-8f,
            2.9802326e-8f,
            5.96e-8f,
            6.1e-5f,
            6.097555e-5f,
            6.1035164e-5f,
            1e-40f,
            -1e-45f,
            3.4e38f,
            3.39615e38f,
            -3.4e38f,
            INF,
            -INF,
            NAN,
            0.333333343f,
            1234.5678f
        };
        assertBits(
                Tensor.of(x, x.length).to(DType.BFLOAT16),
                0,
                32768,
                16256,
                16256,
                16258,
                16457,
                49198,
                18304,
                18304,
                18304,
                18304,
                12844,
                13056,
                13056,
                13056,
                13184,
                14464,
                14464,
                14464,
                1,
                32768,
                32640,
                32639,
                65408,
                32640,
                65408,
                65535,
                16043,
                17562);
        assertBits(
                Tensor.of(x, x.length).to(DType.FLOAT16),
                0,
                32768,
                15360,
                15364,
                15372,
                16968,
                49520,
                31743,
                31743,
                31744,
                31744,
                0,
                0,
                0,
                1,
                1,
                1023,
                1023,
                1024,
                0,
                32768,
                31744,
                31744,
                64512,
                31744,
                64512,
                32256,
                13653,
                25811);
    }

    private static void both(BinaryOperator<Tensor> f, int[] bfloat16, int[] float16) {
        Tensor a = Tensor.of(A, 10);
        Tensor b = Tensor.of(B, 10);
        assertBits(f.apply(a.to(DType.BFLOAT16), b.to(DType.BFLOAT16)), bfloat16);
        assertBits(f.apply(a.to(DType.FLOAT16), b.to(DType.FLOAT16)), float16);
    }

    private static void one(UnaryOperator<Tensor> f, int[] bfloat16, int[] float16) {
        both((a, _) -> f.apply(a), bfloat16, float16);
    }

    @Test
    void arithmetic() {
        both(Tensor::add, new int[] {16512, 16572, 48810, 18304, 16128, 14487, 32704, 32704, 17127, 14979}, new int[] {
            17408, 17884, 46417, 31743, 14336, 1208, 65024, 32256, 22330, 5145
        });
        both(Tensor::sub, new int[] {49152, 16088, 48812, 18304, 48896, 47194, 32640, 32704, 49923, 47747}, new int[] {
            49152, 14016, 46425, 31743, 47104, 33640, 31744, 32256, 55321, 37913
        });
        both(Tensor::mul, new int[] {16448, 16649, 47535, 18432, 13057, 12331, 65408, 32704, 50288, 0}, new int[] {
            16896, 18501, 36214, 31744, 0, 0, 64512, 32256, 58237, 0
        });
        both(Tensor::div, new int[] {16043, 16276, 50087, 18176, 13313, 15909, 32704, 32704, 48513, 506}, new int[] {
            13653, 15519, 56628, 30719, 2, 12587, 65024, 32256, 44040, 0
        });
        both(
                Tensor::maximum,
                new int[] {16448, 16457, 14979, 18304, 16128, 14466, 32640, 32704, 17143, 14979},
                new int[] {16896, 16968, 5145, 31743, 14336, 1040, 31744, 32256, 22454, 5145});
        both(Tensor::pow, new int[] {16256, 16820, 32704, 20352, 14720, 16256, 0, 32704, 32704, 16233}, new int[] {
            15360, 19869, 65024, 31744, 3072, 15359, 0, 32256, 65024, 0
        });
    }

    @Test
    void functionsAndNumbers() {
        one(Tensor::sqrt, new int[] {16256, 16355, 65535, 17280, 14720, 15183, 32640, 65535, 65535, 7733}, new int[] {
            15360, 16151, 65024, 23551, 3072, 6779, 31744, 32256, 65024, 0
        });
        one(Tensor::exp, new int[] {16430, 16825, 16183, 32640, 16256, 16256, 32640, 65535, 14811, 16256}, new int[] {
            16752, 19912, 14780, 31744, 15360, 15360, 31744, 32256, 3820, 15360
        });
        one(x -> x.mul(0.1), new int[] {15821, 16033, 48393, 17869, 12750, 13702, 32640, 32704, 48967, 0}, new int[] {
            11878, 13574, 43076, 28262, 0, 17, 31744, 32256, 47671, 0
        });
        one(
                x -> x.add(0.3),
                new int[] {16294, 16476, 48392, 18304, 16026, 16026, 32640, 32704, 49391, 16026},
                new int[] {15667, 17122, 43072, 31743, 13517, 13517, 31744, 32256, 51064, 13517});
        one(x -> x.div(3), new int[] {16043, 16262, 48612, 18091, 12972, 13920, 32640, 32704, 49190, 0}, new int[] {
            13653, 15408, 44828, 30037, 0, 56, 31744, 32256, 49454, 0
        });
        one(x -> x.narrow(0, 0, 6).sum(), new int[] {18304}, new int[] {31743});
        one(x -> x.narrow(0, 0, 6).mean(), new int[] {17963}, new int[] {29013});
    }

    @Test
    void conversionsOfAllBits() {
        float[] x = new float[1 << 16];
        float[] y = new float[1 << 16];
        for (int i = 0; i < x.length; i++) {
            x[i] = Float.float16ToFloat((short) i);
            y[i] = Float.intBitsToFloat(i << 16);
        }
        Tensor float16 = Tensor.of(x, x.length).to(DType.FLOAT16);
        Tensor bfloat16 = Tensor.of(y, y.length).to(DType.BFLOAT16);
        assertThat(float16.toFloats()).isEqualTo(x);
        assertThat(bfloat16.toFloats()).isEqualTo(y);
        for (int i = 0; i < x.length; i++) {
            assertThat(bits(float16.narrow(0, i, 1))[0] == i || Float.isNaN(x[i]))
                    .isTrue();
            assertThat(bits(bfloat16.narrow(0, i, 1))[0] == i || Float.isNaN(y[i]))
                    .isTrue();
        }
    }

    /** Between each two neighbors lie a number below the middle, the middle, and one above. */
    @Test
    void roundingBetweenAllNeighbors() {
        for (DType dtype : new DType[] {DType.BFLOAT16, DType.FLOAT16}) {
            int infinity = dtype == DType.BFLOAT16 ? 0x7f80 : 0x7c00;
            float[] x = new float[3 * (infinity - 1)];
            int[] expected = new int[x.length];
            for (int i = 0; i < infinity - 1; i++) {
                double low = dtype == DType.BFLOAT16 ? Float.intBitsToFloat(i << 16) : Float.float16ToFloat((short) i);
                double high = dtype == DType.BFLOAT16
                        ? Float.intBitsToFloat(i + 1 << 16)
                        : Float.float16ToFloat((short) (i + 1));
                float middle = (float) ((low + high) / 2);
                x[3 * i] = Math.nextDown(middle);
                x[3 * i + 1] = middle;
                x[3 * i + 2] = Math.nextUp(middle);
                expected[3 * i] = i;
                expected[3 * i + 1] = i + (i & 1);
                expected[3 * i + 2] = i + 1;
            }
            Tensor rounded = Tensor.of(x, x.length).to(dtype);
            assertThat(bits(rounded)).isEqualTo(expected);
            assertThat(bits(Tensor.of(x, x.length).neg().to(dtype).neg())).isEqualTo(expected);
        }
    }

    @Test
    void gradientsAreRoundedToo() {
        for (DType dtype : new DType[] {DType.BFLOAT16, DType.FLOAT16}) {
            Tensor x = Tensor.of(new float[] {1.5f, -0.3f}, 2).to(dtype).requireGrad();
            x.mul(0.1).add(x.square()).sum().backward();
            assertThat(x.grad().dtype()).isEqualTo(dtype);
            Tensor expected = Tensor.full(dtype, 0.1, 2).add(x.detach().mul(2));
            assertThat(bits(x.grad())).isEqualTo(bits(expected));
        }
    }

    /** What computes in float32 rounds once: within one step of the type of what PyTorch, which may round in between, gives. */
    @Test
    void productsNormsAndLosses() {
        float[] x = new float[12];
        float[] w = new float[8];
        for (int i = 0; i < 12; i++) {
            x[i] = i * 0.37f - 1.9f;
        }
        for (int i = 0; i < 8; i++) {
            w[i] = i * 0.21f - 0.7f;
        }
        for (DType half : new DType[] {DType.BFLOAT16, DType.FLOAT16}) {
            boolean b = half == DType.BFLOAT16;
            double step = b ? 1.0 / 128 : 1.0 / 1024;
            Tensor a = Tensor.of(x, 3, 4).to(half).requireGrad();
            Tensor weight = Tensor.of(w, 2, 4).to(half);
            Tensor y = Functional.linear(a, weight, null);
            assertNear(
                    y,
                    step,
                    b
                            ? new double[] {2.453125, -2.046875, 0.1806640625, 0.63671875, -2.09375, 3.328125}
                            : new double[] {
                                2.4609375, -2.060546875, 0.1805419921875, 0.63427734375, -2.09765625, 3.328125
                            });
            assertNear(a.matmul(weight.transpose(0, 1)), 0, y.toDoubles());
            assertNear(
                    Functional.layerNorm(a, null, null, 1e-5).narrow(0, 0, 1),
                    step,
                    b
                            ? new double[] {-1.3359375, -0.453125, 0.453125, 1.3359375}
                            : new double[] {-1.341796875, -0.447265625, 0.447265625, 1.341796875});
            assertNear(
                    Functional.rmsNorm(a, null, 1e-5).narrow(0, 0, 1),
                    step,
                    b
                            ? new double[] {-1.3515625, -1.0859375, -0.82421875, -0.5625}
                            : new double[] {-1.3505859375, -1.0869140625, -0.82421875, -0.5615234375});
            Tensor loss = Functional.crossEntropy(a, Tensor.of(new int[] {0, 3, 1}, 3));
            assertNear(loss, step, b ? 1.5390625 : 1.5322265625);
            loss.backward();
            Tensor grad = a.grad();
            assertThat(grad).isNotNull();
            assertThat(grad.dtype()).isEqualTo(half);
            Tensor q = a.reshape(1, 1, 3, 4);
            assertThat(Functional.scaledDotProductAttention(q, q, q, true).dtype())
                    .isEqualTo(half);
        }
    }

    private static void assertNear(Tensor actual, double relative, double... expected) {
        double[] found = actual.toDoubles();
        assertThat(found).hasSameSizeAs(expected);
        for (int i = 0; i < found.length; i++) {
            assertThat(Math.abs(found[i] - expected[i])).isLessThanOrEqualTo(relative * Math.abs(expected[i]));
        }
    }
}
