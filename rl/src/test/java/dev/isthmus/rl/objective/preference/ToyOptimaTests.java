package dev.isthmus.rl.objective.preference;

import static dev.isthmus.rl.objective.preference.Tabular.CYCLIC;
import static dev.isthmus.rl.objective.preference.Tabular.REF;
import static dev.isthmus.rl.objective.preference.Tabular.REWARD;
import static dev.isthmus.rl.objective.preference.Tabular.bradleyTerry;
import static dev.isthmus.rl.objective.preference.Tabular.distance;
import static dev.isthmus.rl.objective.preference.Tabular.dot;
import static dev.isthmus.rl.objective.preference.Tabular.log;
import static dev.isthmus.rl.objective.preference.Tabular.minimized;
import static dev.isthmus.rl.objective.preference.Tabular.normalized;
import static dev.isthmus.rl.objective.preference.Tabular.pairs;
import static dev.isthmus.rl.objective.preference.Tabular.pick;
import static dev.isthmus.rl.objective.preference.Tabular.samples;
import static dev.isthmus.rl.objective.preference.Tabular.tilted;
import static dev.isthmus.rl.objective.preference.Tabular.train;
import static dev.isthmus.rl.objective.preference.Tabular.winRates;
import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.supervised.ImitationLoss;
import dev.isthmus.rl.objective.supervised.SampleWeights;
import dev.isthmus.rl.reward.Selector;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Where the losses lead: the policy over five answers that each ends at, against the optimum that its paper proves. */
class ToyOptimaTests {
    private static final double[] UNIFORM = {0.2, 0.2, 0.2, 0.2, 0.2};

    @Test
    void dpoLeadsToTheTiltedReference() {
        double beta = 0.5;
        double[] pi = train(
                REF,
                4000,
                2,
                lp -> DpoLoss.of(DpoLossType.SIGMOID, beta).compute(pairs(lp, REF, REF, bradleyTerry(REWARD), REWARD)));
        assertThat(distance(pi, tilted(REF, 1, REWARD, beta))).isLessThan(1e-6);
    }

    @Test
    void ipoLeadsToTheReferenceTiltedByWinRates() {
        double beta = 0.5;
        double[] pi = train(REF, 2000, 0.5, lp -> new IpoLoss(beta).compute(pairs(lp, REF, REF, CYCLIC, REWARD)));
        assertThat(distance(pi, tilted(REF, 1, winRates(CYCLIC, REF), beta))).isLessThan(1e-6);
    }

    @Test
    void dnoLeadsToTheSamplingPolicyTiltedByWinRates() {
        double eta = 0.5;
        double[][] all = new double[5][5];
        Arrays.stream(all).forEach(row -> Arrays.fill(row, 1));
        double[] rates = winRates(CYCLIC, REF);
        double[] pi = train(REF, 4000, 2, lp -> {
            Pairs pairs = pairs(lp, REF, REF, all, rates);
            return new SoftDpoLoss(eta).compute(pairs.withTargets(PairTargets.dno(pairs.chosen(), pairs.rejected())));
        });
        assertThat(distance(pi, tilted(REF, 1, rates, eta))).isLessThan(1e-6);
    }

    @Test
    void sharpeningRaisesTheReferenceToAPower() {
        double beta = 0.8;
        double[] pi = train(REF, 2000, 0.5, lp -> {
            Pairs pairs = pairs(lp, REF, REF, bradleyTerry(REWARD), REWARD);
            return new RewardRegressionLoss(beta)
                    .compute(Pairs.of(
                                    RewardRegressionLoss.selfRewarded(pairs.chosen()),
                                    RewardRegressionLoss.selfRewarded(pairs.rejected()))
                            .withWeights(pairs.weights()));
        });
        assertThat(distance(pi, tilted(REF, 1 + 1 / beta, new double[5], 1))).isLessThan(1e-6);
    }

