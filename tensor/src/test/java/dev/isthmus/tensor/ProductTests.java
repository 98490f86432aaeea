package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.KernelCall.Copy;
import dev.isthmus.tensor.KernelCall.MatMul;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Products of all ranks, of views and by equation: values, calls, gradients and errors. */
class ProductTests {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor random(int seed, long... shape) {
        return Tensor.randn(DType.FLOAT64, Rng.of(3).split("input", seed), 1, shape);
    }

    private static void check(Function<Tensor[], Tensor> f, long[]... shapes) {
        Tensor[] inputs = new Tensor[shapes.length];
        Arrays.setAll(inputs, i -> random(i, shapes[i]));
        GradCheck.check(f, inputs);
    }

    private static long[] shape(long... sizes) {
        return sizes;
    }

    /** {@code sum over k of a[.., m, k] b[.., k, n]}, by multiplying and summing what is broadcast. */
    private static Tensor byHand(Tensor a, Tensor b) {
        return a.unsqueeze(-1).mul(b.unsqueeze(-3)).sum(-2, false);
    }

    private static void assertNear(Tensor found, Tensor expected) {
        assertThat(found.shape()).isEqualTo(expected.shape());
        double[] e = expected.toDoubles();
        double[] f = found.toDoubles();
        for (int i = 0; i < e.length; i++) {
            assertThat(f[i]).isCloseTo(e[i], within(1e-3));
        }
    }

    /** All ways in which two matrices can lie: in both precisions, so that both twins see them. */
    @Test
    void multipliesViewsWhereTheyLie() {
        for (DType type : new DType[] {DType.FLOAT32, DType.FLOAT64}) {
            Tensor x = random(0, 4, 9, 3, 14).to(type);
            Tensor y = random(1, 4, 9, 3, 14).to(type);
            Tensor heads = x.permute(0, 2, 1, 3); // [4, 3, 9, 14]
            Tensor others = y.permute(0, 2, 1, 3);
            Tensor expected = byHand(heads, others.transpose(-2, -1));
            assertNear(heads.matmul(others.transpose(-2, -1)), expected);
            assertNear(heads.transpose(-2, -1).matmul(others), byHand(heads.transpose(-2, -1), others));
            assertNear(
                    heads.narrow(3, 2, 9)
                            .transpose(-2, -1)
                            .matmul(others.narrow(3, 1, 9).transpose(-2, -1)),
                    byHand(
                            heads.narrow(3, 2, 9).transpose(-2, -1),
                            others.narrow(3, 1, 9).transpose(-2, -1)));
            assertNear(
                    heads.slice(3, 0, 14, 2).matmul(others.slice(3, 7).transpose(-2, -1)),
                    byHand(heads.slice(3, 0, 14, 2), others.slice(3, 7).transpose(-2, -1)));
            Tensor one = x.select(0, 1).select(1, 0); // [9, 14] in rows of 42
            assertNear(heads.matmul(one.t()), byHand(heads, one.t()));
            assertNear(one.matmul(others.transpose(-2, -1)), byHand(one, others.transpose(-2, -1)));
            assertNear(
                    one.unsqueeze(0).expand(3, 9, 14).matmul(others.transpose(-2, -1)),
                    byHand(one, others.transpose(-2, -1)));
            assertNear(
                    heads.narrow(1, 0, 1).matmul(one.t().unsqueeze(0)),
                    byHand(heads.narrow(1, 0, 1), one.t().unsqueeze(0)));
            assertNear(
                    heads.narrow(2, 0, 1).matmul(others.narrow(2, 3, 1).transpose(-2, -1)),
                    byHand(heads.narrow(2, 0, 1), others.narrow(2, 3, 1).transpose(-2, -1)));
            assertNear(
                    heads.narrow(3, 5, 1).matmul(others.narrow(3, 1, 1).transpose(-2, -1)),
                    byHand(heads.narrow(3, 5, 1), others.narrow(3, 1, 1).transpose(-2, -1)));
            assertThat(heads.narrow(3, 0, 0)
                            .matmul(others.narrow(3, 0, 0).transpose(-2, -1))
                            .toFloats())
                    .containsOnly(0);
            assertThat(heads.narrow(0, 0, 0).matmul(one.t()).shape()).containsExactly(0, 3, 9, 9);
        }
    }

