package dev.isthmus.rl.objective.preference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;

/**
 * Where the losses lead: a policy over five answers, every pair weighed by how often it is sampled and preferred, trained to the end
 * and compared with the optimum that the paper proves.
 */
class ToyOptimaTests {
    private static final double[] REF = {0.3, 0.25, 0.2, 0.15, 0.1};
    private static final double[] REWARD = {0.1, 0.9, 0.4, -0.5, 0.2};

    /** Preferences that no reward explains: the first three beat each other in a circle. */
    private static final double[][] CYCLIC = preferences(new double[][] {
        {0.5, 0.9, 0.2, 0.6, 0.7},
        {0.1, 0.5, 0.8, 0.4, 0.6},
        {0.8, 0.2, 0.5, 0.7, 0.3},
        {0.4, 0.6, 0.3, 0.5, 0.9},
        {0.3, 0.4, 0.7, 0.1, 0.5}
    });

    private static double[][] preferences(double[][] p) {
        for (int i = 0; i < p.length; i++) {
            for (int j = 0; j < p.length; j++) {
                assertThat(p[i][j] + p[j][i]).isBetween(1 - 1e-12, 1 + 1e-12);
            }
        }
        return p;
    }

    private static double[][] bradleyTerry(double[] reward) {
        double[][] p = new double[reward.length][reward.length];
        for (int i = 0; i < p.length; i++) {
            for (int j = 0; j < p.length; j++) {
                p[i][j] = 1 / (1 + Math.exp(reward[j] - reward[i]));
            }
        }
        return p;
    }

    private static double[] normalized(double[] logits) {
        double max = Arrays.stream(logits).max().orElseThrow();
        double[] e = Arrays.stream(logits).map(x -> Math.exp(x - max)).toArray();
        double sum = Arrays.stream(e).sum();
        return Arrays.stream(e).map(x -> x / sum).toArray();
    }

    private static double[] log(double[] p) {
        return Arrays.stream(p).map(Math::log).toArray();
    }

    /** {@code pi^a exp(r / b)}, normalized. */
    private static double[] tilted(double[] pi, double a, double[] r, double b) {
        double[] logits = new double[pi.length];
        for (int i = 0; i < pi.length; i++) {
            logits[i] = a * Math.log(pi[i]) + r[i] / b;
        }
        return normalized(logits);
    }

    /** {@code P(y > pi)} of every answer. */
    private static double[] winRates(double[][] p, double[] pi) {
        return Arrays.stream(p).mapToDouble(row -> dot(row, pi)).toArray();
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private static double distance(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs(a[i] - b[i]) / 2;
        }
        return sum;
    }

    /** All ordered pairs of answers under the policy, each with the weight {@code mu(i) mu(j) P(i > j)}. */
    private static Pairs pairs(Tensor logps, double[] ref, double[] mu, double[][] p, double[] scores) {
        int n = mu.length;
        int[] first = new int[n * n];
        int[] second = new int[n * n];
        double[] weights = new double[n * n];
        for (int k = 0; k < n * n; k++) {
            first[k] = k / n;
            second[k] = k % n;
            weights[k] = n * n * mu[k / n] * mu[k % n] * p[k / n][k % n];
        }
        return Pairs.of(pick(logps, ref, scores, first), pick(logps, ref, scores, second))
                .withWeights(Tensor.of(weights, n * n));
    }

    private static Completions pick(Tensor logps, double[] ref, double[] scores, int[] answers) {
        double[] refLogps =
                Arrays.stream(answers).mapToDouble(i -> Math.log(ref[i])).toArray();
        double[] picked = Arrays.stream(answers).mapToDouble(i -> scores[i]).toArray();
        Tensor chosen = logps.indexSelect(0, Tensor.of(answers, answers.length));
        return Completions.of(chosen, Tensor.of(refLogps, answers.length), Tensor.onesLike(chosen))
                .withScores(Tensor.of(picked, answers.length));
    }

    /** Gradient descent with momentum on the logits of a policy over as many answers as {@code start} has. */
    private static double[] train(double[] start, int steps, double lr, Function<Tensor, LossResult> loss) {
        double[] theta = log(start);
        double[] velocity = new double[theta.length];
        for (int step = 0; step < steps; step++) {
            try (Scope scope = Scope.open()) {
                Tensor logits = Tensor.of(theta, theta.length).requireGrad();
                loss.apply(logits.logSoftmax(0)).loss().backward();
                double[] grad = logits.grad().toDoubles();
                for (int i = 0; i < theta.length; i++) {
                    velocity[i] = 0.9 * velocity[i] + grad[i];
                    theta[i] -= lr * velocity[i];
                }
            }
        }
        return normalized(theta);
    }

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

    private static final double[] UNIFORM = {0.2, 0.2, 0.2, 0.2, 0.2};

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

    private static final double[][] ROCK_PAPER_SCISSORS =
            preferences(new double[][] {{0.5, 0, 1}, {1, 0.5, 0}, {0, 1, 0.5}});

    /** How much better than even the best answer does against the policy. */
    private static double exploitability(double[] pi) {
        return Arrays.stream(winRates(ROCK_PAPER_SCISSORS, pi)).max().orElseThrow() - 0.5;
    }

    @Test
    void unanchoredSelfPlayCyclesWhereNashMdConverges() {
        double[] start = {0.6, 0.3, 0.1};
        double[] selfPlay = start;
        double[] nashMd = start;
        double eta = 0.1;
        double tau = 0.5;
        double[] uniform = {1 / 3.0, 1 / 3.0, 1 / 3.0};
        for (int step = 0; step < 400; step++) {
            selfPlay = tilted(selfPlay, 1, winRates(ROCK_PAPER_SCISSORS, selfPlay), 1 / eta);
            double[] mixture = tilted(nashMd, 1 - eta * tau, new double[3], 1);
            nashMd = tilted(mixture, 1, winRates(ROCK_PAPER_SCISSORS, mixture), 1 / eta);
        }
        assertThat(exploitability(selfPlay)).isGreaterThan(exploitability(start));
        assertThat(exploitability(nashMd)).isLessThan(1e-3);
        assertThat(distance(nashMd, uniform)).isLessThan(1e-3);
    }

    @Test
    void thePolicyGradientOfNashMdConverges() {
        double tau = 0.3;
        double coefficient = 0.125;
        double[] pi = {0.6, 0.3, 0.1};
        for (int step = 0; step < 1500; step++) {
            try (Scope scope = Scope.open()) {
                double[] mixture = tilted(pi, 1 - coefficient, new double[3], 1);
                double[] rates = winRates(ROCK_PAPER_SCISSORS, mixture);
                Tensor logits = Tensor.of(log(pi), 3).requireGrad();
                Completions y =
                        pick(logits.logSoftmax(0), new double[] {1 / 3.0, 1 / 3.0, 1 / 3.0}, rates, samples(pi, 600));
                new NashMdLoss(tau).compute(y).loss().backward();
                double[] grad = logits.grad().toDoubles();
                double[] moved = log(pi);
                for (int i = 0; i < 3; i++) {
                    moved[i] -= 0.1 * grad[i];
                }
                pi = normalized(moved);
            }
        }
        assertThat(exploitability(pi)).isLessThan(0.02);
    }

    /** About {@code n} answers in the proportions of the policy. */
    private static int[] samples(double[] pi, int n) {
        int[] answers = new int[0];
        for (int i = 0; i < pi.length; i++) {
            int count = (int) Math.round(n * pi[i]);
            int from = answers.length;
            answers = Arrays.copyOf(answers, from + count);
            Arrays.fill(answers, from, from + count, i);
        }
        return answers;
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
}
