package dev.isthmus.rl.objective.preference;

import static dev.isthmus.rl.objective.preference.Tabular.CYCLIC;
import static dev.isthmus.rl.objective.preference.Tabular.REF;
import static dev.isthmus.rl.objective.preference.Tabular.distance;
import static dev.isthmus.rl.objective.preference.Tabular.log;
import static dev.isthmus.rl.objective.preference.Tabular.normalized;
import static dev.isthmus.rl.objective.preference.Tabular.pairs;
import static dev.isthmus.rl.objective.preference.Tabular.pick;
import static dev.isthmus.rl.objective.preference.Tabular.samples;
import static dev.isthmus.rl.objective.preference.Tabular.tilted;
import static dev.isthmus.rl.objective.preference.Tabular.train;
import static dev.isthmus.rl.objective.preference.Tabular.winRates;
import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Policies that play against themselves where preferences go in a circle: which losses converge, and to what. */
class SelfPlayTests {
    private static final double[][] ROCK_PAPER_SCISSORS = {{0.5, 0, 1}, {1, 0.5, 0}, {0, 1, 0.5}};
    private static final double[] START = {0.6, 0.3, 0.1};
    private static final double[] THIRDS = {1 / 3.0, 1 / 3.0, 1 / 3.0};

    /** How much better than even the best answer does against the policy. */
    private static double exploitability(double[] pi) {
        return Arrays.stream(winRates(ROCK_PAPER_SCISSORS, pi)).max().orElseThrow() - 0.5;
    }

    /** {@code KL(thirds; pi)}, which only grows where a policy circles outward. */
    private static double awayFromThirds(double[] pi) {
        return -Math.log(3) - Arrays.stream(log(pi)).average().orElseThrow();
    }

    private static double[] rounds(int rounds, UnaryOperator<double[]> round) {
        double[] pi = START;
        for (int i = 0; i < rounds; i++) {
            pi = round.apply(pi);
        }
        return pi;
    }

    @Test
    void unanchoredSelfPlayCyclesWhereNashMdConverges() {
        double eta = 0.1;
        double tau = 0.5;
        double[] selfPlay = rounds(400, pi -> tilted(pi, 1, winRates(ROCK_PAPER_SCISSORS, pi), 1 / eta));
        double[] nashMd = rounds(400, pi -> {
            double[] mixture = tilted(pi, 1 - eta * tau, new double[3], 1);
            return tilted(mixture, 1, winRates(ROCK_PAPER_SCISSORS, mixture), 1 / eta);
        });
        assertThat(awayFromThirds(selfPlay)).isGreaterThan(1.2 * awayFromThirds(START));
        assertThat(exploitability(nashMd)).isLessThan(1e-6);
        assertThat(distance(nashMd, THIRDS)).isLessThan(1e-6);
    }

    @Test
    void roundsOfDnoCycleWhereThoseOfInpoConverge() {
        double eta = 1;
        double tau = 0.3;
        double[][] all = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
        double[] dno = rounds(25, pi -> {
            double[] rates = winRates(ROCK_PAPER_SCISSORS, pi);
            return train(pi, 300, 2, lp -> {
                Pairs pairs = pairs(lp, pi, pi, all, rates);
                return new SoftDpoLoss(eta)
                        .compute(pairs.withTargets(PairTargets.dno(pairs.chosen(), pairs.rejected())));
            });
        });
        double[] inpo = rounds(
                25,
                pi -> train(pi, 300, 0.5, lp -> {
                    Pairs pairs = pairs(lp, THIRDS, pi, ROCK_PAPER_SCISSORS, pi);
                    Pairs old = pairs(Tensor.of(log(pi), 3), THIRDS, pi, ROCK_PAPER_SCISSORS, pi);
                    return new IpoLoss(eta)
                            .compute(Pairs.of(
                                            IpoLoss.inpo(
                                                    pairs.chosen(), old.chosen().logps(), eta, tau),
                                            IpoLoss.inpo(
                                                    pairs.rejected(),
                                                    old.rejected().logps(),
                                                    eta,
                                                    tau))
                                    .withWeights(pairs.weights()));
                }));
        assertThat(awayFromThirds(dno)).isGreaterThan(2 * awayFromThirds(START));
        assertThat(exploitability(inpo)).isLessThan(1e-3);
    }