    @Test
    void transposedViewsAreNotCopied() {
        List<KernelCall> calls = new ArrayList<>();
        Device recording = new Device() {
            @Override
            public void run(KernelCall call) {
                calls.add(call);
                Device.scalar().run(call);
            }

            @Override
            public String name() {
                return "recording";
            }
        };
        try (Scope _ = Scope.open(recording)) {
            Tensor q = random(0, 2, 5, 3, 4).requireGrad().permute(0, 2, 1, 3);
            Tensor k = random(1, 2, 5, 3, 4).requireGrad().permute(0, 2, 1, 3);
            calls.clear();
            q.matmul(k.transpose(-2, -1));
            assertThat(calls).hasOnlyElementsOfType(MatMul.class);
            calls.clear();
            Tensor.einsum("bhqd,bhkd->bhqk", random(2, 2, 3, 5, 4), random(3, 2, 3, 5, 4));
            assertThat(calls.stream().filter(c -> c instanceof MatMul)).hasSize(1);
            Tensor a = random(2, 4, 5).requireGrad();
            Tensor b = random(3, 6, 5).requireGrad();
            Tensor y = a.matmul(b.t());
            calls.clear();
            y.backward(Tensor.onesLike(y));
            assertThat(calls.stream().filter(c -> c instanceof MatMul)).hasSize(2);
            assertThat(calls.stream().filter(c -> c instanceof Copy)).hasSizeLessThanOrEqualTo(1); // the seed's
        }
    }

    @Test
    void productsByName() {
        Tensor a = random(0, 2, 3, 4);
        Tensor b = random(1, 2, 4, 5);
        assertNear(a.bmm(b), byHand(a, b));
        assertNear(
                a.select(0, 0).mv(b.select(0, 1).select(1, 2)),
                byHand(a.select(0, 0), b.select(0, 1).narrow(1, 2, 1)).squeeze(-1));
        Tensor u = a.select(0, 1).select(0, 0);
        Tensor v = b.select(0, 0).select(1, 3);
        assertThat(u.dot(v).item()).isCloseTo(u.mul(v).sum().item(), within(1e-12));
        assertNear(u.outer(v), byHand(u.unsqueeze(1), v.unsqueeze(0)));
        Tensor bias = random(2, 5);
        Tensor product = byHand(a.select(0, 0), b.select(0, 0)).add(bias);
        assertNear(bias.addmm(a.select(0, 0), b.select(0, 0)), product);
        assertNear(bias.unsqueeze(0).addmm(a.select(0, 0), b.select(0, 0)), product);
        assertNear(bias.baddbmm(a, b), byHand(a, b).add(bias));
        assertThat(Tensor.of(new int[] {1, 2, 3, 4}, 2, 2)
                        .matmul(Tensor.of(new int[] {5, 6}, 2))
                        .toInts())
                .containsExactly(17, 39);
        assertThatThrownBy(() -> a.bmm(b.select(0, 0))).hasMessageContaining("[4, 5]");
        assertThatThrownBy(() -> u.mv(v)).hasMessageContaining("mv");
        assertThatThrownBy(() -> a.matmul(a)).hasMessageContaining("inner sizes 4 and 3");
        assertThatThrownBy(() -> random(3, 3, 3, 4).matmul(b)).hasMessageContaining("broadcast");
        assertThatThrownBy(() -> u.matmul(random(0, 5)))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("4 and 5");
    }

