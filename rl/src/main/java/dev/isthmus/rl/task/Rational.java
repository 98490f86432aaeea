package dev.isthmus.rl.task;

/**
 * An exact fraction in lowest terms with a positive denominator, written {@code 24} or {@code (1/3)}.
 *
 * <p>Arithmetic is total: division by zero, and a result whose parts do not fit into 64 bits, give {@link #UNDEFINED},
 * which stays undefined through every further operation.
 */
public record Rational(long numerator, long denominator) implements Comparable<Rational> {
    /** The result of what has no result. */
    public static final Rational UNDEFINED = new Rational(0, 0);

    /** A whole number. */
    public static Rational of(long whole) {
        return new Rational(whole, 1);
    }

    /** A fraction in lowest terms. */
    public static Rational of(long numerator, long denominator) {
        long divisor = gcd(numerator, denominator);
        if (denominator == 0 || numerator == Long.MIN_VALUE || denominator == Long.MIN_VALUE) {
            return UNDEFINED;
        }
        return denominator < 0
                ? new Rational(-numerator / divisor, -denominator / divisor)
                : new Rational(numerator / divisor, denominator / divisor);
    }

    /** {@code this op other} for one of the operations {@code + - * /}. */
    public Rational apply(char op, Rational other) {
        long a = numerator;
        long b = denominator;
        long c = other.numerator;
        long d = other.denominator;
        if (b == 0 || d == 0) {
            return UNDEFINED;
        }
        try {
            return switch (op) {
                case '+' -> of(Math.addExact(Math.multiplyExact(a, d), Math.multiplyExact(c, b)), times(b, d));
                case '-' -> of(Math.subtractExact(Math.multiplyExact(a, d), Math.multiplyExact(c, b)), times(b, d));
                case '*' -> of(times(a, c), times(b, d));
                case '/' -> of(times(a, d), times(b, c));
                default -> UNDEFINED;
            };
        } catch (ArithmeticException overflow) {
            return UNDEFINED;
        }
    }

    /** Whether this is a whole number. */
    public boolean isWhole() {
        return denominator == 1;
    }

    /** Whether this is the given whole number. */
    public boolean is(long whole) {
        return denominator == 1 && numerator == whole;
    }

    @Override
    public int compareTo(Rational other) {
        return Math.multiplyHigh(numerator, other.denominator) == Math.multiplyHigh(other.numerator, denominator)
                ? Long.compareUnsigned(numerator * other.denominator, other.numerator * denominator)
                : Long.compare(
                        Math.multiplyHigh(numerator, other.denominator),
                        Math.multiplyHigh(other.numerator, denominator));
    }

    @Override
    public String toString() {
        return isWhole() ? String.valueOf(numerator) : "(" + numerator + "/" + denominator + ")";
    }

    private static long times(long a, long b) {
        return Math.multiplyExact(a, b);
    }

    private static long gcd(long a, long b) {
        while (b != 0) {
            long rest = a % b;
            a = b;
            b = rest;
        }
        return Math.abs(a);
    }
}
