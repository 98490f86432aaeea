package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.GrpoLoss.LossType;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The loss, its gradient and its metrics against the numbers of TRL's own code. */
class GrpoLossTests {
    static List<Arguments> cases() {
        return LossFixture.all("grpo.json");
    }

    @Tag("fixture")
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void equalsTrl(String name, LossFixture fixture) {
        LossType type = LossType.named(fixture.config("loss_type").asString());
        var clipped = new Surrogate.Clipped(
                fixture.config("epsilon_low").asDouble(),
                fixture.config("epsilon_high").asDouble(),
                fixture.optional("delta"));
        Double entropyCoef = fixture.optional("entropy_coef");
        var loss = new GrpoLoss(
                type.normalizer(),
                type.surrogate(
                        clipped,
                        new Surrogate.Sapo(
                                fixture.number("sapo_temperature_neg", 1.05),
                                fixture.number("sapo_temperature_pos", 1)),
                        Surrogate.Vespo.defaults()),
                ImportanceSamplingLevel.valueOf(
                        fixture.config("importance_sampling_level").asString().toUpperCase(Locale.ROOT)),
                fixture.config("beta").asDouble(),
                fixture.config("use_bias_correction_kl").asBoolean(false),
                fixture.optional("opsm"),
                fixture.number("top_entropy_quantile", 1),
                entropyCoef == null ? 0 : entropyCoef);
        assertThat(fixture.optionalInput("old_per_token_logps") == null)
                .isEqualTo(fixture.config("on_policy").asBoolean());
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = fixture.input("per_token_logps").requireGrad();
            LossResult result = loss.compute(new GrpoLoss.Inputs(
                    logps,
                    fixture.optionalInput("old_per_token_logps"),
                    fixture.optionalInput("ref_per_token_logps"),
                    fixture.input("advantages"),
                    fixture.optionalInput("entropies"),
                    new Normalizer.Batch(
                            fixture.input("completion_mask"),
                            fixture.config("num_items_in_batch").asDouble(),
                            fixture.config("max_completion_length").asInt(),
                            fixture.config("gradient_accumulation_steps").asInt())));
            fixture.assertOutput("loss", result.loss());
            result.loss().backward();
            if (type == LossType.VESPO) {
                assertVespoGradient(fixture, logps);
            } else {
                fixture.assertGradient("per_token_logps", logps);
            }
            fixture.json().at("/outputs/metrics").propertyStream().forEach(metric -> {
                if (metric.getKey().equals("entropy") && fixture.optionalInput("entropies") == null) {
                    return;
                }
                // TRL computes shares in float32.
                assertThat(result.metrics().get(metric.getKey()))
                        .as(metric.getKey())
                        .isCloseTo(metric.getValue().asDouble(), within(2e-6));
            });
        }
    }

    /**
     * In TRL phi carries no gradient ({@code @torch.no_grad} on get_gamma_weights), so a token's is {@code -phi A / items}. The
     * reference number was made by code that lost the decorator: it is {@code -A (phi + (k - lambda w) phi sum_t log pi) /
     * items}. Both are checked, so that it is known that this is all that differs.
     */
    private static void assertVespoGradient(LossFixture fixture, Tensor logps) {
        double items = fixture.config("num_items_in_batch").asDouble();
        double[] advantages = fixture.input("advantages").toDoubles();
        double[] mask = fixture.input("completion_mask").toDoubles();
        double[] log = logps.detach().toDoubles();
        Tensor given = fixture.optionalInput("old_per_token_logps");
        double[] old = given == null ? log : given.toDoubles();
        double[] expected = new double[log.length];
        double[] throughPhi = new double[log.length];
        int length = log.length / advantages.length;
        for (int i = 0; i < advantages.length; i++) {
            double k = advantages[i] >= 0 ? 2 : 3;
            double lambda = advantages[i] >= 0 ? 3 : 2;
            double logW = 0;
            double sum = 0;
            for (int t = i * length; t < (i + 1) * length; t++) {
                logW += mask[t] * (log[t] - old[t]);
                sum += mask[t] * log[t];
            }
            double phi = Math.exp(k * logW + lambda * (1 - Math.exp(logW)));
            double slope = (k - lambda * Math.exp(logW)) * phi;
            for (int t = i * length; t < (i + 1) * length; t++) {
                expected[t] = -mask[t] * advantages[i] * phi / items;
                throughPhi[t] = -mask[t] * advantages[i] * (phi + slope * sum) / items;
            }
        }
        fixture.assertClose("gradient", logps.grad().toDoubles(), expected);
        fixture.assertClose(
                "gradient through phi",
                throughPhi,
                LossFixture.doubles(fixture.json().at("/grads/per_token_logps")));
    }

    /** Four sequences of unlike length, a padded place in front, and ratios on both sides of the bounds. */
    private record Example(Tensor logps, Tensor old, Tensor ref, Tensor advantages, Tensor entropies, Tensor mask) {
        static Example of() {
            double[] mask = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
            return new Example(
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 0.2, 4, 5),
                    Tensor.randn(DType.FLOAT64, Rng.of(2), 0.2, 4, 5),
                    Tensor.randn(DType.FLOAT64, Rng.of(3), 0.2, 4, 5),
                    Tensor.of(new double[] {1, -1, 0.5, -0.5}, 4),
                    Tensor.randn(DType.FLOAT64, Rng.of(4), 1, 4, 5).abs(),
                    Tensor.of(mask, 4, 5));
        }

        GrpoLoss.Inputs inputs(Tensor logps, Tensor entropies) {
            return new GrpoLoss.Inputs(logps, old, ref, advantages, entropies, new Normalizer.Batch(mask, 13, 7, 2));
        }
    }

    private static Surrogate surrogate(LossType type) {
        return type.surrogate(
                new Surrogate.Clipped(0.2, 0.28, null), Surrogate.Sapo.defaults(), Surrogate.Vespo.defaults());
    }

    /** Those whose surrogate weighs the gradient with a number that carries none have no loss to differentiate. */
    @Test
    void theGradientIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Example example = Example.of();
            for (LossType type : LossType.values()) {
                if (type == LossType.CISPO || type == LossType.VESPO) {
                    continue;
                }
                for (ImportanceSamplingLevel level :
                        List.of(ImportanceSamplingLevel.TOKEN, ImportanceSamplingLevel.SEQUENCE)) {
                    for (boolean corrected : new boolean[] {false, true}) {
                        var loss = new GrpoLoss(
                                type.normalizer(), surrogate(type), level, 0.1, corrected, 0.05, 0.6, 0.01);
                        GradCheck.check(
                                t -> loss.compute(example.inputs(t[0], t[1])).loss(),
                                example.logps(),
                                example.entropies());
                    }
                }
            }
        }
    }

    /** One token of log-probability -1 under the policy and -1.5 under the one that sampled, advantage -2. */
    @ParameterizedTest
    @CsvSource({
        // rho = exp(0.5) is beyond 1.28, but for a negative advantage only the lower bound binds: 2 exp(0.5).
        "GRPO, 3.2974425414002564, 3.2974425414002564",
        "DR_GRPO, 0.32974425414002564, 0.32974425414002564",
        "LUSPO, 3.2974425414002564, 3.2974425414002564",
        // min(rho, 1.28) = 1.28 weighs -A log pi = -2.
        "CISPO, -2.56, 2.56",
        // 2 (4 / 1.05) sigmoid(1.05 (rho - 1)); the derivative by the log-probability is 8 s (1 - s) rho.
        "SAPO, 5.0590244072, 2.9427036630",
        // phi = rho^3 exp(2 (1 - rho)) = exp(1.5 + 2 - 2 exp(0.5)).
        "VESPO, -2.4490608858, 2.4490608858"
    })
    void oneTokenByHand(LossType type, double expected, double gradient) {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1}, 1, 1).requireGrad();
            var loss = GrpoLoss.of(type, 0, new Surrogate.Clipped(0.2, 1.28, null), ImportanceSamplingLevel.TOKEN);
            var result = loss.compute(new GrpoLoss.Inputs(
                    logps,
                    Tensor.of(new double[] {-1.5}, 1, 1),
                    null,
                    Tensor.of(new double[] {-2}, 1),
                    null,
                    new Normalizer.Batch(Tensor.of(new double[] {1}, 1, 1), 1, 10, 1)));
            result.loss().backward();
            assertThat(result.loss().item()).isCloseTo(expected, within(1e-7));
            assertThat(logps.grad().item()).isCloseTo(gradient, within(1e-7));
        }
    }

    /** With one advantage a sequence, GSPO-token has the value and the gradient of GSPO; with its own, each token is weighed alone. */
    @Test
    void gspoOfTokensIsThatOfSequences() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Example example = Example.of();
            double[][] gradients = new double[2][];
            double[] losses = new double[2];
            for (int i = 0; i < 2; i++) {
                Tensor logps = example.logps().requireGrad();
                var loss = GrpoLoss.of(
                        LossType.GRPO,
                        0,
                        new Surrogate.Clipped(0.05, 0.05, null),
                        i == 0 ? ImportanceSamplingLevel.SEQUENCE : ImportanceSamplingLevel.SEQUENCE_TOKEN);
                Tensor result =
                        loss.compute(example.inputs(logps, example.entropies())).loss();
                result.backward();
                losses[i] = result.item();
                gradients[i] = logps.grad().toDoubles();
                logps.zeroGrad();
            }
            assertThat(losses[1]).isCloseTo(losses[0], within(1e-12));
            assertThat(gradients[1]).containsExactly(gradients[0], within(1e-12));
            // Log-ratios 0.1 and 0.3: the sequence's ratio is e^0.2; advantages 1 and -2, over two tokens.
            Tensor logps = Tensor.of(new double[] {-1, -2}, 1, 2).requireGrad();
            GrpoLoss.of(LossType.GRPO, 0, new Surrogate.Clipped(0.9, 0.9, null), ImportanceSamplingLevel.SEQUENCE_TOKEN)
                    .compute(new GrpoLoss.Inputs(
                            logps,
                            Tensor.of(new double[] {-1.1, -2.3}, 1, 2),
                            null,
                            Tensor.of(new double[] {1, -2}, 1, 2),
                            null,
                            new Normalizer.Batch(Tensor.of(new double[] {1, 1}, 1, 2), 2, 2, 1)))
                    .loss()
                    .backward();
            double ratio = Math.exp(0.2);
            assertThat(logps.grad().toDoubles()).containsExactly(new double[] {-ratio / 2, ratio}, within(1e-12));
        }
    }

    /** One token of log-ratio 0.4 to the reference: k1 0.4, k2 0.08, k3 e^-0.4 - 1 + 0.4. */
    @Test
    void theKlTermIsOfTheEstimatorAskedFor() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor one = Tensor.of(new double[] {1}, 1, 1);
            for (KlEstimator estimator : KlEstimator.values()) {
                double loss = new GrpoLoss(
                                Normalizer.SEQUENCE_MEAN,
                                new Surrogate.Clipped(0.2, 0.2, null),
                                ImportanceSamplingLevel.TOKEN,
                                10,
                                false,
                                null,
                                1,
                                0,
                                estimator)
                        .compute(new GrpoLoss.Inputs(
                                one.mul(-1),
                                null,
                                one.mul(-1.4),
                                Tensor.of(new double[] {0}, 1),
                                null,
                                new Normalizer.Batch(one, 1, 1, 1)))
                        .loss()
                        .item();
                double expected = switch (estimator) {
                    case K1 -> 4;
                    case K2 -> 0.8;
                    case K3 -> 10 * (Math.exp(-0.4) - 0.6);
                };
                assertThat(loss).as(estimator.name()).isCloseTo(expected, within(1e-12));
            }
        }
    }

    /** REINFORCE's gradient by the log-probabilities is minus the advantage over the number of tokens. */
    @Test
    void reinforceWeighsTheLogProbabilities() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1, -2, -3, -4}, 2, 2).requireGrad();
            var loss = new GrpoLoss(
                    Normalizer.TOKEN_MEAN,
                    new Surrogate.Reinforce(),
                    ImportanceSamplingLevel.TOKEN,
                    0,
                    false,
                    null,
                    1,
                    0);
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 0}, 2, 2);
            var result = loss.compute(new GrpoLoss.Inputs(
                    logps, null, null, Tensor.of(new double[] {2, -1}, 2), null, new Normalizer.Batch(mask, 3, 2, 1)));
            result.loss().backward();
            // (2 * 1 + 2 * 2 - 1 * 3) / 3
            assertThat(result.loss().item()).isCloseTo(1, within(1e-12));
            assertThat(logps.grad().toDoubles())
                    .containsExactly(new double[] {-2 / 3.0, -2 / 3.0, 1 / 3.0, 0}, within(1e-12));
        }
    }

    /** Of six entropies 1 ... 6 the upper 40 % reach the quantile 0.6, which is 4: three tokens. */
    @Test
    void onlyTheTokensOfHighestEntropyCost() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.zeros(DType.FLOAT64, 2, 4).requireGrad();
            Tensor entropies = Tensor.of(new double[] {1, 6, 2, 9, 5, 3, 4, 9}, 2, 4);
            Tensor mask = Tensor.of(new double[] {1, 1, 1, 0, 1, 1, 1, 0}, 2, 4);
            var loss = new GrpoLoss(
                    Normalizer.STEP_TOKEN_MEAN,
                    surrogate(LossType.DAPO),
                    ImportanceSamplingLevel.TOKEN,
                    0,
                    false,
                    null,
                    0.4,
                    0);
            loss.compute(new GrpoLoss.Inputs(
                            logps,
                            null,
                            null,
                            Tensor.of(new double[] {1, 2}, 2),
                            entropies,
                            new Normalizer.Batch(mask, 6, 4, 1)))
                    .loss()
                    .backward();
            assertThat(logps.grad().toDoubles())
                    .containsExactly(new double[] {0, -1 / 6.0, 0, 0, -2 / 6.0, 0, -2 / 6.0, 0}, within(1e-12));
        }
    }

    /** What stands at padding, on either side, and how much of it, changes no bit of the loss. */
    @Test
    void paddingIsNotSeen() {
        try (Scope scope = Scope.open(Device.scalar())) {
            for (LossType type : LossType.values()) {
                for (ImportanceSamplingLevel level : ImportanceSamplingLevel.values()) {
                    double[] losses = new double[3];
                    double[][] gradients = new double[3][];
                    for (int shift = 0; shift < 3; shift++) {
                        double[] padding = new double[] {-50, 7, -3};
                        var logps = new double[] {padding[shift], -3, padding[shift]};
                        var old = new double[] {3, -9, 40};
                        var mask = new double[3];
                        logps[shift] = -1;
                        old[shift] = -1.1;
                        mask[shift] = 1;
                        Tensor x = Tensor.of(logps, 1, 3).requireGrad();
                        var loss = new GrpoLoss(type.normalizer(), surrogate(type), level, 0.1, true, 0.05, 0.5, 0.01);
                        var result = loss.compute(new GrpoLoss.Inputs(
                                x,
                                Tensor.of(old, 1, 3),
                                Tensor.of(new double[] {-1.2, -1.2, -1.2}, 1, 3),
                                Tensor.of(new double[] {0.5}, 1),
                                Tensor.of(new double[] {2, 2, 2}, 1, 3),
                                new Normalizer.Batch(Tensor.of(mask, 1, 3), 1, 3, 1)));
                        result.loss().backward();
                        losses[shift] = result.loss().item();
                        gradients[shift] =
                                Arrays.stream(x.grad().toDoubles()).sorted().toArray();
                    }
                    assertThat(losses).as("%s %s", type, level).containsOnly(losses[0]);
                    assertThat(gradients[1]).containsExactly(gradients[0]);
                    assertThat(gradients[2]).containsExactly(gradients[0]);
                }
            }
        }
    }

    /** The losses of two halves of a step add up to the loss of the step. */
    @Test
    void accumulationAddsUp() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Example all = Example.of();
            for (LossType type : LossType.values()) {
                if (type == LossType.BNPO) {
                    continue; // it divides by the tokens of each micro-batch
                }
                var loss =
                        GrpoLoss.of(type, 0.1, new Surrogate.Clipped(0.2, 0.28, null), ImportanceSamplingLevel.TOKEN);
                double whole = loss.compute(new GrpoLoss.Inputs(
                                all.logps,
                                all.old,
                                all.ref,
                                all.advantages,
                                null,
                                new Normalizer.Batch(all.mask, 12, 7, 1)))
                        .loss()
                        .item();
                double halves = 0;
                for (int start = 0; start < 4; start += 2) {
                    halves += loss.compute(new GrpoLoss.Inputs(
                                    all.logps.narrow(0, start, 2),
                                    all.old.narrow(0, start, 2),
                                    all.ref.narrow(0, start, 2),
                                    all.advantages.narrow(0, start, 2),
                                    null,
                                    new Normalizer.Batch(all.mask.narrow(0, start, 2), 12, 7, 2)))
                            .loss()
                            .item();
                }
                assertThat(halves).as(type.name()).isCloseTo(whole, within(1e-14));
            }
        }
    }

    @Test
    void onPolicyTheRatioIsOneAndTheLossOfCenteredAdvantagesIsZero() {
        try (Scope scope = Scope.open()) {
            Tensor logps = Tensor.randn(DType.FLOAT32, Rng.of(1), 1, 2, 3);
            LossResult result = GrpoLoss.defaults()
                    .compute(new GrpoLoss.Inputs(
                            logps,
                            logps.detach(),
                            null,
                            Tensor.of(new float[] {1, -1}, 2),
                            null,
                            new Normalizer.Batch(Tensor.full(DType.FLOAT32, 1, 2, 3), 6, 3, 1)));
            assertThat(result.loss().item()).isZero();
            assertThat(result.metrics().values()).allMatch(v -> v == 0);
        }
    }

    /** Log-ratios 0.1 + 0.2 and -0.4 of two turns, and a token between them that an environment said; clipped at 1.2 from above. */
    @Test
    void aTurnIsOneActionWhoseRatioIsThatOfAllItsTokens() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor logps = Tensor.of(new double[] {-1, -2, -9, -3}, 1, 4).requireGrad();
            LossResult result = clipped(LossType.BNPO)
                    .compute(new GrpoLoss.Inputs(
                                    logps,
                                    Tensor.of(new double[] {-1.1, -2.2, 5, -2.6}, 1, 4),
                                    null,
                                    Tensor.of(new double[] {2}, 1),
                                    null,
                                    new Normalizer.Batch(Tensor.of(new double[] {1, 1, 0, 1}, 1, 4), 3, 4, 1))
                            .ofTurns(new int[][] {{3, 4}}, 2));
            assertThat(result.loss().item()).isCloseTo(-(2 * 1.2 + 2 * Math.exp(-0.4)) / 2, within(1e-12));
            assertThat(result.metrics().get("clip_ratio/high_mean")).isEqualTo(0.5);
            result.loss().backward();
            assertThat(logps.grad().toDoubles())
                    .containsExactly(new double[] {0, 0, 0, -Math.exp(-0.4)}, within(1e-12));
        }
    }

    private static GrpoLoss clipped(LossType type) {
        return GrpoLoss.of(type, 0, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
    }

    @Test
    void oneTurnIsTheCompletionAsInRlooAndTurnsOfOneTokenAreTokens() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Example example = Example.of();
            int rows = (int) example.mask.size(0);
            int cols = (int) example.mask.size(1);
            int[][] whole = new int[rows][];
            int[][] tokens = new int[rows][];
            Arrays.fill(whole, new int[] {cols});
            Arrays.fill(tokens, IntStream.rangeClosed(1, cols).toArray());
            Tensor oldSums = example.old.mul(example.mask).sum(1, false);
            var rloo = new RlooLoss(new Surrogate.Clipped(0.2, 0.2, null));
            same(
                    example,
                    logps -> clipped(LossType.BNPO)
                            .compute(example.inputs(logps, example.entropies()).ofTurns(whole, rows))
                            .loss(),
                    logps -> rloo.compute(logps, oldSums, example.advantages, example.mask)
                            .loss()
                            .div(2));
            for (LossType type : LossType.values()) {
                GrpoLoss loss =
                        GrpoLoss.of(type, 0.1, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
                GrpoLoss.Inputs inputs = example.inputs(example.logps, example.entropies());
                double counted = inputs.batch().numItemsInBatch();
                same(
                        example,
                        logps -> loss.compute(example.inputs(logps, example.entropies())
                                        .ofTurns(tokens, counted))
                                .loss(),
                        logps -> loss.compute(example.inputs(logps, example.entropies()))
                                .loss());
            }
        }
    }

    private static void same(Example example, UnaryOperator<Tensor> one, UnaryOperator<Tensor> other) {
        Tensor first =
                Tensor.of(example.logps.toDoubles(), example.logps.shape()).requireGrad();
        Tensor second =
                Tensor.of(example.logps.toDoubles(), example.logps.shape()).requireGrad();
        Tensor a = one.apply(first);
        Tensor b = other.apply(second);
        assertThat(a.item()).isCloseTo(b.item(), within(1e-12));
        a.backward();
        b.backward();
        assertThat(first.grad().toDoubles()).containsExactly(second.grad().toDoubles(), within(1e-12));
    }

    @Test
    void theGradientOfTurnsIsThatOfTheLoss() {
        try (Scope scope = Scope.open(Device.scalar())) {
            Tensor mask = Tensor.of(new double[] {1, 1, 0, 1, 1, 1, 0, 0}, 2, 4);
            Tensor old = Tensor.randn(DType.FLOAT64, Rng.of(2), 0.3, 2, 4);
            Tensor ref = Tensor.randn(DType.FLOAT64, Rng.of(3), 0.3, 2, 4);
            Tensor turnAdvantages = Tensor.of(new double[] {1, -0.5, 0.3, 2}, 2, 2);
            GrpoLoss loss = GrpoLoss.of(
                    LossType.GRPO, 0.1, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
            GradCheck.check(
                    t -> loss.compute(new GrpoLoss.Inputs(
                                            t[0], old, ref, turnAdvantages, null, new Normalizer.Batch(mask, 5, 4, 1))
                                    .ofTurns(new int[][] {{2, 4}, {2}}, 3))
                            .loss(),
                    Tensor.randn(DType.FLOAT64, Rng.of(1), 0.3, 2, 4));
        }
    }

    @Test
    void turnsThatAreNoneAreSaid() {
        try (Scope scope = Scope.open(Device.scalar())) {
            GrpoLoss.Inputs inputs = Example.of().inputs(Example.of().logps, null);
            assertThatThrownBy(() -> inputs.ofTurns(new int[][] {{1}}, 1))
                    .hasMessageContaining("lists of turns, found 1");
            int[][] falling = new int[(int) inputs.logps().size(0)][];
            Arrays.fill(falling, new int[] {2, 1});
            assertThatThrownBy(() -> inputs.ofTurns(falling, 1))
                    .hasMessageContaining("turn 1 of completion 0 ends at 1");
        }
    }

    @Test
    void whatIsMissingOrUnknownIsNamed() {
        assertThatThrownBy(() -> LossType.named("gpro"))
                .hasMessageContaining("gpro")
                .hasMessageContaining("dr_grpo");
        try (Scope scope = Scope.open(Device.scalar())) {
            Example example = Example.of();
            var inputs = new GrpoLoss.Inputs(
                    example.logps, null, null, example.advantages, null, new Normalizer.Batch(example.mask, 1, 1, 1));
            var kl = GrpoLoss.of(
                    LossType.DAPO, 0.1, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
            assertThatThrownBy(() -> kl.compute(inputs)).hasMessageContaining("reference's log-probabilities");
            assertThatThrownBy(() -> GrpoLoss.defaults().withEntropyCoef(0.1).compute(inputs))
                    .hasMessageContaining("needs the policy's entropies");
        }
        assertThatThrownBy(() -> new Surrogate.Clipped(-0.1, 0.2, null))
                .hasMessageContaining("epsilon must be 0 or more");
    }

    @Test
    void theEntropyBonusGrowsWhileEntropyIsLow() {
        AdaptiveEntropy state = AdaptiveEntropy.defaults();
        assertThat(state.applied()).isZero();
        state = state.after(0.1).after(0.2);
        assertThat(state.coef()).isEqualTo(0.01);
        assertThat(state.applied()).isEqualTo(0.01);
        state = state.after(0.3);
        assertThat(state.coef()).isEqualTo(0.005);
        assertThat(state.applied()).isZero();
        assertThat(state.after(0.3).after(0.3).coef()).isZero();
    }
}
