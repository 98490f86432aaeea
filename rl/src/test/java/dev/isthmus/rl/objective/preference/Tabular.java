package dev.isthmus.rl.objective.preference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Function;

/**
 * Policies that are tables of a few answers: every pair is weighed by how often it is sampled and preferred, training goes on to the
 * end, and what comes out is compared with what a paper proves.
 */
final class Tabular {
    static final double[] REF = {0.3, 0.25, 0.2, 0.15, 0.1};
    static final double[] REWARD = {0.1, 0.9, 0.4, -0.5, 0.2};

    private Tabular() {}

    /** Preferences that no reward explains: the first three beat each other in a circle. */
    static final double[][] CYCLIC = preferences(new double[][] {
        {0.5, 0.9, 0.2, 0.6, 0.7},
        {0.1, 0.5, 0.8, 0.4, 0.6},
        {0.8, 0.2, 0.5, 0.7, 0.3},
        {0.4, 0.6, 0.3, 0.5, 0.9},
        {0.3, 0.4, 0.7, 0.1, 0.5}
    });

    static double[][] preferences(double[][] p) {
        for (int i = 0; i < p.length; i++) {
            for (int j = 0; j < p.length; j++) {
                assertThat(p[i][j] + p[j][i]).isBetween(1 - 1e-12, 1 + 1e-12);
            }
        }
        return p;
    }

    static double[][] bradleyTerry(double[] reward) {
        double[][] p = new double[reward.length][reward.length];
        for (int i = 0; i < p.length; i++) {
            for (int j = 0; j < p.length; j++) {
                p[i][j] = 1 / (1 + Math.exp(reward[j] - reward[i]));
            }
        }
        return p;
    }

    static double[] normalized(double[] logits) {
        double max = Arrays.stream(logits).max().orElseThrow();
        double[] e = Arrays.stream(logits).map(x -> Math.exp(x - max)).toArray();
        double sum = Arrays.stream(e).sum();
        return Arrays.stream(e).map(x -> x / sum).toArray();
    }

    static double[] log(double[] p) {
        return Arrays.stream(p).map(Math::log).toArray();
    }

    /** {@code pi^a exp(r / b)}, normalized. */
    static double[] tilted(double[] pi, double a, double[] r, double b) {
        double[] logits = new double[pi.length];
        for (int i = 0; i < pi.length; i++) {
            logits[i] = a * Math.log(pi[i]) + r[i] / b;
        }
        return normalized(logits);
    }

    /** {@code P(y > pi)} of every answer. */
    static double[] winRates(double[][] p, double[] pi) {
        return Arrays.stream(p).mapToDouble(row -> dot(row, pi)).toArray();
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    static double distance(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs(a[i] - b[i]) / 2;
        }
        return sum;
    }

    /** All ordered pairs of answers under the policy, each with the weight {@code mu(i) mu(j) P(i > j)}. */
    static Pairs pairs(Tensor logps, double[] ref, double[] mu, double[][] p, double[] scores) {
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

    static Completions pick(Tensor logps, double[] ref, double[] scores, int[] answers) {
        double[] refLogps =
                Arrays.stream(answers).mapToDouble(i -> Math.log(ref[i])).toArray();
        double[] picked = Arrays.stream(answers).mapToDouble(i -> scores[i]).toArray();
        Tensor chosen = logps.indexSelect(0, Tensor.of(answers, answers.length));
        return Completions.of(chosen, Tensor.of(refLogps, answers.length), Tensor.onesLike(chosen))
                .withScores(Tensor.of(picked, answers.length));
    }

    /** Gradient descent with momentum on the logits of a policy over as many answers as {@code start} has. */
    static double[] train(double[] start, int steps, double lr, Function<Tensor, LossResult> loss) {
        double[] theta = minimized(log(start), steps, lr, logits -> loss.apply(logits.logSoftmax(0)));
        return normalized(theta);
    }

    /** Gradient descent with momentum from {@code start}. */
    static double[] minimized(double[] start, int steps, double lr, Function<Tensor, LossResult> loss) {
        double[] theta = start.clone();
        double[] velocity = new double[theta.length];
        for (int step = 0; step < steps; step++) {
            try (Scope scope = Scope.open()) {
                Tensor parameters = Tensor.of(theta, theta.length).requireGrad();
                loss.apply(parameters).loss().backward();
                double[] grad = parameters.grad().toDoubles();
                for (int i = 0; i < theta.length; i++) {
                    velocity[i] = 0.9 * velocity[i] + grad[i];
                    theta[i] -= lr * velocity[i];
                }
            }
        }
        return theta;
    }

    /** About {@code n} answers in the proportions of the policy. */
    static int[] samples(double[] pi, int n) {
        int[] answers = new int[0];
        for (int i = 0; i < pi.length; i++) {
            int count = (int) Math.round(n * pi[i]);
            int from = answers.length;
            answers = Arrays.copyOf(answers, from + count);
            Arrays.fill(answers, from, from + count, i);
        }
        return answers;
    }
}
