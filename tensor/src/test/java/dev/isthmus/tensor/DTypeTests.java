package dev.isthmus.tensor;

import static dev.isthmus.tensor.DType.BFLOAT16;
import static dev.isthmus.tensor.DType.BOOL;
import static dev.isthmus.tensor.DType.FLOAT16;
import static dev.isthmus.tensor.DType.FLOAT32;
import static dev.isthmus.tensor.DType.FLOAT64;
import static dev.isthmus.tensor.DType.INT32;
import static dev.isthmus.tensor.DType.INT64;
import static dev.isthmus.tensor.DType.INT8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What types results have and what integers compute, as PyTorch 2.13 has it. */
class DTypeTests {
    private static final DType[] TYPES = {FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT32, INT64, INT8, BOOL};

    /** {@code torch.promote_types} of all pairs. */
    private static final DType[][] PROMOTED = {
        {FLOAT32, FLOAT64, FLOAT32, FLOAT32, FLOAT32, FLOAT32, FLOAT32, FLOAT32},
        {FLOAT64, FLOAT64, FLOAT64, FLOAT64, FLOAT64, FLOAT64, FLOAT64, FLOAT64},
        {FLOAT32, FLOAT64, BFLOAT16, FLOAT32, BFLOAT16, BFLOAT16, BFLOAT16, BFLOAT16},
        {FLOAT32, FLOAT64, FLOAT32, FLOAT16, FLOAT16, FLOAT16, FLOAT16, FLOAT16},
        {FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT32, INT64, INT32, INT32},
        {FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT64, INT64, INT64, INT64},
        {FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT32, INT64, INT8, INT8},
        {FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT32, INT64, INT8, BOOL},
    };

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @Test
    void promotion() {
        for (int i = 0; i < TYPES.length; i++) {
            for (int j = 0; j < TYPES.length; j++) {
                assertThat(DType.promote(TYPES[i], TYPES[j])).isEqualTo(PROMOTED[i][j]);
                Tensor sum = Tensor.full(TYPES[i], 1, 3).add(Tensor.full(TYPES[j], 1, 3));
                assertThat(sum.dtype()).isEqualTo(PROMOTED[i][j]);
                assertThat(sum.toFloats()).containsOnly(PROMOTED[i][j] == BOOL ? 1 : 2);
            }
        }
    }

    @Test
    void aTensorOfRankZeroCountsByItsKindOnly() {
        assertThat(Tensor.zeros(FLOAT32, 2).mul(Tensor.zeros(FLOAT64)).dtype()).isEqualTo(FLOAT32);
        assertThat(Tensor.zeros(INT8).add(Tensor.zeros(INT64)).dtype()).isEqualTo(INT64);
        assertThat(Tensor.zeros(INT8, 2).add(Tensor.zeros(INT64)).dtype()).isEqualTo(INT8);
        assertThat(Tensor.zeros(INT32, 2).add(Tensor.zeros(FLOAT64)).dtype()).isEqualTo(FLOAT64);
        assertThat(Tensor.zeros(BOOL, 2).add(Tensor.zeros(INT8)).dtype()).isEqualTo(INT8);
        assertThat(Tensor.zeros(FLOAT16).add(Tensor.zeros(BFLOAT16, 1)).dtype()).isEqualTo(BFLOAT16);
    }

    @Test
    void aNumberKeepsTheTypeUnlessItHasAFractionAndTheTensorNot() {
        for (DType dtype : TYPES) {
            boolean floating = dtype.isFloatingPoint();
            assertThat(Tensor.zeros(dtype, 2).mul(0.5).dtype()).isEqualTo(floating ? dtype : FLOAT32);
            assertThat(Tensor.zeros(dtype, 2).add(3).dtype()).isEqualTo(dtype == BOOL ? INT64 : dtype);
            assertThat(Tensor.zeros(dtype, 2).div(2).dtype()).isEqualTo(floating ? dtype : FLOAT32);
            assertThat(Tensor.zeros(dtype, 2).exp().dtype()).isEqualTo(floating ? dtype : FLOAT32);
            assertThat(Tensor.zeros(dtype, 2).sum().dtype()).isEqualTo(floating ? dtype : INT64);
            assertThat(Tensor.zeros(dtype, 2).cumsum(0).dtype()).isEqualTo(floating ? dtype : INT64);
            assertThat(Tensor.zeros(dtype, 2).gt(0.5).dtype()).isEqualTo(BOOL);
            assertThat(Tensor.zeros(dtype, 2).isfinite().toBooleans()).containsOnly(true);
        }
    }

