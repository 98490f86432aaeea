package dev.isthmus.rl.offline;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;

/**
 * The probability that a point is of the first of two kinds: {@code sigmoid(w x + b)}, which minimizes {@code |w|^2 / 2 + sum_i c_i
 * log(1 + exp(-y_i (w x_i + b)))} with {@code y_i = 1} or {@code -1}; both kinds count the same, {@code c_i = n / (2 n_kind)}. Those are
 * the defaults of scikit-learn's, with its {@code class_weight="balanced"}.
 *
 * @param weights {@code w}, and {@code b} behind it
 */
record LogisticRegression(double[] weights) {
    private static final int MAX_STEPS = 100;
    private static final double TOLERANCE = 1e-10;

    /**
     * Fits by Newton's method, each step of which is found by conjugate gradients and halved until it helps.
     *
     * @param points of the same size
     * @param first whether each is of the first kind
     * @throws IsthmusException unless there are points of both kinds
     */
    static LogisticRegression fit(double[][] points, boolean[] first) {
        long ones = 0;
        for (boolean b : first) {
            ones += b ? 1 : 0;
        }
        if (ones == 0 || ones == first.length) {
            throw new IsthmusException("two kinds are told apart by examples of both, found " + ones
                    + " of the first among " + first.length);
        }
        double each = first.length / 2.0;
        Problem problem = new Problem(points, first, each / ones, each / (first.length - ones));
        double[] w = new double[points[0].length + 1];
        double[] gradient = problem.gradient(w);
        double start = norm(gradient);
        for (int step = 0; step < MAX_STEPS && norm(gradient) > TOLERANCE * start; step++) {
            double[] direction = problem.newton(w, gradient);
            double before = problem.value(w);
            double length = 1;
            double[] next = plus(w, -length, direction);
            while (problem.value(next) > before && length > TOLERANCE) {
                length /= 2;
                next = plus(w, -length, direction);
            }
            w = next;
            gradient = problem.gradient(w);
        }
        return new LogisticRegression(w);
    }

    /** The probability that a point is of the first kind. */
    double probability(double[] point) {
        return sigmoid(score(weights, point));
    }

    private static double score(double[] w, double[] point) {
        double sum = w[point.length];
        for (int j = 0; j < point.length; j++) {
            sum += w[j] * point[j];
        }
        return sum;
    }

    private static double sigmoid(double x) {
        return 1 / (1 + StrictMath.exp(-x));
    }

    private static double norm(double[] v) {
        return Math.sqrt(Arrays.stream(v).map(x -> x * x).sum());
    }

    private static double[] plus(double[] a, double factor, double[] b) {
        double[] sum = a.clone();
        for (int i = 0; i < sum.length; i++) {
            sum[i] += factor * b[i];
        }
        return sum;
    }

    private record Problem(double[][] points, boolean[] first, double firstWeight, double secondWeight) {
        private double weight(int i) {
            return first[i] ? firstWeight : secondWeight;
        }

        double value(double[] w) {
            double sum = 0;
            for (int j = 0; j < w.length - 1; j++) {
                sum += w[j] * w[j] / 2;
            }
            for (int i = 0; i < points.length; i++) {
                double margin = first[i] ? score(w, points[i]) : -score(w, points[i]);
                sum += weight(i)
                        * (margin > 0
                                ? StrictMath.log1p(StrictMath.exp(-margin))
                                : StrictMath.log1p(StrictMath.exp(margin)) - margin);
            }
            return sum;
        }

        double[] gradient(double[] w) {
            double[] sum = w.clone();
            sum[w.length - 1] = 0;
            for (int i = 0; i < points.length; i++) {
                add(sum, weight(i) * (sigmoid(score(w, points[i])) - (first[i] ? 1 : 0)), points[i]);
            }
            return sum;
        }

        /** The direction {@code d} with {@code H d = gradient}, {@code H = I + sum_i c_i p_i (1 - p_i) x_i x_i^T}. */
        double[] newton(double[] w, double[] gradient) {
            double[] curvature = new double[points.length];
            for (int i = 0; i < curvature.length; i++) {
                double p = sigmoid(score(w, points[i]));
                curvature[i] = weight(i) * p * (1 - p);
            }
            double[] d = new double[w.length];
            double[] residual = gradient.clone();
            double[] direction = residual.clone();
            double squares = dot(residual, residual);
            double enough = squares * TOLERANCE * TOLERANCE;
            for (int k = 0; k < 2 * w.length && squares > enough; k++) {
                double[] image = times(curvature, direction);
                double length = squares / dot(direction, image);
                d = plus(d, length, direction);
                residual = plus(residual, -length, image);
                double next = dot(residual, residual);
                direction = plus(residual, next / squares, direction);
                squares = next;
            }
            return d;
        }

        private double[] times(double[] curvature, double[] v) {
            double[] image = v.clone();
            image[v.length - 1] = 0;
            for (int i = 0; i < points.length; i++) {
                add(image, curvature[i] * score(v, points[i]), points[i]);
            }
            return image;
        }

        private static double dot(double[] a, double[] b) {
            double sum = 0;
            for (int i = 0; i < a.length; i++) {
                sum += a[i] * b[i];
            }
            return sum;
        }

        private static void add(double[] to, double factor, double[] point) {
            for (int j = 0; j < point.length; j++) {
                to[j] += factor * point[j];
            }
            to[point.length] += factor;
        }
    }
}