    @Test
    void inpoTakesAMirrorStepAndItsStepsEndAtTheRegularizedNashPolicy() {
        double eta = 0.5;
        double tau = 0.2;
        double[] snapshot = {0.1, 0.2, 0.3, 0.1, 0.3};
        double[] pi = train(snapshot, 3000, 0.5, lp -> {
            Pairs pairs = pairs(lp, REF, snapshot, CYCLIC, REWARD);
            Pairs old = pairs(Tensor.of(log(snapshot), 5), REF, snapshot, CYCLIC, REWARD);
            return new IpoLoss(eta)
                    .compute(Pairs.of(
                                    IpoLoss.inpo(pairs.chosen(), old.chosen().logps(), eta, tau),
                                    IpoLoss.inpo(
                                            pairs.rejected(), old.rejected().logps(), eta, tau))
                            .withWeights(pairs.weights()));
        });
        assertThat(distance(pi, mirrorStep(snapshot, eta, tau))).isLessThan(1e-6);
        for (int i = 0; i < 400; i++) {
            pi = mirrorStep(pi, eta, tau);
        }
        assertThat(distance(pi, tilted(REF, 1, winRates(CYCLIC, pi), tau))).isLessThan(1e-6);
    }

    /** {@code ref^(tau/eta) pi^(1 - tau/eta) exp(P(y > pi) / eta)}. */
    private static double[] mirrorStep(double[] pi, double eta, double tau) {
        double[] rates = winRates(CYCLIC, pi);
        double[] logits = new double[pi.length];
        for (int i = 0; i < pi.length; i++) {
            logits[i] = tau / eta * Math.log(REF[i]) + (1 - tau / eta) * Math.log(pi[i]) + rates[i] / eta;
        }
        return normalized(logits);
    }

    private static double[] explore(double alpha, double floor, double[] collapsed) {
        double beta = 0.5;
        int[] all = {0, 1, 2, 3, 4};
        ExplorationLoss loss = ExplorationLoss.xpo(DpoLoss.of(DpoLossType.SIGMOID, beta), alpha)
                .withFloor(floor);
        return train(UNIFORM, 6000, 2, lp -> {
            LossResult result = loss.compute(
                    pairs(lp, UNIFORM, UNIFORM, bradleyTerry(REWARD), REWARD), pick(lp, UNIFORM, REWARD, all));
            collapsed[0] = result.metrics().get("exploration/collapsed");
            return result;
        });
    }

    @Test
    void explorationIsHarmlessWhenSmallAndCollapsesWhenLarge() {
        double[] optimum = tilted(UNIFORM, 1, REWARD, 0.5);
        ToDoubleFunction<double[]> least =
                pi -> Math.log(Arrays.stream(pi).min().orElseThrow());
        double[] collapsed = new double[1];
        assertThat(distance(explore(0.001, 10, collapsed), optimum)).isLessThan(0.02);
        assertThat(collapsed[0]).isZero();
        assertThat(distance(explore(0.01, 10, collapsed), optimum)).isGreaterThan(0.02);
        assertThat(least.applyAsDouble(explore(0.2, Double.POSITIVE_INFINITY, collapsed)))
                .isLessThan(-60);
        assertThat(collapsed[0]).as("without a floor nothing is seen").isZero();
        assertThat(least.applyAsDouble(explore(0.2, 10, collapsed))).isGreaterThan(-15);
        assertThat(collapsed[0]).as("the floor is what detects the collapse").isPositive();
    }

    @Test
    void sppoFitsTheLogRatioToTheWinRate() {
        double eta = 2;
        double[] pi = train(
                REF,
                4000,
                0.5,
                lp -> new SppoLoss(eta).compute(pick(lp, REF, winRates(CYCLIC, REF), samples(REF, 100))));
        assertThat(distance(pi, tilted(REF, 1, winRates(CYCLIC, REF), 1 / eta))).isLessThan(0.02);
    }