    @Test
    void integersAreExact() {
        long big = (1L << 53) + 1;
        Tensor x = Tensor.of(new long[] {big, -big, Long.MAX_VALUE}, 3);
        Tensor one = Tensor.of(new long[] {1}, 1);
        assertThat(x.add(one).toLongs()).containsExactly(big + 1, 1 - big, Long.MIN_VALUE);
        assertThat(x.sub(one).toLongs()).containsExactly(big - 1, -big - 1, Long.MAX_VALUE - 1);
        assertThat(x.mul(3).toLongs()).containsExactly(3 * big, -3 * big, 3 * Long.MAX_VALUE);
        assertThat(x.maximum(one).toLongs()).containsExactly(big, 1, Long.MAX_VALUE);
        assertThat(x.neg().toLongs()).containsExactly(-big, big, -Long.MAX_VALUE);
        assertThat(x.remainder(10).toLongs()).containsExactly(big % 10, 10 - big % 10, 7);
        assertThat(x.gt(Tensor.of(new long[] {big - 1}, 1)).toBooleans()).containsExactly(true, false, true);
        assertThat(x.eq(Tensor.of(new long[] {big - 1}, 1)).toBooleans()).containsOnly(false);
        assertThat(x.narrow(0, 0, 2).sum().toLongs()).containsExactly(0);
        assertThat(x.max(0, false).toLongs()).containsExactly(Long.MAX_VALUE);
        assertThat(x.narrow(0, 0, 2).cumsum(0).toLongs()).containsExactly(big, 0);
        assertThat(x.narrow(0, 0, 1).square().toLongs()).containsExactly(big * big);
        assertThat(x.where(x.gt(0), one).toLongs()).containsExactly(big, 1, Long.MAX_VALUE);
        assertThat(Tensor.of(new long[] {3, -1, 2, 0}, 4)
                        .pow(Tensor.of(new long[] {40, -3, -2, 0}, 4))
                        .toLongs())
                .containsExactly(Long.parseUnsignedLong("12157665459056928801"), -1, 0, 1);
        assertThat(Tensor.of(new long[] {3}, 1).pow(5).toLongs()).containsExactly(243);
    }

    @Test
    void smallIntegersWrapAround() {
        Tensor x = Tensor.of(new byte[] {100, -100, -128}, 3);
        assertThat(x.add(x).toInts()).containsExactly(-56, 56, 0);
        assertThat(x.mul(3).toInts()).containsExactly(44, -44, -128);
        assertThat(x.neg().toInts()).containsExactly(-100, 100, -128);
        assertThat(x.sum().toLongs()).containsExactly(-128);
        assertThat(Tensor.of(new int[] {Integer.MAX_VALUE}, 1).add(1).toInts()).containsExactly(Integer.MIN_VALUE);
        assertThat(Tensor.of(new int[] {1 << 16}, 1).square().toInts()).containsExactly(0);
        assertThat(Tensor.of(new int[] {1 << 30, 1 << 30}, 2).prod().toLongs()).containsExactly(1L << 60);
    }

    @Test
    void integersDivideToFloats() {
        Tensor q = Tensor.of(new int[] {7, -7}, 2).div(Tensor.of(new long[] {2, 0}, 2));
        assertThat(q.dtype()).isEqualTo(FLOAT32);
        assertThat(q.toFloats()).containsExactly(3.5f, Float.NEGATIVE_INFINITY);
        assertThat(Tensor.of(new int[] {-7, 7}, 2)
                        .remainder(Tensor.of(new int[] {3, -3}, 2))
                        .toInts())
                .containsExactly(2, -2);
        assertThat(Tensor.of(new float[] {-7, 7, 6}, 3).remainder(3).toFloats()).containsExactly(2, 1, 0);
        assertThatThrownBy(() -> Tensor.of(new int[] {1}, 1).remainder(0)).isInstanceOf(TensorException.class);
        assertThatThrownBy(() -> Tensor.of(new int[] {1}, 1).pow(-1)).hasMessageContaining("FLOAT32");
    }

