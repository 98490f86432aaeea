package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** MiniLLM and distillation from the own past. */
class DistillationPapersTests {
    private static double[] log(double... p) {
        return Arrays.stream(p).map(Math::log).toArray();
    }

    private static MiniLlmLoss policyGradientOnly(double gamma, boolean normalized) {
        var reinforce = new GrpoLoss(
                Normalizer.TOKEN_MEAN, new Surrogate.Reinforce(), ImportanceSamplingLevel.TOKEN, 0, false, null, 1, 0);
        return new MiniLlmLoss(reinforce, true, false, 1, gamma, normalized);
    }

    /** Rewards 1, 2 and 4 at gamma 1/2: returns 3, 4, 4 over 1.75, 1.5 and 1; padding is not seen. */
    @Test
    void advantagesByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor student = Tensor.of(new double[] {-3, -4, -6, -1}, 1, 4);
            Tensor teacher = Tensor.of(new double[] {-2, -2, -2, 99}, 1, 4);
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 0}, 1, 4);
            assertThat(policyGradientOnly(0.5, false)
                            .advantages(student, teacher, mask)
                            .toDoubles())
                    .containsExactly(3, 4, 4, 0);
            assertThat(policyGradientOnly(0.5, true)
                            .advantages(student, teacher, mask)
                            .toDoubles())
                    .containsExactly(new double[] {3 / 1.75, 4 / 1.5, 4, 0}, within(1e-12));
            assertThat(policyGradientOnly(0, true)
                            .advantages(student, teacher, mask)
                            .toDoubles())
                    .containsExactly(1, 2, 4, 0);
        }
    }

    /**
     * Of ten completions of one token, as many of each word as the student's distribution says, the policy gradient is the gradient of
     * KL(student || teacher), and so is that of the single step alone.
     */
    @Test
    void thePolicyGradientIsThatOfTheReverseDivergence() {
        double[] student = {0.5, 0.3, 0.2};
        double[] teacher = {0.2, 0.2, 0.6};
        int[] words = {0, 0, 0, 0, 0, 1, 1, 1, 2, 2};
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor tokens = Tensor.of(words, 10, 1);
            Tensor mask = Tensor.full(DType.FLOAT64, 1, 10, 1);
            Tensor teacherLogits = Tensor.of(log(teacher), 1, 1, 3).expand(10, 1, 3);
            double[][] gradients = new double[2][];
            for (int i = 0; i < 2; i++) {
                Tensor logits = Tensor.of(log(student), 1, 1, 3).requireGrad();
                Tensor all = logits.expand(10, 1, 3);
                Tensor logps = dev.isthmus.tensor.Functional.selectiveLogSoftmax(all, tokens);
                MiniLlmLoss minillm = i == 0
                        ? policyGradientOnly(1, false)
                        : new MiniLlmLoss(policyGradientOnly(1, false).policyGradient(), false, true, 1, 1, false);
                minillm.compute(
                                new GrpoLoss.Inputs(
                                        logps,
                                        null,
                                        null,
                                        Tensor.zeros(DType.FLOAT64, 10),
                                        null,
                                        new Normalizer.Batch(mask, 10, 1, 1)),
                                tokens,
                                all,
                                teacherLogits)
                        .loss()
                        .backward();
                gradients[i] = logits.grad().toDoubles();
            }
            double divergence = 0;
            for (int v = 0; v < 3; v++) {
                divergence += student[v] * Math.log(student[v] / teacher[v]);
            }
            for (int v = 0; v < 3; v++) {
                double expected = student[v] * (Math.log(student[v] / teacher[v]) - divergence);
                assertThat(gradients[0][v]).isCloseTo(expected, within(1e-12));
                assertThat(gradients[1][v]).isCloseTo(expected, within(1e-12));
            }
        }
    }

    /** The single steps of the micro-batches of a step add up, whatever the policy gradient's normalizer. */
    @Test
    void singleStepsOfMicroBatchesAddUp() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor student = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 2, 3, 5);
            Tensor teacher = Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 2, 3, 5);
            Tensor tokens = Tensor.of(new int[] {0, 1, 2, 3, 4, 0}, 2, 3);
            Tensor logps = Tensor.zeros(DType.FLOAT64, 2, 3);
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 1, 0, 0}, 2, 3);
            double whole = 0;
            double parts = 0;
            MiniLlmLoss loss = MiniLlmLoss.defaults();
            for (int i = 0; i < 3; i++) {
                int from = i == 2 ? 1 : 0;
                int count = i == 0 ? 2 : 1;
                double value = loss.compute(
                                new GrpoLoss.Inputs(
                                        logps.narrow(0, from, count),
                                        null,
                                        null,
                                        Tensor.zeros(DType.FLOAT64, count),
                                        null,
                                        new Normalizer.Batch(mask.narrow(0, from, count), 4, 3, i == 0 ? 1 : 2)),
                                tokens.narrow(0, from, count),
                                student.narrow(0, from, count),
                                teacher.narrow(0, from, count))
                        .loss()
                        .item();
                whole += i == 0 ? value : 0;
                parts += i == 0 ? 0 : value;
            }
            assertThat(parts).isCloseTo(whole, within(1e-12));
            assertThat(whole).isNotZero();
        }
    }

    /** Model (1/2, 1/2), past (3/4, 1/4), alpha 0.4, label 0: 0.6 ln 2 + 0.4 ln 2 here, and a model of (0.8, 0.2) by hand. */
    @Test
    void theOwnPastSoftensTheTargets() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logits = Tensor.of(log(0.8, 0.2, 0.5, 0.5), 1, 2, 2);
            Tensor past = Tensor.of(log(0.75, 0.25, 0.5, 0.5), 1, 2, 2);
            Tensor labels = Tensor.of(new int[] {0, 1}, 1, 2);
            Tensor mask = Tensor.of(new double[] {1, 0}, 1, 2);
            double expected = -(0.6 + 0.4 * 0.75) * Math.log(0.8) - 0.4 * 0.25 * Math.log(0.2);
            assertThat(new SelfDistillationLoss(0.4)
                            .sum(logits, labels, past, mask)
                            .item())
                    .isCloseTo(expected, within(1e-12));
            assertThat(new SelfDistillationLoss(0)
                            .sum(logits, labels, past, mask)
                            .item())
                    .isCloseTo(-Math.log(0.8), within(1e-12));
            GradCheck.check(t -> new SelfDistillationLoss(0.4).sum(t[0], labels, past, mask), logits);
        }
        assertThat(SelfDistillationLoss.ofEpoch(0.8, 3, 12).alpha()).isCloseTo(0.2, within(1e-15));
    }

    /** The optimum is the mixture of label and past. */
    @Test
    void theSoftTargetIsTheOptimum() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logits =
                    Tensor.of(log(0.6 + 0.4 * 0.75, 0.4 * 0.25), 1, 1, 2).requireGrad();
            Tensor past = Tensor.of(log(0.75, 0.25), 1, 1, 2);
            new SelfDistillationLoss(0.4)
                    .sum(logits, Tensor.of(new int[] {0}, 1, 1), past, Tensor.full(DType.FLOAT64, 1, 1, 1))
                    .backward();
            assertThat(logits.grad().toDoubles()).containsExactly(new double[2], within(1e-12));
        }
    }
}