    /** A step on the gradient of Nash-MD-PG over {@code n} answers in the proportions of the policy. */
    private static double[] step(double[] pi, double[] ref, double[] rates, double tau, double lr, int n) {
        try (Scope scope = Scope.open()) {
            Tensor logits = Tensor.of(log(pi), pi.length).requireGrad();
            Completions y = pick(logits.logSoftmax(0), ref, rates, samples(pi, n));
            new NashMdLoss(tau).compute(y).loss().backward();
            double[] moved = log(pi);
            double[] grad = logits.grad().toDoubles();
            for (int i = 0; i < moved.length; i++) {
                moved[i] -= lr * grad[i];
            }
            return normalized(moved);
        }
    }

    @Test
    void thePolicyGradientOfNashMdConverges() {
        double[] pi = rounds(1500, p -> {
            double[] mixture = tilted(p, 1 - 0.125, new double[3], 1);
            return step(p, THIRDS, winRates(ROCK_PAPER_SCISSORS, mixture), 0.3, 0.1, 600);
        });
        assertThat(exploitability(pi)).isLessThan(0.02);
    }

    @Test
    void theMixtureOfNashMdMovesItsFixedPoint() {
        double tau = 0.3;
        double[] nash = REF;
        for (int i = 0; i < 2000; i++) {
            double[] mixture = mixture(nash, 0.05 * tau);
            nash = tilted(mixture, 1, winRates(CYCLIC, mixture), 1 / 0.05);
        }
        assertThat(distance(nash, tilted(REF, 1, winRates(CYCLIC, nash), tau))).isLessThan(0.002);
        double near = distance(fixedPoint(tau, 0.125), nash);
        double far = distance(fixedPoint(tau, 1), nash);
        assertThat(near).isLessThan(0.01);
        assertThat(far).isBetween(2 * near, 0.1);
    }

    private static double[] fixedPoint(double tau, double coefficient) {
        double[] pi = REF;
        for (int i = 0; i < 1500; i++) {
            pi = step(pi, REF, winRates(CYCLIC, mixture(pi, coefficient)), tau, 2, 4000);
        }
        return pi;
    }

    /** {@code pi^(1 - m) ref^m}, normalized. */
    private static double[] mixture(double[] pi, double m) {
        double[] logits = new double[pi.length];
        for (int i = 0; i < pi.length; i++) {
            logits[i] = (1 - m) * Math.log(pi[i]) + m * Math.log(REF[i]);
        }
        return normalized(logits);
    }

    @Test
    void theAverageOfSelfPlayIsTheMinimaxPolicyThoughTheLastIsNot() {
        int steps = 1300;
        double[] average = new double[3];
        double[] last = rounds(steps, pi -> {
            int[] answers = samples(pi, 200);
            double[][] preferences = new double[answers.length][answers.length];
            for (int i = 0; i < answers.length; i++) {
                for (int j = 0; j < answers.length; j++) {
                    preferences[i][j] = ROCK_PAPER_SCISSORS[answers[i]][answers[j]];
                }
            }
            double[] rewards = WinRates.amongOthers(preferences);
            double[] rates = new double[3];
            for (int i = 0; i < answers.length; i++) {
                rates[answers[i]] = rewards[i];
            }
            for (int i = 0; i < 3; i++) {
                average[i] += pi[i] / steps;
            }
            return step(pi, THIRDS, rates, 0, 0.2, 200);
        });
        assertThat(exploitability(last)).isGreaterThan(0.1);
        assertThat(exploitability(average)).isLessThan(0.05);
    }
}
