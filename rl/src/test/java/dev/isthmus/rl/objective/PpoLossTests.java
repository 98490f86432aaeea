package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.reward.GeneralizedAdvantages;
import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.rl.reward.Whitening;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** From token rewards to the loss, against TRL's PPO. */
class PpoLossTests {
    static List<Arguments> cases() {
        return LossFixture.all("ppo.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTrl(String name, LossFixture fixture) {
        try (Scope scope = Scope.open(Device.scalar())) {
            double[] last = fixture.input("sequence_lengths").toDoubles();
            int length = (int) fixture.input("logprobs").size(1);
            double[][] logps = rows(fixture.input("logprobs"));
            double[][] ref = rows(fixture.input("ref_logprobs"));
            double[] scores = fixture.input("scores").toDoubles();
            double[][] oldValues = rows(fixture.input("values"));
            int n = scores.length;
            var rewards = new double[n][];
            var values = new double[n][];
            var tokens = new boolean[n][length];
            var states = new boolean[n][length];
            for (int i = 0; i < n; i++) {
                int count = (int) last[i] + 1;
                // TRL puts the score at the state after the last token, if the batch is wide enough to hold it.
                int stateCount = Math.min(count + 1, length);
                Arrays.fill(tokens[i], 0, count, true);
                Arrays.fill(states[i], 0, stateCount, true);
                values[i] = Arrays.copyOf(Arrays.copyOf(oldValues[i], stateCount), length);
                double[] penalized = TokenRewards.klPenalized(
                        Arrays.copyOf(logps[i], count),
                        Arrays.copyOf(ref[i], count),
                        scores[i],
                        fixture.config("kl_coef").asDouble(),
                        KlEstimator.valueOf(
                                fixture.config("kl_estimator").asString().toUpperCase(Locale.ROOT)),
                        stateCount);
                rewards[i] = Arrays.copyOf(penalized, length);
            }
            if (fixture.config("whiten_rewards").asBoolean()) {
                rewards = Whitening.whiten(rewards, states, false);
            }
            fixture.assertClose("rewards", flat(rewards), fixture.output("rewards"));
            var estimate = GeneralizedAdvantages.of(
                    rewards,
                    values,
                    null,
                    fixture.config("gamma").asDouble(),
                    fixture.config("lam").asDouble());
            double[][] advantages = Whitening.whiten(estimate.advantages(), tokens, true);
            fixture.assertClose("advantages", flat(advantages), fixture.output("advantages"));
            fixture.assertClose("returns", flat(estimate.returns()), fixture.output("returns"));

            Tensor newLogps = fixture.input("new_logprobs").requireGrad();
            Tensor vpred = fixture.input("vpred").requireGrad();
            var loss = new PpoLoss(
                    fixture.config("cliprange").asDouble(),
                    fixture.config("cliprange_value").asDouble(),
                    fixture.config("vf_coef").asDouble());
            Tensor mask = mask(fixture, "padding_mask", tokens);
            Tensor valueMask = mask(fixture, "padding_mask_p1", states);
            PpoLoss.Result result = loss.compute(new PpoLoss.Inputs(
                    newLogps,
                    fixture.input("logprobs"),
                    Tensor.of(flat(advantages), n, length).to(fixture.dtype()),
                    mask,
                    vpred,
                    fixture.input("values"),
                    Tensor.of(flat(estimate.returns()), n, length).to(fixture.dtype()),
                    valueMask));
            fixture.assertOutput("pg_loss", result.policyLoss());
            fixture.assertOutput("vf_loss", result.valueLoss());
            fixture.assertOutput("loss", result.loss());
            assertThat(result.metrics().get("val/clipfrac_avg"))
                    .isCloseTo(fixture.output("vf_clipfrac")[0], within(2e-6));
            result.loss().backward();
            fixture.assertGradient("new_logprobs", newLogps);
            fixture.assertGradient("vpred", vpred);
        }
    }

    private static Tensor mask(LossFixture fixture, String padding, boolean[][] counted) {
        double[] mask = Arrays.stream(fixture.output(padding)).map(p -> 1 - p).toArray();
        Tensor result = Tensor.cat(
                0,
                Arrays.stream(counted).map(row -> Tensor.of(row, 1, row.length)).toArray(Tensor[]::new));
        assertThat(result.to(DType.FLOAT64).toDoubles()).containsExactly(mask);
        return result.to(fixture.dtype());
    }

    private static double[][] rows(Tensor x) {
        int columns = (int) x.size(1);
        double[] all = x.toDoubles();
        var rows = new double[all.length / columns][];
        Arrays.setAll(rows, i -> Arrays.copyOfRange(all, i * columns, (i + 1) * columns));
        return rows;
    }

    private static double[] flat(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor[] constants = new Tensor[4];
            Arrays.setAll(constants, i -> Tensor.randn(DType.FLOAT64, Rng.of(10 + i), 0.4, 3, 4));
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1}, 3, 4);
            Tensor valueMask = Tensor.of(new double[] {1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1}, 3, 4);
            GradCheck.check(
                    t -> PpoLoss.defaults()
                            .compute(new PpoLoss.Inputs(
                                    t[0],
                                    constants[0],
                                    constants[1],
                                    mask,
                                    t[1],
                                    constants[2],
                                    constants[3],
                                    valueMask))
                            .loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 0.3, 3, 4),
                    Tensor.randn(DType.FLOAT64, Rng.of(2), 0.5, 3, 4));
        }
    }

    /** One token, ratio e^0.5 > 1.2 and advantage 2; value 1 against 0 before, return 3. */
    @Test
    void oneTokenByHand() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor one = Tensor.of(new double[] {1}, 1, 1);
            Tensor logps = Tensor.of(new double[] {-1}, 1, 1).requireGrad();
            Tensor value = Tensor.of(new double[] {1}, 1, 1).requireGrad();
            var result = PpoLoss.defaults()
                    .compute(new PpoLoss.Inputs(
                            logps,
                            Tensor.of(new double[] {-1.5}, 1, 1),
                            one.mul(2),
                            one,
                            value,
                            one.mul(0),
                            one.mul(3),
                            one));
            // Clipped at 1.2; the value is cut to 0.2, which is farther from 3: 2.8^2 / 2.
            assertThat(result.policyLoss().item()).isCloseTo(-2.4, within(1e-12));
            assertThat(result.valueLoss().item()).isCloseTo(3.92, within(1e-12));
            assertThat(result.loss().item()).isCloseTo(-2.4 + 0.392, within(1e-12));
            assertThat(result.metrics())
                    .containsEntry("policy/clipfrac_avg", 1.0)
                    .containsEntry("val/clipfrac_avg", 1.0)
                    .containsEntry("policy/approxkl_avg", 0.125);
            result.loss().backward();
            assertThat(logps.grad().item()).isZero();
            assertThat(value.grad().item()).isZero();
        }
    }
}
