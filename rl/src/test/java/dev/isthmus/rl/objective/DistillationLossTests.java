package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class DistillationLossTests {
    static List<Arguments> cases() {
        return LossFixture.all("gkd_jsd.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTrl(String name, LossFixture fixture) {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor student = fixture.input("student_logits").requireGrad();
            Tensor mask = fixture.input("labels").ne(-100).to(fixture.dtype());
            var loss = new DistillationLoss(
                    fixture.config("beta").asDouble(),
                    fixture.config("temperature").asDouble());
            double tokens = mask.sum().item();
            Double items = fixture.optional("num_items_in_batch");
            double divisor = items != null
                    ? items
                    : switch (fixture.config("reduction").asString()) {
                        case "batchmean" -> tokens;
                        case "mean" -> tokens * student.size(2);
                        default -> 1;
                    };
            Tensor result =
                    loss.sum(student, fixture.input("teacher_logits"), mask).div(divisor);
            fixture.assertOutput("loss", result);
            result.backward();
            fixture.assertGradient("student_logits", student);
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.3, 1})
    void theGradientIsThatOfTheLoss(double beta) {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor teacher = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 2, 2, 5);
            Tensor mask = Tensor.of(new double[] {1, 1, 0, 1}, 2, 2);
            GradCheck.check(
                    t -> new DistillationLoss(beta, 0.9).sum(t[0], teacher, mask),
                    Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 2, 2, 5));
        }
    }

    /** Student (1/2, 1/2), teacher (3/4, 1/4). */
    @Test
    void twoWordsByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor student = Tensor.of(new double[] {0, 0}, 1, 1, 2);
            Tensor teacher = Tensor.of(new double[] {Math.log(3), 0}, 1, 1, 2);
            double forward = 0.75 * Math.log(1.5) + 0.25 * Math.log(0.5);
            double reverse = 0.5 * Math.log(2.0 / 3) + 0.5 * Math.log(2);
            // The mixture of beta 1/2 is (5/8, 3/8).
            double middle = 0.5 * (0.75 * Math.log(1.2) + 0.25 * Math.log(2.0 / 3))
                    + 0.5 * (0.5 * Math.log(0.8) + 0.5 * Math.log(4.0 / 3));
            assertThat(at(0, student, teacher)).isCloseTo(forward, within(1e-12));
            assertThat(at(1, student, teacher)).isCloseTo(reverse, within(1e-12));
            assertThat(at(0.5, student, teacher)).isCloseTo(middle, within(1e-12));
            // The limits of the generalized divergence, divided by beta and by 1 - beta, are the other two.
            assertThat(at(1e-6, student, teacher) / 1e-6).isCloseTo(forward, within(1e-5));
            assertThat(at(1 - 1e-6, student, teacher) / 1e-6).isCloseTo(reverse, within(1e-5));
        }
    }

    private static double at(double beta, Tensor student, Tensor teacher) {
        return new DistillationLoss(beta, 1).perToken(student, teacher).item();
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.3, 1})
    void someTokensAtOnceAreTheSameAsAll(double beta) {
        try (Scope scope = Scope.open()) {
            DistillationLoss loss = new DistillationLoss(beta, 0.9);
            Tensor hidden = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 130, 2);
            Tensor head = Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 2, 3);
            Tensor student = Tensor.randn(DType.FLOAT64, Rng.of(3), 1, 130, 3).requireGrad();
            Tensor all = loss.perToken(student, hidden.matmul(head));
            all.sum().backward();
            double[] gradient = student.grad().toDoubles();
            student.zeroGrad();
            Tensor some = loss.perToken(student, hidden, h -> h.matmul(head));
            some.sum().backward();
            assertThat(some.toDoubles()).isEqualTo(all.toDoubles());
            assertThat(student.grad().toDoubles()).isEqualTo(gradient);
            assertThat(new DistillationLoss(0, 1)
                            .perToken(student, student, same -> same)
                            .toDoubles())
                    .containsOnly(0);
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.1, 0.5, 1})
    void aModelIsNotFarFromItself(double beta) {
        try (Scope scope = Scope.open()) {
            Tensor logits = Tensor.randn(DType.FLOAT32, Rng.of(3), 3, 1, 4, 50);
            assertThat(new DistillationLoss(beta, 0.9).perToken(logits, logits).toDoubles())
                    .containsExactly(new double[4], within(1e-6));
        }
    }
}
