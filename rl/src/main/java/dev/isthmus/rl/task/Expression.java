package dev.isthmus.rl.task;

import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/**
 * An arithmetic expression over whole numbers with the operations {@code + - * /}.
 *
 * <p>It can be written as one line, {@code (1+2)*8}, or as the steps that compute it, {@code 1+2=3 3*8=24}.
 */
public sealed interface Expression {
    /** The exact value; {@link Rational#UNDEFINED} if a division by zero is in it. */
    Rational value();

    /** A number. */
    record Number(Rational value) implements Expression {}

    /** An operation on two expressions. */
    record Operation(char symbol, Expression left, Expression right, Rational value) implements Expression {}

    /** The expression of one number. */
    static Expression of(long number) {
        return new Number(Rational.of(number));
    }

    /** The expression {@code left symbol right}. */
    static Expression of(Expression left, char symbol, Expression right) {
        return new Operation(symbol, left, right, left.value().apply(symbol, right.value()));
    }

    /** The numbers in it, from left to right. */
    default List<Rational> numbers() {
        var numbers = new ArrayList<Rational>();
        collect(this, numbers);
        return numbers;
    }

    private static void collect(Expression expression, List<Rational> numbers) {
        switch (expression) {
            case Number n -> numbers.add(n.value());
            case Operation o -> {
                collect(o.left(), numbers);
                collect(o.right(), numbers);
            }
        }
    }

    /** One line with no more parentheses than needed: {@code (1+2)*8}. */
    default String infix() {
        return infix(this, 0);
    }

    private static String infix(Expression expression, int outer) {
        return switch (expression) {
            case Number n -> n.value().toString();
            case Operation o -> {
                int level = o.symbol() == '+' || o.symbol() == '-' ? 1 : 3;
                // What stands right of - or / needs parentheses already at the same level.
                int right = level + (o.symbol() == '-' || o.symbol() == '/' ? 1 : 0);
                String text = infix(o.left(), level) + o.symbol() + infix(o.right(), right);
                yield level < outer ? "(" + text + ")" : text;
            }
        };
    }

    /** The steps that compute it, innermost and leftmost first: {@code 1+2=3 3*8=24}. */
    default String steps() {
        var steps = new StringJoiner(" ");
        addSteps(this, steps);
        return steps.toString();
    }

    private static void addSteps(Expression expression, StringJoiner steps) {
        if (expression instanceof Operation o) {
            addSteps(o.left(), steps);
            addSteps(o.right(), steps);
            steps.add(o.left().value().toString() + o.symbol() + o.right().value() + "=" + o.value());
        }
    }

    /**
     * Reads one line such as {@code (1+2)*8}: ASCII digits without leading zeros, the four operations, parentheses;
     * no signs, no spaces. Null for anything else, and for more than 256 characters.
     */
    static @Nullable Expression parse(String text) {
        if (text.length() > 256) {
            return null;
        }
        var parser = new Parser(text);
        Expression expression = parser.sum();
        return parser.at == text.length() ? expression : null;
    }

    /** Recursive descent over {@code sum = product ([+-] product)*}, {@code product = factor ([*\/] factor)*}. */
    final class Parser {
        private final String text;
        private int at;

        private Parser(String text) {
            this.text = text;
        }

        private @Nullable Expression sum() {
            Expression left = product();
            while (left != null && (peek() == '+' || peek() == '-')) {
                char symbol = text.charAt(at++);
                Expression right = product();
                left = right == null ? null : of(left, symbol, right);
            }
            return left;
        }

        private @Nullable Expression product() {
            Expression left = factor();
            while (left != null && (peek() == '*' || peek() == '/')) {
                char symbol = text.charAt(at++);
                Expression right = factor();
                left = right == null ? null : of(left, symbol, right);
            }
            return left;
        }

        private @Nullable Expression factor() {
            if (peek() == '(') {
                at++;
                Expression inner = sum();
                return inner != null && peek() == ')' && at++ >= 0 ? inner : null;
            }
            int start = at;
            while (peek() >= '0' && peek() <= '9') {
                at++;
            }
            String digits = text.substring(start, at);
            return Numbers.isWhole(digits) && digits.length() <= 18 ? of(Long.parseLong(digits)) : null;
        }

        private char peek() {
            return at < text.length() ? text.charAt(at) : 0;
        }
    }
}