    @Test
    void gradientsOfProducts() {
        check(t -> t[0].matmul(t[1]), shape(2, 3, 4), shape(4, 5));
        check(t -> t[0].transpose(0, 1).matmul(t[1]), shape(3, 2, 4), shape(4, 5));
        check(t -> t[0].matmul(t[1].transpose(-2, -1)), shape(2, 3, 4), shape(2, 5, 4));
        check(t -> t[0].transpose(1, 2).matmul(t[1].transpose(-2, -1)), shape(2, 4, 3), shape(2, 5, 4));
        check(t -> t[0].matmul(t[1]), shape(3, 4), shape(2, 1, 4, 2));
        check(t -> t[0].matmul(t[1]), shape(2, 3, 4), shape(4));
        check(t -> t[0].matmul(t[1]), shape(4), shape(2, 4, 3));
        check(t -> t[0].matmul(t[0].t()), shape(3, 4));
        check(t -> t[0].dot(t[1]).mul(t[0].outer(t[1])), shape(3), shape(3));
        check(t -> t[0].addmm(t[1], t[2]), shape(4), shape(3, 2), shape(2, 4));
        check(t -> Functional.linear(t[0], t[1].t(), t[2].select(1, 1)), shape(2, 3), shape(3, 4), shape(4, 2));
        check(t -> Functional.conv1d(t[0].t(), t[1].t(), null), shape(3, 2), shape(4, 3));
        check(t -> t[0].baddbmm(t[1], t[2]), shape(3, 1), shape(2, 3, 2), shape(2, 2, 4));
    }