    @Test
    void srpoLeadsToTheRobustPolicyAndItsReviser() {
        double beta = 0.7;
        // Row 0 answers, row 1 + b revises the answer b.
        double[] start = new double[30];
        double[] theta = minimized(start, 6000, 1, logits -> {
            Tensor logps = logits.reshape(6, 5).logSoftmax(1);
            Pairs answers = pairs(row(logps, 0), REF, REF, CYCLIC, REWARD);
            int[] first = IntStream.range(0, 25).map(k -> k / 5).toArray();
            int[] second = IntStream.range(0, 25).map(k -> k % 5).toArray();
            return new SrpoLoss(beta, 0.5)
                    .compute(
                            answers,
                            Pairs.of(revisions(logps, first, first), revisions(logps, first, second)),
                            Pairs.of(revisions(logps, second, first), revisions(logps, second, second)));
        });
        double[] robust = new double[5];
        for (int b = 0; b < 5; b++) {
            int answer = b;
            double[] gains =
                    Arrays.stream(CYCLIC).mapToDouble(row -> row[answer]).toArray();
            assertThat(distance(policy(theta, 1 + b), tilted(REF, 1, gains, beta)))
                    .isLessThan(1e-6);
            double z =
                    dot(REF, Arrays.stream(gains).map(g -> Math.exp(g / beta)).toArray());
            robust[b] = Math.log(REF[b]) - Math.log(z);
        }
        assertThat(distance(policy(theta, 0), normalized(robust))).isLessThan(1e-6);
    }

    private static Tensor row(Tensor logps, int row) {
        return logps.slice(0, row, row + 1).reshape(5);
    }

    /** {@code to} as revisions of {@code from}. */
    private static Completions revisions(Tensor logps, int[] from, int[] to) {
        int[] places = IntStream.range(0, from.length)
                .map(k -> (1 + from[k]) * 5 + to[k])
                .toArray();
        double[] ref = Arrays.stream(to).mapToDouble(i -> Math.log(REF[i])).toArray();
        Tensor picked = logps.reshape(30).indexSelect(0, Tensor.of(places, places.length));
        return Completions.of(picked, Tensor.of(ref, ref.length), Tensor.onesLike(picked));
    }

    private static double[] policy(double[] theta, int row) {
        return normalized(Arrays.copyOfRange(theta, row * 5, row * 5 + 5));
    }

    @Test
    void rewardWeightedRegressionLeadsToTheTiltedSamplingPolicy() {
        double tau = 0.6;
        int[] answers = samples(REF, 100);
        double[] rewards = Arrays.stream(answers).mapToDouble(i -> REWARD[i]).toArray();
        double[] weights = SampleWeights.rewardWeighted(rewards, answers.length, tau);
        assertThat(distance(imitated(answers, weights), tilted(REF, 1, REWARD, tau)))
                .isLessThan(1e-6);
        double baseline = dot(REF, REWARD);
        double[] advantages = Arrays.stream(rewards).map(r -> r - baseline).toArray();
        double[] free = SampleWeights.advantageWeighted(advantages, tau, 20);
        assertThat(distance(imitated(answers, free), tilted(REF, 1, REWARD, tau)))
                .isLessThan(1e-6);
    }

    private static double[] imitated(int[] answers, double[] weights) {
        return train(
                UNIFORM,
                2000,
                0.3,
                lp -> new ImitationLoss(0).compute(pick(lp, REF, REWARD, answers), Tensor.of(weights, weights.length)));
    }

    @Test
    void imitatingTheLikeliestOfManySamplesSharpens() {
        // The best by lp_ref of every pair of samples: an answer is kept unless the other one is likelier.
        int[] answers = new int[20000];
        double[] self = new double[answers.length];
        int[] pool = samples(REF, 100);
        for (int k = 0; k < answers.length; k++) {
            answers[k] = pool[k % 2 == 0 ? k / 200 : k / 2 % 100];
            self[k] = Math.log(REF[answers[k]]);
        }
        boolean[] keep = Selector.best().keep(self, 2);
        int[] kept = IntStream.range(0, keep.length)
                .filter(k -> keep[k])
                .map(k -> answers[k])
                .toArray();
        double[] ones = new double[kept.length];
        Arrays.fill(ones, 1);
        double[] expected = new double[5];
        double worse = 1;
        for (int i = 0; i < 5; i++) {
            expected[i] = worse * worse - (worse - REF[i]) * (worse - REF[i]);
            worse -= REF[i];
        }
        assertThat(distance(imitated(kept, ones), expected)).isLessThan(1e-6);
    }
}
