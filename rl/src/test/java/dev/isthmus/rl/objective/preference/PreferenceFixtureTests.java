package dev.isthmus.rl.objective.preference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.objective.LossFixture;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.TrlNames;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/** Losses, gradients and metrics against the numbers of TRL's own code. */
@Tag("fixture")
class PreferenceFixtureTests {
    static List<Arguments> dpoLogps() {
        return LossFixture.all("dpo_logps.json");
    }

    static List<Arguments> dpoLogits() {
        return LossFixture.all("dpo_logits.json");
    }

    static List<Arguments> kto() {
        return LossFixture.all("kto.json");
    }

    static List<Arguments> cpoSimpo() {
        return LossFixture.all("cpo_simpo.json");
    }

    static List<Arguments> cpoLogits() {
        return LossFixture.all("cpo_logits.json");
    }

    static List<Arguments> orpo() {
        return LossFixture.all("orpo.json");
    }

    static List<Arguments> orpoLogits() {
        return LossFixture.all("orpo_logits.json");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("dpoLogps")
    void dpoLogps(String name, LossFixture c) {
        try (Scope scope = Scope.open()) {
            Tensor chosen = c.input("policy_chosen_logps").requireGrad();
            Tensor rejected = c.input("policy_rejected_logps").requireGrad();
            Pairs pairs = Pairs.of(
                    Completions.of(chosen, c.input("ref_chosen_logps"), c.input("chosen_lengths")),
                    Completions.of(rejected, c.input("ref_rejected_logps"), c.input("rejected_lengths")));
            LossResult result = dpo(c, pairs);
            c.assertOutput("loss", result.loss());
            result.loss().backward();
            c.assertGradient("policy_chosen_logps", chosen);
            c.assertGradient("policy_rejected_logps", rejected);
            if (c.json().get("outputs").has("chosen_rewards")) {
                c.assertMeanOutput("chosen_rewards", result.metrics().get("rewards/chosen"));
                c.assertMeanOutput("rejected_rewards", result.metrics().get("rewards/rejected"));
            }
        }
    }

    private static LossResult dpo(LossFixture c, Pairs pairs) {
        double beta = c.number("beta", 0.1);
        double labelSmoothing = c.number("label_smoothing", 0);
        JsonNode type = c.config("loss_type");
        if (type.asString("").equals("legacy_bco_pair_delta")) {
            return bcoOfPairs(beta, pairs);
        }
        List<DpoLossType> types = (type.isArray() ? type.valueStream() : Stream.of(type))
                .map(t -> TrlNames.find("loss_type", t.asString().replace("legacy_", ""), DpoLossType.values()))
                .toList();
        JsonNode weights = c.config("loss_weights");
        DpoLoss loss = new DpoLoss(
                types,
                weights.isArray()
                        ? weights.valueStream().map(JsonNode::asDouble).toList()
                        : types.stream().map(t -> 1.0).toList(),
                beta,
                labelSmoothing,
                c.number("discopop_tau", 0.05),
                TrlNames.find("f_divergence_type", c.text("f_divergence_type", "reverse_kl"), FDivergence.values()),
                c.number("f_alpha_divergence_coef", 0.5),
                0,
                new DynamicBeta(0, 1));
        return loss.compute(pairs);
    }

    /** The first batch of BCO: its shift is the mean reward of the batch; the old loss summed where BCO averages. */
    private static LossResult bcoOfPairs(double beta, Pairs pairs) {
        int n = (int) pairs.chosen().logps().count();
        boolean[] labels = new boolean[2 * n];
        Arrays.fill(labels, 0, n, true);
        Completions all = Completions.of(
                Tensor.cat(0, pairs.chosen().logps(), pairs.rejected().logps()),
                Tensor.cat(0, pairs.chosen().reference(), pairs.rejected().reference()),
                Tensor.cat(0, pairs.chosen().lengths(), pairs.rejected().lengths()));
        double delta = BcoLoss.Mean.NONE
                .with(beta * all.logRatios().detach().mean().item(), 2 * n)
                .delta();
        LossResult result = new BcoLoss(beta).compute(new Labelled(all, labels, delta, null));
        return new LossResult(result.loss().mul(2), result.metrics());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("dpoLogits")
    void dpoLogits(String name, LossFixture c) {
        try (Scope scope = Scope.open()) {
            Tensor logits = c.input("logits").requireGrad();
            Tensor shifted = beforeNext(logits);
            Tensor completion = c.input("completion_mask").slice(1, 1);
            Tensor ids = nextIds(c);
            TokenLogps tokens = new TokenLogps(
                    Functional.selectiveLogSoftmax(shifted, ids),
                    Functional.selectiveLogSoftmax(beforeNext(c.input("ref_logits")), ids),
                    completion);
            int n = (int) logits.size(0) / 2;
            TokenLogps chosen = tokens.rows(0, n);
            TokenLogps rejected = tokens.rows(n, 2 * n);
            double ldAlpha = c.number("ld_alpha", 1);
            Pairs pairs = Pairs.of(
                    chosen.sum(TokenWeights.lengthDesensitized(chosen.mask(), rejected.lengths(), ldAlpha)),
                    rejected.sum(TokenWeights.lengthDesensitized(rejected.mask(), chosen.lengths(), ldAlpha)));
            if (c.config("use_weighting").asBoolean(false)) {
                Tensor squares = PairWeights.logSumSquares(shifted);
                pairs = pairs.withWeights(
                        PairWeights.wpo(chosen, squares.slice(0, 0, n), rejected, squares.slice(0, n, 2L * n)));
            }
            LossResult result = dpo(c, pairs);
            c.assertOutput("loss", result.loss());
            c.assertMetrics(result.metrics());
            result.loss().backward();
            c.assertGradient("logits", logits);
        }
    }

    private static Tensor beforeNext(Tensor logits) {
        return logits.slice(1, 0, logits.size(1) - 1);
    }

    private static Tensor nextIds(LossFixture c) {
        return c.input("input_ids").to(DType.INT32).slice(1, 1).contiguous();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kto")
    void kto(String name, LossFixture c) {
        try (Scope scope = Scope.open()) {
            Tensor logps = c.input("policy_logps").requireGrad();
            Tensor lengths = Tensor.onesLike(logps);
            KtoLoss loss = new KtoLoss(
                    TrlNames.find("loss_type", c.text("loss_type", ""), KtoLoss.LossType.values()),
                    c.number("beta", 0.1),
                    c.number("desirable_weight", 1),
                    c.number("undesirable_weight", 1));
            Completions mismatched = Completions.of(c.input("policy_KL_logps"), c.input("ref_KL_logps"), lengths);
            LossResult result = loss.compute(new Labelled(
                    Completions.of(logps, c.input("ref_logps"), lengths),
                    labels(c.input("label")),
                    loss.usesMismatched()
                            ? KtoLoss.kl(mismatched.logRatios().mean().item())
                            : 0,
                    null));
            c.assertOutput("loss", result.loss());
            c.assertOutput("kl", result.metrics().get("kl"));
            result.loss().backward();
            c.assertGradient("policy_logps", logps);
        }
    }

    private static boolean[] labels(Tensor label) {
        double[] values = label.toDoubles();
        boolean[] labels = new boolean[values.length];
        for (int i = 0; i < labels.length; i++) {
            labels[i] = values[i] != 0;
        }
        return labels;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cpoSimpo")
    void cpoSimpo(String name, LossFixture c) {
        try (Scope scope = Scope.open()) {
            Tensor chosen = c.input("policy_chosen_logps").requireGrad();
            Tensor rejected = c.input("policy_rejected_logps").requireGrad();
            // The case starts behind the averaging, and without the imitation of the chosen completions.
            Tensor lengths = Tensor.onesLike(chosen);
            LossResult result = cpo(c, 0)
                    .compute(Pairs.of(Completions.of(chosen, null, lengths), Completions.of(rejected, null, lengths)));
            c.assertOutput("loss", result.loss());
            c.assertMeanOutput("chosen_rewards", result.metrics().get("rewards/chosen"));
            result.loss().backward();
            c.assertGradient("policy_chosen_logps", chosen);
            c.assertGradient("policy_rejected_logps", rejected);
        }
    }

    private static CpoLoss cpo(LossFixture c, double cpoAlpha) {
        return new CpoLoss(
                TrlNames.find("loss_type", c.text("loss_type", ""), CpoLoss.LossType.values()),
                c.number("beta", 0.1),
                c.number("simpo_gamma", 0.5),
                c.number("alpha", 0),
                c.number("label_smoothing", 0),
                cpoAlpha);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cpoLogits")
    void cpoLogits(String name, LossFixture c) {
        fromLogits(c, cpo(c, c.number("cpo_alpha", 1)), false);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("orpoLogits")
    void orpoLogits(String name, LossFixture c) {
        // They stand in the record and mean something to CPO only.
        List.of("loss_type", "simpo_gamma", "cpo_alpha").forEach(c::config);
        fromLogits(c, new OrpoLoss(c.number("beta", 0.1)), true);
    }

    private static void fromLogits(LossFixture c, PairLoss loss, boolean imitatesPrompt) {
        try (Scope scope = Scope.open()) {
            Tensor logits = c.input("logits").requireGrad();
            Tensor logps = Functional.selectiveLogSoftmax(beforeNext(logits), nextIds(c));
            Tensor completion = c.input("labels").slice(1, 1).ne(-100).to(c.dtype());
            TokenLogps tokens = new TokenLogps(logps, null, completion);
            int n = (int) logits.size(0) / 2;
            Pairs pairs =
                    Pairs.of(tokens.rows(0, n).sum(), tokens.rows(n, 2 * n).sum());
            if (imitatesPrompt) {
                Completions whole = new TokenLogps(
                                logps, null, c.input("attention_mask").slice(1, 1))
                        .rows(0, n)
                        .sum();
                pairs = pairs.withNll(
                        whole.logps().sum().neg().div(whole.lengths().sum()));
            }
            LossResult result = loss.compute(pairs);
            c.assertOutput("loss", result.loss());
            c.assertMetrics(result.metrics());
            result.loss().backward();
            c.assertGradient("logits", logits);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("orpo")
    void orpo(String name, LossFixture c) {
        try (Scope scope = Scope.open()) {
            Tensor chosen = c.input("policy_chosen_avg_logps").requireGrad();
            Tensor rejected = c.input("policy_rejected_avg_logps").requireGrad();
            Tensor lengths = Tensor.onesLike(chosen);
            LossResult result = new OrpoLoss(c.number("beta", 0.1))
                    .compute(Pairs.of(Completions.of(chosen, null, lengths), Completions.of(rejected, null, lengths))
                            .withNll(Tensor.zeros(c.dtype())));
            c.assertOutput("or_loss", result.loss());
            for (String metric : List.of("log_odds_ratio", "log_odds_chosen")) {
                c.assertOutput(metric, result.metrics().get(metric));
            }
            result.loss().backward();
            c.assertGradient("policy_chosen_avg_logps", chosen);
            c.assertGradient("policy_rejected_avg_logps", rejected);
            assertThat(new OrpoLoss(0.1).usesReference()).isFalse();
        }
    }
}