    /** Every equation against products and sums over all letters. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bhqd,bhkd->bhqk | 2,3,4,5 | 2,3,2,5",
                "bij,bjk->ik | 2,3,5 | 2,5,4",
                "ij,kj->ik | 3,5 | 4,5",
                "ij,jk | 3,5 | 5,4",
                "ba,ca | 3,5 | 4,5",
                "i,j->ij | 3 | 4",
                "i,i-> | 3 | 3",
                "bi,bi->b | 2,3 | 2,3",
                "bi,bi->bi | 2,3 | 2,3",
                "bi,bj->ijb | 2,3 | 2,4",
                "ij,k->j | 2,3 | 4",
                "bqhd,bkhd->bhqk | 2,3,2,5 | 2,4,2,5",
                "bhqk,bkhd->bqhd | 2,3,4,5 | 2,5,3,2",
                "bij,ijk->bk | 2,3,4 | 3,4,5",
                "bij,jik->bk | 2,3,4 | 4,3,5",
                "Ab,bA->A | 2,3 | 3,2",
                "iij,jk->ik | 3,3,2 | 2,4",
            })
    void einsumOfTwo(String equation, String shapeA, String shapeB) {
        long[] a = Arrays.stream(shapeA.split(",")).mapToLong(Long::parseLong).toArray();
        long[] b = Arrays.stream(shapeB.split(",")).mapToLong(Long::parseLong).toArray();
        Tensor x = random(0, a);
        Tensor y = random(1, b);
        assertNear(Tensor.einsum(equation, x, y), byLetters(equation, x, y));
        check(t -> Tensor.einsum(equation, t[0], t[1]), a, b);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "ii-> | 3,3",
                "ii->i | 3,3",
                "ij->ji | 2,3",
                "ij-> | 2,3",
                "ji | 2,3",
                "iji->j | 3,2,3",
                "iii->i | 3,3,3",
                "ijik->kj | 3,2,3,4",
                "ii | 3,3"
            })
    void einsumOfOne(String equation, String shape) {
        long[] sizes =
                Arrays.stream(shape.split(",")).mapToLong(Long::parseLong).toArray();
        Tensor x = random(0, sizes);
        assertNear(Tensor.einsum(equation, x), byLetters(equation, x));
        check(t -> Tensor.einsum(equation, t[0]), sizes);
    }

    @Test
    void einsumOfThreeAndWithEllipsis() {
        Tensor x = random(0, 2, 3);
        Tensor y = random(1, 3, 4);
        Tensor z = random(2, 4, 2);
        assertNear(Tensor.einsum("ij,jk,kl->il", x, y, z), x.matmul(y).matmul(z));
        assertNear(Tensor.einsum("ij,jk,ki->", x, y, z), x.matmul(y).mul(z.t()).sum());
        assertNear(
                Tensor.einsum("ij,jk,kj->ij", x, y, z.repeat(1, 2).narrow(1, 0, 3)),
                x.mul(y.mul(z.repeat(1, 2).narrow(1, 0, 3).t()).sum(1, false)));
        Tensor batch = random(3, 5, 2, 3);
        assertNear(Tensor.einsum("...ij,jk->...ik", batch, y), batch.matmul(y));
        assertNear(Tensor.einsum("...ij, ...jk", batch, random(4, 1, 3, 2)), batch.matmul(random(4, 1, 3, 2)));
        assertNear(Tensor.einsum("i...->...i", batch), batch.permute(1, 2, 0));
        check(t -> Tensor.einsum("...i,ij,...j->...", t[0], t[1], t[2]), shape(2, 2, 3), shape(3, 4), shape(2, 4));
    }

    @Test
    void wrongEquationsAreNamed() {
        Tensor x = random(0, 2, 3);
        Tensor y = random(1, 4, 3);
        assertThatThrownBy(() -> Tensor.einsum("ij,jk->ik", x, y))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("\"ij,jk->ik\"")
                .hasMessageContaining("'j' is 3 and 4");
        assertThatThrownBy(() -> Tensor.einsum("ij->ik", x)).hasMessageContaining("'k' that no operand has");
        assertThatThrownBy(() -> Tensor.einsum("ij->ii", x)).hasMessageContaining("'i' twice");
        assertThatThrownBy(() -> Tensor.einsum("ij,kj->ik", x)).hasMessageContaining("2 terms for 1 operands");
        assertThatThrownBy(() -> Tensor.einsum("ijk->i", x))
                .hasMessageContaining("'ijk' does not fit")
                .hasMessageContaining("[2, 3]");
        assertThatThrownBy(() -> Tensor.einsum("i->i", x)).hasMessageContaining("'i' does not fit");
        assertThatThrownBy(() -> Tensor.einsum("i1->i", x)).hasMessageContaining("'1' is not a letter");
        assertThatThrownBy(() -> Tensor.einsum("ii->i", x)).hasMessageContaining("'i' is 2 and 3");
        assertThatThrownBy(() -> Tensor.einsum("ij->i->j", x)).isInstanceOf(TensorException.class);
    }

    /** What the equation says, one number at a time. */
    private static Tensor byLetters(String equation, Tensor... operands) {
        String[] sides = equation.trim().split("->", -1);
        String[] terms = sides[0].trim().split(",");
        String all = sides[0].replace(",", "")
                .chars()
                .distinct()
                .sorted()
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
        String joined = sides[0];
        String out = sides.length == 2
                ? sides[1].trim()
                : all.chars()
                        .filter(c -> joined.indexOf(c) == joined.lastIndexOf(c))
                        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                        .toString();
        long[] sizes = new long[all.length()];
        for (int t = 0; t < terms.length; t++) {
            for (int d = 0; d < terms[t].length(); d++) {
                sizes[all.indexOf(terms[t].charAt(d))] = operands[t].size(d);
            }
        }
        long[] shape = out.chars().mapToLong(c -> sizes[all.indexOf(c)]).toArray();
        double[] sum = new double[(int) Layout.count(shape)];
        long[] at = new long[sizes.length];
        for (long i = 0; i < Layout.count(sizes); i++) {
            long rest = i;
            for (int d = 0; d < at.length; d++) {
                at[d] = rest % sizes[d];
                rest /= sizes[d];
            }
            double product = 1;
            for (int t = 0; t < terms.length; t++) {
                product *= operands[t].toDoubles()[place(terms[t], operands[t].shape(), all, at)];
            }
            sum[place(out, shape, all, at)] += product;
        }
        return Tensor.of(sum, shape);
    }

    private static int place(String letters, long[] shape, String all, long[] at) {
        int place = 0;
        for (int d = 0; d < shape.length; d++) {
            place = place * (int) shape[d] + (int) at[all.indexOf(letters.charAt(d))];
        }
        return place;
    }
}
