package dev.isthmus.rl.task;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** A second way to everything that the solver does: subsets instead of pools, big fractions, all signs. */
final class BruteForce {
    private BruteForce() {}

    private record Fraction(BigInteger n, BigInteger d) {
        static Fraction of(BigInteger n, BigInteger d) {
            BigInteger g = n.gcd(d).multiply(BigInteger.valueOf(d.signum()));
            return new Fraction(n.divide(g), d.divide(g));
        }
    }

    /** Every whole number that an expression over all the numbers can have as its value. */
    static Set<Integer> reachable(List<Integer> numbers) {
        int full = (1 << numbers.size()) - 1;
        List<Set<Fraction>> values = new ArrayList<>();
        for (int set = 0; set <= full; set++) {
            Set<Fraction> here = new HashSet<>();
            if (Integer.bitCount(set) == 1) {
                here.add(Fraction.of(
                        BigInteger.valueOf(numbers.get(Integer.numberOfTrailingZeros(set))), BigInteger.ONE));
            }
            for (int left = (set - 1) & set; left > 0; left = (left - 1) & set) {
                for (Fraction a : values.get(left)) {
                    for (Fraction b : values.get(set ^ left)) {
                        here.add(Fraction.of(a.n.multiply(b.d).add(b.n.multiply(a.d)), a.d.multiply(b.d)));
                        here.add(Fraction.of(a.n.multiply(b.d).subtract(b.n.multiply(a.d)), a.d.multiply(b.d)));
                        here.add(Fraction.of(a.n.multiply(b.n), a.d.multiply(b.d)));
                        if (b.n.signum() != 0) {
                            here.add(Fraction.of(a.n.multiply(b.d), a.d.multiply(b.n)));
                        }
                    }
                }
            }
            values.add(here);
        }
        Set<Integer> whole = new HashSet<>();
        for (Fraction value : values.get(full)) {
            if (value.d.equals(BigInteger.ONE) && value.n.bitLength() < 31) {
                whole.add(value.n.intValue());
            }
        }
        return whole;
    }

    /**
     * Whether a well-formed expression has this value, computed in floating point by splitting at the last operator.
     */
    static boolean evaluates(String text, double target) {
        return Math.abs(value(text) - target) < 1e-9;
    }

    private static double value(String text) {
        for (String operators : List.of("+-", "*/")) {
            int depth = 0;
            for (int i = text.length() - 1; i > 0; i--) {
                char c = text.charAt(i);
                depth += c == ')' ? 1 : c == '(' ? -1 : 0;
                if (depth == 0 && operators.indexOf(c) >= 0) {
                    double a = value(text.substring(0, i));
                    double b = value(text.substring(i + 1));
                    return c == '+' ? a + b : c == '-' ? a - b : c == '*' ? a * b : a / b;
                }
            }
        }
        return text.startsWith("(") ? value(text.substring(1, text.length() - 1)) : Double.parseDouble(text);
    }
}