    @Test
    void logic() {
        Tensor a = Tensor.of(new boolean[] {true, true, false, false}, 4);
        Tensor b = Tensor.of(new float[] {0.25f, 0, Float.NaN, 0}, 4);
        assertThat(a.logicalAnd(b).toBooleans()).containsExactly(true, false, false, false);
        assertThat(a.logicalOr(b).toBooleans()).containsExactly(true, true, true, false);
        assertThat(a.logicalXor(b).toBooleans()).containsExactly(false, true, true, false);
        assertThat(a.logicalNot().toBooleans()).containsExactly(false, false, true, true);
        assertThat(a.mul(b).dtype()).isEqualTo(FLOAT32);
        assertThat(a.sum().toLongs()).containsExactly(2);
        assertThat(a.any().toBooleans()).containsExactly(true);
        assertThat(a.all().toBooleans()).containsExactly(false);
        assertThat(a.reshape(2, 2).any(1, false).toBooleans()).containsExactly(true, false);
        assertThat(a.reshape(2, 2).all(1, true).shape()).containsExactly(2, 1);
        assertThat(Tensor.zeros(BOOL, 0).any().toBooleans()).containsExactly(false);
        assertThat(Tensor.zeros(BOOL, 0).all().toBooleans()).containsExactly(true);
        assertThatThrownBy(() -> a.sub(a)).hasMessageContaining("logicalXor");
        assertThatThrownBy(a::neg).hasMessageContaining("logicalNot");
        assertThatThrownBy(() -> b.where(b, b)).hasMessageContaining("expected a condition of BOOL, found FLOAT32");
    }

    @Test
    void comparisonsWithNan() {
        float nan = Float.NaN;
        Tensor a = Tensor.of(new float[] {1, 2, nan, nan}, 4);
        Tensor b = Tensor.of(new float[] {2, 2, 2, nan}, 4);
        assertThat(a.lt(b).toBooleans()).containsExactly(true, false, false, false);
        assertThat(a.le(b).toBooleans()).containsExactly(true, true, false, false);
        assertThat(a.gt(b).toBooleans()).containsExactly(false, false, false, false);
        assertThat(a.ge(b).toBooleans()).containsExactly(false, true, false, false);
        assertThat(a.eq(b).toBooleans()).containsExactly(false, true, false, false);
        assertThat(a.ne(b).toBooleans()).containsExactly(true, false, true, true);
        assertThat(a.isnan().toBooleans()).containsExactly(false, false, true, true);
        Tensor c = Tensor.of(new double[] {1, nan, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}, 4);
        assertThat(c.isfinite().toBooleans()).containsExactly(true, false, false, false);
        assertThat(c.isinf().toBooleans()).containsExactly(false, false, true, true);
        assertThat(Tensor.of(new int[] {2, 3}, 2).gt(2.5).toBooleans()).containsExactly(false, true);
        assertThat(a.maskedFill(a.isnan(), -1).toFloats()).containsExactly(1, 2, -1, -1);
    }

    @Test
    void everyTypeConvertsToEveryOther() {
        for (DType from : TYPES) {
            for (DType to : TYPES) {
                Tensor x = Tensor.of(new double[] {0, 1, -3, 100}, 2, 2).to(from);
                double[] expected =
                        from == BOOL || to == BOOL ? new double[] {0, 1, 1, 1} : new double[] {0, 1, -3, 100};
                assertThat(x.to(to).toDoubles()).as("%s to %s", from, to).containsExactly(expected);
                assertThat(x.transpose(0, 1).to(to).transpose(0, 1).toDoubles()).containsExactly(expected);
            }
        }
        double[] odd = {2.9, -2.9, 300.7, 1e20, Double.NaN};
        assertThat(Tensor.of(odd, 5).to(INT64).toLongs()).containsExactly(2, -2, 300, Long.MAX_VALUE, 0);
        assertThat(Tensor.of(odd, 5).narrow(0, 0, 3).to(INT8).toInts()).containsExactly(2, -2, 44);
        assertThat(Tensor.of(new double[] {0, -0.0, 1e-300, Double.NaN}, 4)
                        .to(BOOL)
                        .toBooleans())
                .containsExactly(false, false, true, true);
        long tie = (1L << 53) + (1L << 29) + 1; // rounding to float64 first would lose what breaks the tie
        assertThat(Tensor.of(new long[] {tie}, 1).to(FLOAT32).toFloats()).containsExactly(Math.nextUp(0x1p53f));
    }

    @Test
    void conversionsBetweenFloatingTypesPassGradients() {
        for (DType dtype : new DType[] {FLOAT64, BFLOAT16, FLOAT16}) {
            Tensor x = Tensor.of(new float[] {1, -2}, 2).requireGrad();
            Tensor y = x.to(dtype).mul(Tensor.full(FLOAT64, 3, 2));
            assertThat(y.dtype()).isEqualTo(FLOAT64);
            y.sum().backward();
            assertThat(x.grad().dtype()).isEqualTo(FLOAT32);
            assertThat(x.grad().toFloats()).containsExactly(3, 3);
        }
        assertThat(Tensor.zeros(FLOAT32, 2).requireGrad().to(INT32).requiresGrad())
                .isFalse();
    }
}
