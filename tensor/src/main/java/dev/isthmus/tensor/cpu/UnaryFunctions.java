package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.KernelCall.UnaryOp;

/** The functions of one number and their slopes, in double precision. */
final class UnaryFunctions {
    private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    private static final double GELU_CUBIC = 0.044715;

    private UnaryFunctions() {}

    static double value(UnaryOp op, double x, double p, double q) {
        return switch (op) {
            case NEG -> -x;
            case EXP -> Math.exp(x);
            case LOG -> Math.log(x);
            case LOG1P -> Math.log1p(x);
            case EXPM1 -> Math.expm1(x);
            case SQRT -> Math.sqrt(x);
            case RSQRT -> 1 / Math.sqrt(x);
            case RECIPROCAL -> 1 / x;
            case ABS -> Math.abs(x);
            case SIGN -> x > 0 ? 1 : x < 0 ? -1 : 0;
            case SQUARE -> x * x;
            case SIN -> Math.sin(x);
            case COS -> Math.cos(x);
            case TANH -> Math.tanh(x);
            case SIGMOID -> sigmoid(x);
            case LOGSIGMOID -> -softplus(-x);
            case RELU -> Math.max(x, 0);
            case GELU -> 0.5 * x * erfc(-x / Math.sqrt(2));
            case GELU_TANH -> 0.5 * x * (1 + Math.tanh(geluInner(x)));
            case SILU -> x * sigmoid(x);
            case ERF -> erf(x);
            case AFFINE -> p * x + q;
            case POW -> Math.pow(x, p);
            case CLAMP -> Math.min(Math.max(x, p), q);
            case MISH -> x * Math.tanh(softplus(x));
            case FLOOR -> Math.floor(x);
            case CEIL -> Math.ceil(x);
            case ROUND -> Math.rint(x);
            case SOFTPLUS -> p * x > q ? x : softplus(p * x) / p;
            case LEAKY_RELU -> x > 0 ? x : p * x;
            case ELU -> x > 0 ? x : p * Math.expm1(x);
        };
    }

    /** The functions that have integers as values, in wrapping arithmetic. */
    static long value(UnaryOp op, long x, double p, double q) {
        return switch (op) {
            case NEG -> -x;
            case ABS -> Math.abs(x);
            case SIGN -> Long.signum(x);
            case SQUARE -> x * x;
            case RELU -> Math.max(x, 0);
            case FLOOR, CEIL, ROUND -> x;
            case AFFINE -> (long) p * x + (long) q;
            case POW -> power(x, (long) p);
            case CLAMP -> Math.min(Math.max(x, (long) p), (long) q);
            default -> throw new IllegalArgumentException(op.name());
        };
    }

    /** {@code x^n} in wrapping arithmetic; for negative {@code n} the integer part of the quotient {@code 1 / x^-n}. */
    static long power(long x, long n) {
        if (n < 0) {
            return x == 1 ? 1 : x == -1 ? 1 - 2 * (n & 1) : 0;
        }
        long power = 1;
        for (long square = x, bits = n; bits > 0; bits >>= 1, square *= square) {
            if ((bits & 1) == 1) {
                power *= square;
            }
        }
        return power;
    }

    static double slope(UnaryOp op, double x, double p, double q) {
        return switch (op) {
            case NEG -> -1;
            case EXP -> Math.exp(x);
            case LOG -> 1 / x;
            case LOG1P -> 1 / (1 + x);
            case EXPM1 -> Math.exp(x);
            case SQRT -> 0.5 / Math.sqrt(x);
            case RSQRT -> -0.5 / (x * Math.sqrt(x));
            case RECIPROCAL -> -1 / (x * x);
            case ABS -> Math.signum(x);
            case SIGN, FLOOR, CEIL, ROUND -> 0;
            case SQUARE -> 2 * x;
            case SIN -> Math.cos(x);
            case COS -> -Math.sin(x);
            case TANH -> 1 - Math.tanh(x) * Math.tanh(x);
            case SIGMOID -> sigmoid(x) * sigmoid(-x);
            case LOGSIGMOID -> sigmoid(-x);
            case SOFTPLUS -> p * x > q ? 1 : sigmoid(p * x);
            case LEAKY_RELU -> x > 0 ? 1 : p;
            case ELU -> x > 0 ? 1 : p * Math.exp(x);
            case MISH -> {
                double t = Math.tanh(softplus(x));
                yield t + x * sigmoid(x) * (1 - t * t);
            }
            case RELU -> x > 0 ? 1 : 0;
            case GELU -> 0.5 * erfc(-x / Math.sqrt(2)) + x * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
            case GELU_TANH -> {
                double t = Math.tanh(geluInner(x));
                yield 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * x * x);
            }
            case SILU -> sigmoid(x) * (1 + x * sigmoid(-x));
            case ERF -> 2 / Math.sqrt(Math.PI) * Math.exp(-x * x);
            case AFFINE -> p;
            case POW -> p == 0 ? 0 : p * Math.pow(x, p - 1);
            case CLAMP -> x >= p && x <= q ? 1 : 0;
        };
    }

    private static double geluInner(double x) {
        return SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x);
    }

    static double sigmoid(double x) {
        double e = Math.exp(-Math.abs(x));
        return x >= 0 ? 1 / (1 + e) : e / (1 + e);
    }

    private static double softplus(double x) {
        return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    }

    /** The error function: its Maclaurin series near 0, 1 - erfc beyond. */
    static double erf(double x) {
        if (Math.abs(x) > 2) {
            return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
        }
        double term = x;
        double sum = x;
        for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }
        return 2 / Math.sqrt(Math.PI) * sum;
    }

    /** {@code 1 - erf(x)} without cancellation: Laplace's continued fraction (Abramowitz and Stegun 7.1.14) for large x. */
    static double erfc(double x) {
        if (x < 2) {
            return 1 - erf(x);
        }
        double fraction = x;
        for (int k = 120; k > 0; k--) {
            fraction = x + k / 2.0 / fraction;
        }
        return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
    }
}
