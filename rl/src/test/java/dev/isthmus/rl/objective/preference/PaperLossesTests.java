package dev.isthmus.rl.objective.preference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each paper's loss against a number worked out from its formula, and its gradient against central differences. */
class PaperLossesTests {
    private static final double LN2 = Math.log(2);

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Tensor of(double... values) {
        return Tensor.of(values, values.length);
    }

    private static Tensor random(int seed, long... shape) {
        return Tensor.randn(DType.FLOAT64, Rng.of(seed), 1, shape);
    }

    /** Completions with {@code lp = a}, {@code lp_ref = b}, two tokens each. */
    private static Completions completions(Tensor a, Tensor b) {
        return Completions.of(a, b, Tensor.fullLike(a, 2));
    }

    /** One pair with log-ratios 0.5 and -0.3, so {@code D = 0.8}. */
    private static Pairs pair() {
        return Pairs.of(completions(of(-1), of(-1.5)), completions(of(-2.3), of(-2)));
    }

    private static double logistic(double x) {
        return Math.log1p(Math.exp(-x));
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static void isClose(Tensor loss, double expected) {
        assertThat(loss.item()).isCloseTo(expected, within(1e-12));
    }

    private static Pairs randomPairs(Tensor[] t) {
        return Pairs.of(completions(t[0], random(8, 4)), completions(t[1], random(9, 4)))
                .withWeights(of(1, 0.5, 2, 1))
                .withTargets(of(0.9, 0.5, 1, 0.2));
    }

    private static void checkGradient(PairLoss loss) {
        GradCheck.check(t -> loss.compute(randomPairs(t)).loss(), random(1, 4), random(2, 4));
    }

    @Test
    void aPolicyThatIsItsReferenceCostsLn2() {
        Completions chosen = completions(random(1, 5), random(1, 5));
        Completions rejected = completions(random(2, 5), random(2, 5));
        isClose(
                DpoLoss.of(DpoLossType.SIGMOID, 0.1)
                        .compute(Pairs.of(chosen, rejected))
                        .loss(),
                LN2);
        isClose(
                DpoLoss.of(DpoLossType.SIGMOID_NORM, 0.1)
                        .compute(Pairs.of(chosen, rejected))
                        .loss(),
                LN2);
    }

    @Test
    void gradientsOfAllDpoLosses() {
        for (DpoLossType type : DpoLossType.values()) {
            for (FDivergence divergence : FDivergence.values()) {
                DpoLoss loss = new DpoLoss(
                        List.of(type), List.of(0.7), 0.3, 0.1, 0.05, divergence, 0.5, 0.5, new DynamicBeta(0.5, 1));
                GradCheck.check(
                        t -> {
                            Pairs pairs = randomPairs(t)
                                    .withDivergences(random(6, 4), random(7, 4))
                                    .withScores(random(3, 4), random(5, 4));
                            return loss.compute(
                                            type.usesPartners() ? Pairs.of(pairs.chosen(), pairs.rejected()) : pairs)
                                    .loss();
                        },
                        random(1, 4),
                        random(2, 4));
            }
        }
    }

    @Test
    void softLabels() {
        isClose(
                new SoftDpoLoss(2).compute(pair().withTargets(of(0.7))).loss(),
                0.7 * logistic(1.6) + 0.3 * logistic(-1.6));
        checkGradient(new SoftDpoLoss(0.4));
        Completions y1 = pair().chosen().withScores(of(0.9));
        Completions y2 = pair().rejected().withScores(of(0.4));
        isClose(PairTargets.dno(y1, y2).sum(), sigmoid(0.5));
        isClose(PairTargets.visits(of(3), of(1)).sum(), 0.75);
        // Of the three pairs two are ordered alike: tau = 1/3.
        assertThat(PairTargets.consistency(new double[] {1, 2, 3}, new double[] {1, 3, 2}))
                .isCloseTo(2.0 / 3, within(1e-15));
        assertThat(PairTargets.kendall(new double[] {1, 2, 3}, new double[] {3, 2, 1}))
                .isEqualTo(-1);
    }

    @Test
    void inpoIsIpoAgainstAMixture() {
        Pairs pairs = pair();
        double eta = 0.5;
        double tau = 0.2;
        Pairs mixed = Pairs.of(
                IpoLoss.inpo(pairs.chosen(), of(-1.2), eta, tau), IpoLoss.inpo(pairs.rejected(), of(-1.9), eta, tau));
        double h = (-1 + 2.3) - tau / eta * (-1.5 + 2) - (eta - tau) / eta * (-1.2 + 1.9);
        isClose(new IpoLoss(eta).compute(mixed).loss(), Math.pow(h - 1 / (2 * eta), 2));
        checkGradient(new IpoLoss(0.5));
    }

    @Test
    void winRatesAmongOthers() {
        double[][] p = {{9, 0.2, 0.9}, {0.8, 9, 0.4}, {0.1, 0.6, 9}};
        assertThat(WinRates.amongOthers(p)).containsExactly(new double[] {0.55, 0.6, 0.35}, within(1e-12));
        assertThatThrownBy(() -> WinRates.amongOthers(new double[][] {{0.5}})).isInstanceOf(IsthmusException.class);
        assertThatThrownBy(() -> WinRates.amongOthers(new double[][] {{0.5, 1}, {0}}))
                .hasMessageContaining("not all of that length");
    }

    @Test
    void sppo() {
        // (0.5 - 2 (0.8 - 0.5))^2
        isClose(new SppoLoss(2).compute(pair().chosen().withScores(of(0.8))).loss(), 0.01);
        GradCheck.check(
                t -> new SppoLoss(2)
                        .compute(completions(t[0], random(3, 4)).withScores(of(0.1, 0.9, 0.5, 0.3)))
                        .loss(),
                random(1, 4));
    }

    @Test
    void nashMd() {
        Tensor logps = of(-1, -2.3).requireGrad();
        Completions y = completions(logps, of(-1.5, -2)).withScores(of(0.8, 0.4));
        // Advantages 0.3 - 0.2 * 0.5 and -0.1 + 0.2 * 0.3, held constant.
        Tensor loss = new NashMdLoss(0.2).compute(y).loss();
        isClose(loss, -(0.2 * -1 + -0.04 * -2.3) / 2);
        loss.backward();
        assertThat(logps.grad().toDoubles()).containsExactly(new double[] {-0.1, 0.02}, within(1e-12));
    }

    @Test
    void xpoAndSelm() {
        Completions explored = completions(of(-3, -1), of(-2, -1.5));
        isClose(
                ExplorationLoss.xpo(DpoLoss.of(DpoLossType.SIGMOID, 2), 0.1)
                        .compute(pair(), explored)
                        .loss(),
                logistic(1.6) + 0.1 * (-1 + 0.5) / 2);
        isClose(ExplorationLoss.selm(2, 0.1).compute(pair(), explored).loss(), logistic(1.6) + 0.2 * (-1 + 0.5) / 2);
        var floored = ExplorationLoss.selm(2, 0.1).withFloor(0.75).compute(pair(), explored);
        isClose(floored.loss(), logistic(1.6) + 0.2 * (-0.75 + 0.5) / 2);
        assertThat(floored.metrics()).containsEntry("exploration/collapsed", 0.5);
        GradCheck.check(
                t -> ExplorationLoss.selm(0.3, 0.5)
                        .withFloor(0.7)
                        .compute(randomPairs(t), completions(t[2], random(7, 3)))
                        .loss(),
                random(1, 4),
                random(2, 4),
                random(3, 3));
    }

    @Test
    void srpo() {
        // D = 0.8; rd(y+|y+) = 0.1, rd(y-|y+) = -0.2; rd(y+|y-) = 0.4, rd(y-|y-) = 0.3.
        Pairs ofChosen = Pairs.of(completions(of(-1), of(-1.1)), completions(of(-2), of(-1.8)));
        Pairs ofRejected = Pairs.of(completions(of(-1), of(-1.4)), completions(of(-2), of(-2.3)));
        double beta = 0.5;
        double revision = Math.pow(0.5 - beta * 0.1, 2) + Math.pow(0.5 - beta * 0.3, 2);
        double answer = Math.pow(0.5 - beta / 2 * (0.8 + 0.4 + 0.2), 2);
        isClose(new SrpoLoss(beta, 0.25).compute(pair(), ofChosen, ofRejected).loss(), 0.75 * answer + 0.25 * revision);
        GradCheck.check(
                t -> new SrpoLoss(beta, 0.25)
                        .compute(
                                Pairs.of(completions(t[0], t[4]), completions(t[1], t[4])),
                                Pairs.of(completions(t[2], t[4]), completions(t[3], t[4])),
                                Pairs.of(completions(t[3], t[0]), completions(t[1], t[2])))
                        .loss(),
                random(1, 3),
                random(2, 3),
                random(3, 3),
                random(4, 3),
                random(5, 3));
    }

    @Test
    void tdpo() {
        Pairs pairs = pair().withDivergences(of(0.2), of(0.5));
        isClose(DpoLoss.of(DpoLossType.TDPO1, 2).compute(pairs).loss(), logistic(2 * (0.8 - 0.3)));
        isClose(DpoLoss.of(DpoLossType.TDPO2, 2).compute(pairs).loss(), logistic(2 * (0.8 - 0.15)));
        GradCheck.check(
                t -> DpoLoss.of(DpoLossType.TDPO1, 0.5)
                        .compute(Pairs.of(completions(t[0], random(5, 4)), completions(t[1], random(6, 4)))
                                .withDivergences(t[2], t[3]))
                        .loss(),
                random(1, 4),
                random(2, 4),
                random(3, 4),
                random(4, 4));
        Tensor kl = of(0.2).requireGrad();
        DpoLoss.of(DpoLossType.TDPO2, 2)
                .compute(pair().withDivergences(kl, of(0.5).requireGrad()))
                .loss()
                .backward();
        assertThat(kl.grad())
                .as("the divergence of the chosen one is held constant")
                .isNull();
    }

    private static TokenLogps tokens(Tensor logps, Tensor ref) {
        return new TokenLogps(logps, ref, Tensor.of(new double[] {1, 1, 0, 1, 1, 1}, 2, 3));
    }

    @Test
    void sparsePo() {
        TokenLogps chosen =
                new TokenLogps(of(-1, -2).reshape(1, 2), of(-1.5, -2).reshape(1, 2), of(1, 1).reshape(1, 2));
        TokenLogps rejected =
                new TokenLogps(of(-1, -3).reshape(1, 2), of(-1, -2).reshape(1, 2), of(1, 1).reshape(1, 2));
        Tensor first = of(1, 0).reshape(1, 2);
        Tensor second = of(0, 1).reshape(1, 2);
        Tensor kl = of(0.3, 0.1).reshape(1, 2);
        // lr+ = 0.5 at the masked token, lr- = -1; KL+ = 0.1, KL- = 0.3; half of all mask entries are 1.
        isClose(
                new SparsePoLoss(2, 0.1)
                        .compute(
                                new SparsePoLoss.Side(chosen, kl, first, second),
                                new SparsePoLoss.Side(rejected, kl, second, first))
                        .loss(),
                logistic(2 * (1.5 - 0.2)) + 0.1 * 0.5);
        Tensor weight = random(5, 4);
        GradCheck.check(
                t -> {
                    Tensor mask = SparsePoLoss.mask(random(6, 2, 3, 4), t[2], t[3]);
                    return new SparsePoLoss(0.5, 0.1)
                            .compute(
                                    new SparsePoLoss.Side(tokens(t[0], random(3, 2, 3)), t[4], mask, mask),
                                    new SparsePoLoss.Side(tokens(t[1], random(4, 2, 3)), t[4], mask, mask))
                            .loss();
                },
                random(1, 2, 3),
                random(2, 2, 3),
                weight,
                of(0.1),
                random(7, 2, 3));
    }

    @Test
    void treg() {
        Tensor r = TregLoss.tokenRewards(of(-1, -2).reshape(1, 2), of(-2, -1.5).reshape(1, 2));
        assertThat(r.toDoubles()).containsExactly(new double[] {sigmoid(1) - 0.5, sigmoid(-0.5) - 0.5}, within(1e-15));
        TokenLogps y = new TokenLogps(of(-1, -2).reshape(1, 2), of(-1.5, -2.5).reshape(1, 2), of(1, 0).reshape(1, 2));
        TregLoss loss = new TregLoss(DpoLoss.of(DpoLossType.SIGMOID, 1), 0.5, 0.1);
        // Both sides alike: ln 2, and one token each at distance 0.25 - r.
        isClose(loss.compute(y, r, y, r).loss(), LN2 + 0.1 * Math.pow(0.25 - (sigmoid(1) - 0.5), 2));
        GradCheck.check(
                t -> loss.compute(
                                tokens(t[0], random(3, 2, 3)),
                                random(5, 2, 3),
                                tokens(t[1], random(4, 2, 3)),
                                random(6, 2, 3))
                        .loss(),
                random(1, 2, 3),
                random(2, 2, 3));
    }

    @Test
    void degreeOfRemoval() {
        DegreeLoss loss = new DegreeLoss(DpoLoss.of(DpoLossType.SIGMOID, 2), 0.5);
        Tensor logits = Tensor.of(new double[] {0, 0, 0, Math.log(2)}, 2, 2);
        // The classes 0 and 1 have probability 1/2 and 2/3.
        isClose(
                loss.compute(pair(), logits, Tensor.of(new int[] {0, 1}, 2)).loss(),
                logistic(1.6) + 0.5 * (LN2 + Math.log(1.5)) / 2);
        GradCheck.check(
                t -> loss.compute(randomPairs(t), t[2], Tensor.of(new int[] {0, 2, 1}, 3))
                        .loss(),
                random(1, 4),
                random(2, 4),
                random(3, 3, 3));
    }

    @Test
    void dynamicBeta() {
        DpoLoss loss = new DpoLoss(
                List.of(DpoLossType.MM_DPO),
                List.of(1.0),
                2,
                0,
                0.05,
                FDivergence.REVERSE_KL,
                0.5,
                0,
                new DynamicBeta(0.4, 1.5));
        double beta = 2 * (1 + 0.4 * (1 - Math.exp(-1.5 * 0.5)));
        LossResult result = loss.compute(pair().withScores(of(1), of(0.5)));
        isClose(result.loss(), logistic(beta * 0.8));
        assertThat(result.metrics().get("beta/mean")).isCloseTo(beta, within(1e-12));
        isClose(loss.compute(pair().withScores(of(0), of(0.5))).loss(), logistic(1.6));
    }

    @Test
    void sharpening() {
        Pairs pairs = Pairs.of(
                RewardRegressionLoss.selfRewarded(pair().chosen()),
                RewardRegressionLoss.selfRewarded(pair().rejected()));
        // (2 * 0.8 - (-1.5 + 2))^2
        isClose(new RewardRegressionLoss(2).compute(pairs).loss(), 1.1 * 1.1);
        GradCheck.check(
                t -> new RewardRegressionLoss(2)
                        .compute(Pairs.of(
                                RewardRegressionLoss.selfRewarded(completions(t[0], random(5, 4))),
                                RewardRegressionLoss.selfRewarded(completions(t[1], random(6, 4)))))
                        .loss(),
                random(1, 4),
                random(2, 4));
    }

    @Test
    void rrhf() {
        Tensor logps = Tensor.of(new double[] {-4, -1, -3}, 1, 3);
        Completions lists = Completions.of(logps, null, Tensor.of(new double[] {2, 2, 1}, 1, 3))
                .withScores(Tensor.of(new double[] {2, 1, 1}, 1, 3));
        // Averages -2, -0.5, -3: the second is above the first by 1.5; equal scores are not compared; lp of the best is
        // -4.
        isClose(new RrhfLoss().compute(lists).loss(), 1.5 + 4);
        GradCheck.check(
                t -> new RrhfLoss()
                        .compute(Completions.of(t[0], null, Tensor.full(DType.FLOAT64, 3, 2, 4))
                                .withScores(random(3, 2, 4)))
                        .loss(),
                random(1, 2, 4));
    }

    @Test
    void treePreferences() {
        Tensor logps = Tensor.of(new double[] {-1, -2}, 1, 2);
        Completions lists = completions(logps, Tensor.of(new double[] {-1.5, -2.5}, 1, 2))
                .withReference(Tensor.of(new double[] {-1.5, -1.5}, 1, 2))
                .withScores(Tensor.of(new double[] {0, 1}, 1, 2));
        // r = 0.25 and -0.25, the worse one ranked first.
        double lambda = (2 - 1) * (1 / Math.log(2) - 1 / Math.log(3));
        isClose(new TpoLoss(0.5).compute(lists).loss(), lambda * logistic(-0.5));
        GradCheck.check(
                t -> new TpoLoss(0.5)
                        .compute(completions(t[0], random(4, 2, 4)).withScores(random(3, 2, 4)))
                        .loss(),
                random(1, 2, 4));
        Tensor h = Tensor.of(new double[] {1, 0, 1, 1}, 1, 2, 2);
        Tensor other = Tensor.of(new double[] {0, 2, 3, 3}, 1, 2, 2);
        assertThat(TokenWeights.steps(h, other).toDoubles()).containsExactly(new double[] {1, 2}, within(1e-12));
    }

    @Test
    void injectedErrors() {
        assertThat(TokenWeights.differing(new int[] {1, 2, 3, 4}, new int[] {1, 9, 3, 4}))
                .containsExactly(0, 1, 0, 0);
        assertThat(TokenWeights.differing(new int[] {1, 2, 3}, new int[] {1, 3}))
                .containsExactly(0, 1, 0);
        assertThat(TokenWeights.differing(new int[] {1, 3}, new int[] {1, 2, 3}))
                .containsExactly(0, 0);
        TokenLogps chosen =
                new TokenLogps(of(-1, -2).reshape(1, 2), of(-1, -2.5).reshape(1, 2), of(1, 1).reshape(1, 2));
        TokenLogps rejected =
                new TokenLogps(of(-2, -3).reshape(1, 2), of(-1, -2).reshape(1, 2), of(1, 1).reshape(1, 2));
        Pairs pairs = ErrorInjection.pairs(chosen, new int[][] {{5, 6}}, rejected, new int[][] {{5, 7}});
        DpoLoss loss = new DpoLoss(
                List.of(DpoLossType.SIGMOID, DpoLossType.SFT),
                List.of(1.0, 0.1),
                2,
                0,
                0.05,
                FDivergence.REVERSE_KL,
                0.5,
                0,
                new DynamicBeta(0, 1));
        // Only the second tokens differ: lr 0.5 and -1; all of the chosen one is imitated.
        isClose(loss.compute(pairs).loss(), logistic(3) + 0.1 * 3);
    }

    @Test
    void bcoShiftsByTheMeanOfAllRewardsSoFar() {
        BcoLoss loss = new BcoLoss(0.5);
        // Rewards 0.25 and -0.15: mean 0.05.
        BcoLoss.Mean mean = BcoLoss.Mean.NONE.with(0.05, 2);
        Completions first = completions(of(-1, -2.3), of(-1.5, -2));
        isClose(
                loss.compute(new Labelled(first, new boolean[] {true, false}, mean.delta(), null))
                        .loss(),
                (logistic(0.2) + logistic(0.2)) / 2);
        mean = mean.with(0.6, 1);
        assertThat(mean.count()).isEqualTo(3);
        assertThat(mean.delta()).isCloseTo((0.25 - 0.15 + 0.6) / 3, within(1e-12));
        Completions second = completions(of(-1), of(-2.2));
        isClose(
                loss.compute(new Labelled(second, new boolean[] {true}, mean.delta(), null))
                        .loss(),
                logistic(0.6 - 0.7 / 3));
        assertThat(BcoLoss.densityRatio(0.8, 0.5, 10)).isCloseTo(4, within(1e-6));
        assertThat(BcoLoss.densityRatio(1, 0.5, 10)).isEqualTo(10);
    }

    @Test
    void raggedTokensAreSummedPerCompletion() {
        TokenLogps tokens = TokenLogps.ofRagged(of(1, 2, 3, 4, 5, 6).requireGrad(), null, new int[] {2, 0, 4});
        assertThat(tokens.sum().logps().toDoubles()).containsExactly(3, 0, 18);
        assertThat(tokens.lengths().toDoubles()).containsExactly(2, 0, 4);
        Tensor ragged = random(1, 6);
        GradCheck.check(
                t -> TokenLogps.ofRagged(t[0], null, new int[] {2, 0, 4}).sum().logps(), ragged);
    }

    @Test
    void whatIsMissingIsNamed() {
        Pairs bare = Pairs.of(Completions.of(of(-1), null, of(1)), Completions.of(of(-2), null, of(1)));
        assertThatThrownBy(() -> DpoLoss.of(DpoLossType.SIGMOID, 0.1).compute(bare))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("reference");
        assertThatThrownBy(() -> DpoLoss.of(DpoLossType.TDPO1, 0.1).compute(pair()))
                .hasMessageContaining("KL divergence");
        assertThatThrownBy(() -> new SoftDpoLoss(0.1).compute(pair())).hasMessageContaining("probability");
        assertThatThrownBy(() -> new RrhfLoss().compute(pair().chosen()))
                .hasMessageContaining("[prompts, completions]");
        assertThatThrownBy(() -> DpoLoss.of(DpoLossType.EXO_PAIR, 0.1)).hasMessageContaining("exo_pair");
        assertThatThrownBy(() -> DpoLoss.of(DpoLossType.AOT, 0.1).compute(pair().withWeights(of(1))))
                .hasMessageContaining("aot");
        assertThatThrownBy(() -> Pairs.of(pair().chosen(), completions(of(-1, -1), of(-1, -1))))
                .hasMessageContaining("[2]")
                .hasMessageContaining("[1]");
    }
}
