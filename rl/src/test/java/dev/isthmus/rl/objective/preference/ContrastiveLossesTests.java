package dev.isthmus.rl.objective.preference;

import static dev.isthmus.rl.objective.preference.Tabular.log;
import static dev.isthmus.rl.objective.preference.Tabular.pick;
import static dev.isthmus.rl.objective.preference.Tabular.tilted;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.supervised.SampleWeights;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Policy gradients of pairs and regressions on advantages, over four answers of which every pair is seen as often as it is sampled. */
class ContrastiveLossesTests {
    private static final double[] OLD = {0.4, 0.3, 0.2, 0.1};
    private static final double[] NEW = {0.1, 0.45, 0.15, 0.3};
    private static final double[] REWARD = {1, -0.5, 2, 0.3};

    private static final double[][] ALL = {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};

    /** All ordered pairs, each weighed with the probability that {@code mu} samples it, so that the mean is the expectation. */
    private static Pairs pairs(Tensor logps, double[] reference, double[] mu) {
        return Tabular.pairs(logps, reference, mu, ALL, REWARD);
    }

    private static double[] gradient(double[] pi, Function<Tensor, Tensor> loss) {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logits = Tensor.of(log(pi), pi.length).requireGrad();
            loss.apply(logits.logSoftmax(0)).backward();
            return logits.grad().toDoubles();
        }
    }

    /** {@code -d E[R] / d logits = -pi (R - E[R])}. */
    private static double[] policyGradient(double[] pi) {
        double mean = 0;
        for (int i = 0; i < pi.length; i++) {
            mean += pi[i] * REWARD[i];
        }
        var gradient = new double[pi.length];
        for (int i = 0; i < pi.length; i++) {
            gradient[i] = -pi[i] * (REWARD[i] - mean);
        }
        return gradient;
    }

    @ParameterizedTest
    @EnumSource
    void p3oHasThePolicyGradientOnAndOffPolicy(P3oLoss.Clipping clipping) {
        double[] onPolicy = gradient(
                OLD,
                lp -> new P3oLoss(0.2, clipping).compute(pairs(lp, OLD, OLD)).loss());
        assertThat(onPolicy).containsExactly(policyGradient(OLD), within(1e-12));
        // Not clipped: the samples are the old policy's, the gradient is that at the new one.
        double[] offPolicy = gradient(
                NEW,
                lp -> new P3oLoss(100, clipping).compute(pairs(lp, OLD, OLD)).loss());
        assertThat(offPolicy).containsExactly(policyGradient(NEW), within(1e-12));
    }

    /** log rho = (ln 1.5, ln 0.9), rewards 3 and 1, so A = 1; bounds 0.8 and 1.2. */
    @Test
    void p3oClipsByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor first = Tensor.of(new double[] {Math.log(1.5)}, 1).requireGrad();
            Tensor second = Tensor.of(new double[] {Math.log(0.9)}, 1).requireGrad();
            Tensor zero = Tensor.of(new double[] {0}, 1);
            Pairs pair = Pairs.of(
                    Completions.of(first, zero, zero.add(1)).withScores(zero.add(3)),
                    Completions.of(second, zero, zero.add(1)).withScores(zero.add(1)));
            Tensor separate =
                    new P3oLoss(0.2, P3oLoss.Clipping.SEPARATE).compute(pair).loss();
            assertThat(separate.item()).isCloseTo(-1.2 + 0.9, within(1e-12));
            separate.backward();
            assertThat(first.grad().item()).isZero();
            assertThat(second.grad().item()).isCloseTo(0.9, within(1e-12));
            first.zeroGrad();
            second.zeroGrad();
            // The pair's ratio 1.5 / 0.9 is beyond 1.2: no gradient.
            Tensor joint =
                    new P3oLoss(0.2, P3oLoss.Clipping.JOINT).compute(pair).loss();
            assertThat(joint.item()).isCloseTo(-1.35 * Math.log(1.2), within(1e-12));
            joint.backward();
            assertThat(first.grad().item()).isZero();
            // With the rewards the other way round the bound does not bind: 1.35 on both, of unlike sign.
            Tensor back = new P3oLoss(0.2, P3oLoss.Clipping.JOINT)
                    .compute(Pairs.of(
                            pair.chosen().withScores(zero.add(1)),
                            pair.rejected().withScores(zero.add(3))))
                    .loss();
            back.backward();
            assertThat(first.grad().item()).isCloseTo(1.35, within(1e-12));
            assertThat(second.grad().item()).isCloseTo(-1.35, within(1e-12));
        }
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            GradCheck.check(
                    t -> new P3oLoss(0.2, P3oLoss.Clipping.SEPARATE)
                            .compute(pairs(t[0], OLD, OLD))
                            .loss(),
                    Tensor.of(log(NEW), 4));
            GradCheck.check(
                    t -> new CopgLoss(0.5).compute(pairs(t[0], OLD, OLD)).loss(), Tensor.of(log(NEW), 4));
            GradCheck.check(
                    t -> AdvantageRegressionLoss.webRl(0.5)
                            .compute(pick(t[0], OLD, REWARD, new int[] {0, 1, 2, 3}))
                            .loss(),
                    Tensor.of(log(NEW), 4));
        }
    }

    /** D = 0.5, rewards 3 and 1, beta 2: -(2 * 0.5 - 0.25) = -0.75. */
    @Test
    void copgByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor zero = Tensor.of(new double[] {0}, 1);
            Pairs pair = Pairs.of(
                    Completions.of(zero.sub(1), zero.sub(1.25), zero.add(1)).withScores(zero.add(3)),
                    Completions.of(zero.sub(2), zero.sub(1.75), zero.add(1)).withScores(zero.add(1)));
            assertThat(new CopgLoss(2).compute(pair).loss().item()).isCloseTo(-0.75, within(1e-12));
        }
    }

    /** Whatever samples the pairs, the tilted reference is where nothing moves; and it is a minimum. */
    @Test
    void theOptimumOfCopgIsTheTiltedReferenceOffPolicy() {
        double[] optimum = tilted(OLD, 1, REWARD, 0.5);
        double[] mu = {0.1, 0.2, 0.3, 0.4};
        double[] at = gradient(
                optimum, lp -> new CopgLoss(0.5).compute(pairs(lp, OLD, mu)).loss());
        assertThat(at).containsExactly(new double[4], within(1e-12));
        double[] elsewhere = gradient(
                OLD, lp -> new CopgLoss(0.5).compute(pairs(lp, OLD, mu)).loss());
        assertThat(elsewhere[2]).as("the best answer is pushed up").isNegative();
        double[] regression = gradient(
                NEW,
                lp -> new RewardRegressionLoss(0.5).compute(pairs(lp, OLD, mu)).loss());
        double[] copg = gradient(
                NEW, lp -> new CopgLoss(0.5).compute(pairs(lp, OLD, mu)).loss());
        assertThat(Arrays.stream(regression).map(g -> g / (2 * 0.5)).toArray()).containsExactly(copg, within(1e-12));
    }

    /** lr = -0.1, A = 0.3, beta 0.5: (0.6 + 0.1)^2 / 2 and (-0.05 - 0.3)^2. */
    @Test
    void regressionOnAdvantagesByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor zero = Tensor.of(new double[] {0}, 1);
            Completions action =
                    Completions.of(zero.sub(1.1), zero.sub(1), zero.add(1)).withScores(zero.add(0.3));
            assertThat(AdvantageRegressionLoss.directAdvantage(0.5)
                            .compute(action)
                            .loss()
                            .item())
                    .isCloseTo(0.245, within(1e-12));
            assertThat(AdvantageRegressionLoss.webRl(0.5).compute(action).loss().item())
                    .isCloseTo(0.1225, within(1e-12));
        }
    }

    /** Without the normaliser the tilted reference is no optimum; centred advantages make it one. */
    @Test
    void onlyCentredAdvantagesLeadToTheTiltedReference() {
        double beta = 0.8;
        // As often as the reference takes them: 4, 3, 2 and 1 of ten.
        int[] actions = {0, 0, 0, 0, 1, 1, 1, 2, 2, 3};
        double[] raw = Arrays.stream(actions).mapToDouble(i -> REWARD[i]).toArray();
        double[] centred = SampleWeights.centred(raw, 10, beta);
        double mass = 0;
        for (double a : centred) {
            mass += Math.exp(a / beta) / 10;
        }
        assertThat(mass).isCloseTo(1, within(1e-12));
        double[] ofAnswer = {centred[0], centred[4], centred[7], centred[9]};
        var loss = AdvantageRegressionLoss.directAdvantage(beta);
        double[] optimum = tilted(OLD, 1, REWARD, beta);
        assertThat(gradient(
                        optimum,
                        lp -> loss.compute(pick(lp, OLD, ofAnswer, actions)).loss()))
                .containsExactly(new double[4], within(1e-12));
        double[] uncentred = gradient(
                optimum, lp -> loss.compute(pick(lp, OLD, REWARD, actions)).loss());
        assertThat(Arrays.stream(uncentred).map(Math::abs).max().orElseThrow()).isGreaterThan(0.01);
        assertThatThrownBy(() -> SampleWeights.centred(raw, 3, beta))
                .hasMessageContaining("10 values are not groups of num_generations 3");
    }
}
